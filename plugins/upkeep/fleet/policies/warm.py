"""``warm:`` of a target: rows of another target that are kept ready in it as keys."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from upkeep.fleet import files
from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.ttl import seconds_of
from upkeep.fleet.values import Length, Strict
from upkeep.model import ENGINES

OWN: Final = "upkeep:"
"""Keys that begin so are Upkeep's own."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SIZE: Final = re.compile(r"\s*(\d+)\s*(KiB|MiB|GiB|)\s*")
_UNITS: Final = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
LARGEST: Final = 2**29
"""The rows of an entry are all read before the first key is set: so many bytes of them a worker holds."""
_LONGEST: Final = 10**9
"""Seconds; some thirty years."""
_EXAMPLE: Final = "'alerts:config:{server_id}:{metric_name}'"


def _bytes(value: Any) -> Any:
    match = _SIZE.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a size; write e.g. '64 MiB'")
    size = int(match[1]) * _UNITS[match[2]]
    if not 0 < size <= LARGEST:
        raise ValueError(f"{value!r} is not possible: more than 0, at most 512 MiB; make several entries of it")
    return size


Bytes = Annotated[int, BeforeValidator(_bytes), WithJsonSchema({"type": ["string", "integer"]})]


class WarmEntry(Strict):
    """A query of another target whose rows become keys.

    Attributes
    ----------
    from_
        The target of the fleet that is asked.
    query
        The file with one SELECT, or for MongoDB a JSON file with ``collection`` and ``filter`` and ``projection``, or
        ``pipeline``; relative to the fleet file or to the checkout.
    key
        The keys' names, with columns of the query in braces; what stands before the first is the same for all.
    ttl
        So long a key lives, a tenth more or less.
    budget
        The most bytes of memory that keys and values may need together.
    value
        The columns that the value shows; default: all.
    """

    from_: str = Field(alias="from")
    query: str
    key: str
    ttl: Length
    budget: Bytes
    value: tuple[str, ...] = ()

    @field_validator("from_")
    @classmethod
    def _readable(cls, value: str, info: ValidationInfo) -> str:
        engines = (info.context or {}).get("engines")
        if engines is None:  # no fleet file around it
            return value
        if value not in engines:
            raise ValueError(f"no target '{value}' in the fleet file; there are: {', '.join(engines)}")
        known = ENGINES.get(engines[value])
        if known is not None and "rows" not in known.also:
            able = ", ".join(name for name, engine in ENGINES.items() if "rows" in engine.also)
            raise ValueError(f"'{value}' is on engine {known.name}, of which no rows are read; name one on {able}")
        return value

    @field_validator("query")
    @classmethod
    def _found(cls, value: str, info: ValidationInfo) -> str:
        return str(files.find(value, (info.context or {}).get("folder")))

    @field_validator("key")
    @classmethod
    def _bounded(cls, value: str) -> str:
        try:
            parts = list(Formatter().parse(value))
        except ValueError as error:
            raise ValueError(f"{error}; write e.g. {_EXAMPLE}, and a brace itself twice") from None
        columns = [(column, spec, how) for _, column, spec, how in parts if column is not None]
        if not columns:
            raise ValueError(f"names no column, so all rows would have the same key; write e.g. {_EXAMPLE}")
        if any(not column or spec or how or column.strip() != column for column, spec, how in columns):
            raise ValueError(f"braces hold the name of a column and nothing else; write e.g. {_EXAMPLE}")
        if not parts[0][0]:
            raise ValueError(f"begins with a column, so any key could be meant; begin with a text, e.g. {_EXAMPLE}")
        if parts[0][0].startswith(OWN):
            raise ValueError(f"begins with '{OWN}', as Upkeep's own keys do; begin otherwise")
        return value

    @field_validator("ttl")
    @classmethod
    def _lives(cls, value: Any) -> Any:
        if value.months or not 1 <= seconds_of(value) <= _LONGEST:
            raise ValueError(f"'{value}' is no time to live; write e.g. '1 hour'")
        return value

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the key names."""
        return tuple(dict.fromkeys(column for _, column, _, _ in Formatter().parse(self.key) if column is not None))

    @property
    def seconds(self) -> int:
        """How long a key lives."""
        return seconds_of(self.ttl)

    def statement(self) -> str:
        """Return the query's text."""
        return Path(self.query).read_text(encoding="utf-8")


class WarmPolicy(TargetPolicy):
    """What is kept ready in a target: the name of each entry, and the entry."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, WarmEntry] = Field(init=False)

    engines: ClassVar[frozenset[str]] = frozenset(name for name, row in ENGINES.items() if "keys" in row.sections)

    @model_validator(mode="after")
    def _possible(self) -> WarmPolicy:
        for name in self.entries:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name of an entry; write letters, digits and _.-")
        if not self.entries:
            raise ValueError("names nothing to warm; write an entry, or leave it out")
        return self

    @property
    def entries(self) -> dict[str, WarmEntry]:
        """The entries by name."""
        return self.__pydantic_extra__


POLICY = WarmPolicy
