"""Pipelines and filters from ``include/mongo``: JSON data with named places, filled in as values, never as text.

A string that is one place (``{low}``) becomes the value; places inside longer strings and in keys (``${time}``)
become the names of fields.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final

from upkeep import settings

_PLACE: Final = re.compile(r"\{(\w+)\}")
MARK: Final = "upkeep: of this row"
"""A field that our pipelines add to measurements on their way; no owner has one of that name."""


@cache
def _read(name: str) -> str:
    return (settings.include_dir() / "mongo" / "data_retention" / f"{name}.json").read_text(encoding="utf-8")


def load(name: str, **places: Any) -> Any:
    """Return a pipeline or filter with its places filled in. Raises `KeyError` for a place that has no value."""
    return _fill(json.loads(_read(name)), {"mark": MARK, **places})


def _fill(part: Any, places: dict[str, Any]) -> Any:
    if isinstance(part, dict):
        return {_text(key, places): _fill(inner, places) for key, inner in part.items()}
    if isinstance(part, list):
        return [_fill(inner, places) for inner in part]
    if isinstance(part, str):
        match = _PLACE.fullmatch(part)
        return places[match.group(1)] if match else _text(part, places)
    return part


def _text(text: str, places: dict[str, Any]) -> str:
    return _PLACE.sub(lambda match: str(places[match.group(1)]), text)
