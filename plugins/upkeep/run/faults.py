"""What an unexpected exception may say of itself where people, logs and the ledger see it: no values of rows."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path
from typing import Final

from upkeep.errors import UpkeepError
from upkeep.model import ENGINES

_ROOMS: Final = {spec.driver: name for name, spec in ENGINES.items()}
"""Driver → the room whose ``faults.describe`` knows its errors."""
_MAY_QUOTE: Final = (ValueError, ArithmeticError, LookupError)
"""What Python raises over a value quotes it."""


def unexpected(error: BaseException) -> str:
    """Return an exception in words without values of rows, and take those out of it and of what led to it."""
    linked: BaseException | None = error
    seen: set[int] = set()
    while linked is not None and id(linked) not in seen:
        seen.add(id(linked))
        if linked is not error and not isinstance(linked, UpkeepError):
            linked.args = (_said(linked),)
        linked = linked.__cause__ or linked.__context__
    text = _said(error)
    error.args = (text,)
    return text if isinstance(error, UpkeepError) else f"{type(error).__name__}: {text}"


def _said(error: BaseException) -> str:
    if isinstance(error, UpkeepError):
        return str(error)
    room = _ROOMS.get(type(error).__module__.partition(".")[0])
    if room is not None:
        return str(importlib.import_module(f"upkeep.{room}.faults").describe(error))
    if type(error).__module__.startswith("bson") or isinstance(error, _MAY_QUOTE):
        return f"its text is left out, it may quote a row{_place(error)}"
    return str(error)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
