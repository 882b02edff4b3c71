"""One level of partitions: by range, by list, or by hash. A table has one, or two with `subpartition`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from upkeep.fleet.values import Rows, Step, Strict, Zone

MOVE_DEFAULT_ROWS = 10_000
"""Rows moved out of a default partition per new range; more only with the owner's word (pg_partman#510)."""
FORMS: Final = {"range": "range form", "list": "list form", "hash": "hash form"}
"""How the three forms are called where a mistake is located; never shown."""

ListValue: TypeAlias = str | int | float | bool | date | datetime | None
"""A value as YAML reads it; the column's type decides what it means."""


def _value(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | date):
        return value
    message = f"{value!r} is not one value; write a text, a number, a date, true, false or null"
    raise ValueError(message)


def _values(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        message = f"{value!r} is not a list of values; write them in brackets, e.g. [eu-west-1, eu-central-1]"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located error
    if not value:
        message = "no value; write at least one, or leave the partition out"
        raise ValueError(message)
    return tuple(value)


def _label(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        message = f"{value!r} is not a label; write it in quotes (YAML reads no, yes and numbers as something else)"
        raise ValueError(message)
    return value


_ValueSchema = WithJsonSchema({"type": ["string", "number", "boolean", "null"]})
Values = Annotated[tuple[Annotated[Any, BeforeValidator(_value), _ValueSchema], ...], BeforeValidator(_values)]
Label = Annotated[str, BeforeValidator(_label)]


class Level(Strict):
    """What every level says: the column, and which keys belong to its form alone."""

    form: ClassVar[str] = ""
    strangers: ClassVar[Mapping[str, str]] = {}

    by: str

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key, text in cls.strangers.items():
                if key in data:
                    raise ValueError(f"{key}: {text}")
        return data


class RangeLevel(Level):
    """Which range partitions should exist.

    Attributes
    ----------
    by
        The column, as in SQL.
    every
        Length of a partition: a duration, or a whole number for plain integer ids.
    ahead
        Partitions that should exist after the current one.
    timezone
        Where days and months begin; needed for columns without a zone.
    unit
        What an integer key counts: seconds, milliseconds, microseconds since 1970, or ``id``.
    from_
        (``from``) Gaps older than this are left alone.
    move_default_rows
        The most rows moved out of the default partition into one new partition; more is only reported.
    """

    form: ClassVar[str] = "range"

    every: Step
    ahead: int = Field(ge=0, le=10_000)
    timezone: Zone = "UTC"
    unit: Literal["seconds", "milliseconds", "microseconds", "id"] | None = None
    from_: datetime | date | int | None = Field(default=None, alias="from")
    move_default_rows: Rows = MOVE_DEFAULT_ROWS

    @model_validator(mode="after")
    def _possible(self) -> RangeLevel:
        if isinstance(self.every, int):
            if self.unit not in (None, "id"):
                message = (
                    f"every: {self.every} is a number of ids, but unit is {self.unit}; write a duration or unit: id"
                )
                raise ValueError(message)
            if self.every < 1:
                message = "every: must be at least 1"
                raise ValueError(message)
        elif sum(map(bool, (self.every.months, self.every.days, self.every.seconds))) != 1:
            message = f"every: '{self.every}' mixes months, days and hours; use one unit"
            raise ValueError(message)
        elif self.unit == "id":
            message = f"unit: id needs a whole number in every, not '{self.every}'"
            raise ValueError(message)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The declared time zone."""
        return ZoneInfo(self.timezone)


_RANGE_KEYS: Final = ("every", "ahead", "timezone", "unit", "from")


class ListLevel(Level):
    """Which list partitions should exist.

    Attributes
    ----------
    lists
        (``list``) The values of each partition, by a label that becomes part of its name.
    default
        Whether a default partition should exist; one that is there stays in any case.
    move_default_rows
        The most rows moved out of the default partition into one new partition; more is only reported.
    """

    form: ClassVar[str] = "list"
    strangers: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(_RANGE_KEYS, "belongs to range partitions, list: to list partitions; keep one of them"),
        "modulus": "belongs to hash partitions, list: to list partitions; keep one of them",
    }

    lists: dict[Label, Values] = Field(alias="list", min_length=1)
    default: bool = False
    move_default_rows: Rows = MOVE_DEFAULT_ROWS

    @model_validator(mode="after")
    def _possible(self) -> ListLevel:
        holders: dict[tuple[type, ListValue], str] = {}
        for label, values in self.lists.items():
            for value in values:
                known = holders.setdefault((type(value), value), label)
                if known != label or sum(v == value and type(v) is type(value) for v in values) > 1:
                    text = "null" if value is None else value
                    message = f"list: {text} is in {known} and again in {label}; a value lies in one partition"
                    raise ValueError(message)
        return self


class HashLevel(Level):
    """Which hash partitions should exist: one for each remainder.

    Attributes
    ----------
    modulus
        How many there are.
    """

    form: ClassVar[str] = "hash"
    strangers: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(_RANGE_KEYS, "belongs to range partitions, modulus: to hash partitions; keep one of them"),
        "default": "hash partitions have no default partition; leave it out",
        "move_default_rows": "hash partitions have no default partition; leave it out",
    }

    modulus: int = Field(ge=1, le=10_000)


def tables_of(level: RangeLevel | ListLevel | HashLevel) -> int:
    """Return how many partitions a level has at least."""
    if isinstance(level, RangeLevel):
        return level.ahead + 1
    if isinstance(level, ListLevel):
        return len(level.lists) + level.default
    return level.modulus


def form_of(data: Any) -> str:
    """Return which of the three forms a part of the fleet file has."""
    if isinstance(data, ListLevel) or (isinstance(data, dict) and "list" in data):
        return FORMS["list"]
    if isinstance(data, HashLevel) or (isinstance(data, dict) and "modulus" in data):
        return FORMS["hash"]
    return FORMS["range"]


SubLevel = Annotated[
    Annotated[RangeLevel, Tag(FORMS["range"])]
    | Annotated[ListLevel, Tag(FORMS["list"])]
    | Annotated[HashLevel, Tag(FORMS["hash"])],
    Discriminator(form_of),
]
