"""The words of the fleet file: durations, shares, time zones, and the strict base of all its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from upkeep.model.intervals import Duration

_MULTIPLES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9}


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return Duration.parse(value)
    if isinstance(value, Duration):
        return value
    message = f"{value!r} is not a duration; write e.g. '30 days', '1 month', '26 hours'"
    raise ValueError(message)


def _duration_or_zero(value: Any) -> Any:
    if value in (0, "0", "none", "0 days", "0 seconds"):
        return Duration()
    return _duration(value)


def _step(value: Any) -> Any:
    if isinstance(value, bool):
        message = "write a duration ('1 month') or a whole number"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located error
    return value if isinstance(value, int) else _duration(value)


def _rows(value: Any) -> Any:
    match = re.fullmatch(r"\s*([\d_.]+)\s*(thousand|million|billion|)\s*", str(value))
    if match is None:
        message = f"{value!r} is not a number of rows; write e.g. 50000 or '50 million'"
        raise ValueError(message)
    return int(float(match.group(1).replace("_", "")) * _MULTIPLES[match.group(2)])


def _share(value: Any) -> Any:
    match = re.fullmatch(r"\s*([\d.]+)\s*(%?)\s*", str(value))
    share = float(match.group(1)) / (100 if match.group(2) else 1) if match else -1.0
    if not 0 < share <= 1:
        message = f"{value!r} is not a share; write e.g. '80 %'"
        raise ValueError(message)
    return share


def _size(value: Any) -> Any:
    match = re.fullmatch(r"\s*([\d.]+)\s*(B|KiB|MiB|GiB|TiB|)\s*", str(value))
    if match is None or isinstance(value, bool):
        message = f"{value!r} is not a size; write e.g. '64 MiB' or '10 GiB'"
        raise ValueError(message)
    return int(float(match.group(1)) * 1024 ** ("B", "KiB", "MiB", "GiB", "TiB").index(match.group(2) or "B"))


def _zone(value: Any) -> Any:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{value!r} is not a time zone; write an IANA name, e.g. 'UTC' or 'Europe/Berlin'"
        raise ValueError(message) from error


def _clock(value: Any) -> Any:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", str(value))
    if match is None or int(match.group(1)) > 23 or int(match.group(2)) > 59:  # noqa: PLR2004
        message = f'{value!r} is not a time of day; write it quoted, e.g. "01:00"'
        raise ValueError(message)
    return time(int(match.group(1)), int(match.group(2)))


_AsText = PlainSerializer(str, return_type=str)
_TEXT_SCHEMA = WithJsonSchema({"type": "string"})
Length = Annotated[Duration, BeforeValidator(_duration), _AsText, _TEXT_SCHEMA]
LengthOrZero = Annotated[Duration, BeforeValidator(_duration_or_zero), _AsText, _TEXT_SCHEMA]
Step = Annotated[
    Duration | int,
    BeforeValidator(_step),
    PlainSerializer(lambda v: v if isinstance(v, int) else str(v)),
    WithJsonSchema({"type": ["string", "integer"]}),
]
Rows = Annotated[int, BeforeValidator(_rows), WithJsonSchema({"type": ["string", "integer"]})]
Size = Annotated[int, BeforeValidator(_size), WithJsonSchema({"type": ["string", "integer"]})]
Share = Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": ["string", "number"]})]
Zone = Annotated[str, BeforeValidator(_zone)]
Clock = Annotated[time, BeforeValidator(_clock), _TEXT_SCHEMA]


class Strict(BaseModel):
    """A part of the fleet file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True)


class ObjectPolicy(Strict):
    """What is declared for one table, collection or stream, or for all that a glob names."""

    def declares(self, keys: Iterable[str]) -> bool:
        """Return whether the policy says anything under one of these keys."""
        return any(getattr(self, key) for key in keys if key in type(self).model_fields)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words that a table of ours lists: what ``Literal`` is for words that stand in the code."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return pydantic's schema of a ``Literal``."""
        return core_schema.literal_schema(list(self.words))


def elapsed(duration: Duration) -> timedelta:
    """Return a duration as elapsed time, for ages on the real clock (a month counts 30.44 days)."""
    return duration.approximate
