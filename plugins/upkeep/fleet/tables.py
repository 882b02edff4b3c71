"""What an owner may want for a table: its partitions, and how long its rows stay."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from upkeep.fleet import location, suites
from upkeep.fleet.levels import FORMS, HashLevel, Level, ListLevel, RangeLevel, SubLevel, form_of, tables_of
from upkeep.fleet.ttl import TtlPolicy
from upkeep.fleet.values import Length, LengthOrZero, ObjectPolicy, Strict, Zone
from upkeep.model.intervals import Duration

MAX_CREATIONS = 200
"""Partitions created per table and run: a wrong interval must not create thousands (pg_partman#213)."""


class Top(Level):
    """What the first level says besides its form.

    Attributes
    ----------
    max_creations
        The most tables created per table and run, sub-partitions counted too.
    subpartition
        What each partition is partitioned by in turn: one further level.
    """

    max_creations: int = Field(default=MAX_CREATIONS, ge=1)
    subpartition: SubLevel | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_level(cls, data: Any) -> Any:
        below = data.get("subpartition") if isinstance(data, dict) else None
        if isinstance(below, dict):
            if "subpartition" in below:
                message = "subpartition: within subpartition: one level of sub-partitions is taken care of, not more"
                raise ValueError(message)
            if "max_creations" in below:
                message = "max_creations: counts the sub-partitions too; write it beside subpartition, not in it"
                raise ValueError(message)
        return data

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        below = self.subpartition
        if below is None:
            return self
        if (below.by, below.form) == (self.by, self.form):
            instead = _INSTEAD[below.form]
            message = f"subpartition: by: {below.by} is what the table is partitioned by already; {instead}"
            raise ValueError(message)
        if 1 + tables_of(below) > self.max_creations:
            message = (
                f"max_creations: one partition with its {tables_of(below)} sub-partitions is more than "
                f"{self.max_creations} tables; raise it, or declare fewer sub-partitions"
            )
            raise ValueError(message)
        return self


_INSTEAD: Final = {
    "range": "choose one length in every",
    "list": "declare the smaller lists, or another column",
    "hash": "its rows would all lie in few of the sub-partitions; raise modulus, or name another column",
}


class PartitionPolicy(RangeLevel, Top):
    """Which range partitions should exist: `RangeLevel`, the cap, and what they are partitioned by in turn."""


class ListPolicy(ListLevel, Top):
    """Which list partitions should exist: `ListLevel`, the cap, and what they are partitioned by in turn."""


class HashPolicy(HashLevel, Top):
    """Which hash partitions should exist: `HashLevel`, the cap, and what they are partitioned by in turn."""


AnyPartition = Annotated[
    Annotated[PartitionPolicy, Tag(FORMS["range"])]
    | Annotated[ListPolicy, Tag(FORMS["list"])]
    | Annotated[HashPolicy, Tag(FORMS["hash"])],
    Discriminator(form_of),
]


BOTH: Final = (
    "ttl: the server removes rows by itself, retain: Upkeep does; declare one of them, for what one removes the other "
    "can neither archive nor prove"
)


class BackupRule(Strict):
    """``requires: {backup: AGE}``: a verified backup whose snapshot is at most so old."""

    backup: Length


class RetainPolicy(Strict):
    """How long rows stay, and what happens then.

    Attributes
    ----------
    for_
        (``for``) Rows older than this are due.
    by
        The age column; default: the partition column.
    then
        ``delete`` or ``archive`` (copied into ``into`` first, proven, then deleted).
    into
        The archive table, or the directory or object-store URL for Parquet files.
    precision
        ``partition``: whole partitions only; ``row``: rows in batches.
    grace
        Time between detaching a partition and dropping it.
    requires
        ``approval``, ``nothing`` or ``{backup: AGE}``.
    timezone
        Where days and months begin.
    unit
        What an integer age column counts.
    cascades
        ``declared``: the owner accepts that the delete fires user triggers, rules or ON DELETE actions.
    """

    for_: Length = Field(alias="for")
    by: str | None = None
    then: Literal["delete", "archive"]
    into: str | None = None
    precision: Literal["partition", "row"] = "partition"
    grace: LengthOrZero = Duration(days=7)
    requires: Literal["approval", "nothing"] | BackupRule = "approval"
    timezone: Zone = "UTC"
    unit: Literal["seconds", "milliseconds", "microseconds", "id"] | None = None
    cascades: Literal["refuse", "declared"] = "refuse"

    @model_validator(mode="after")
    def _possible(self) -> RetainPolicy:
        if self.then == "archive" and not self.into:
            message = "then: archive needs into: the archive table, a directory or an object-store URL"
            raise ValueError(message)
        if self.then == "delete" and self.into:
            message = "into: is given, but then: is delete; write then: archive, or leave into out"
            raise ValueError(message)
        wrong = location.problem(self.into) if self.into and location.is_location(self.into) else None
        if wrong:
            message = f"into: {wrong}"
            raise ValueError(message)
        if self.unit == "id":
            message = "unit: id has no age; retention needs a time column or an epoch unit"
            raise ValueError(message)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The declared time zone."""
        return ZoneInfo(self.timezone)


class TablePolicy(ObjectPolicy):
    """What the owner wants for one table (or for every table that a glob names).

    Attributes
    ----------
    ttl
        The server's own time to live, on engines that have one.
    quality
        A Great Expectations suite that rows must meet before they go; those of an action that fails it stay.
    """

    partition: AnyPartition | None = None
    retain: RetainPolicy | None = None
    ttl: TtlPolicy | None = None
    quality: str | None = None

    @field_validator("quality")
    @classmethod
    def _suite(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        path = suites.find(value, (info.context or {}).get("folder"))
        suites.read(path)
        return str(path)

    @model_validator(mode="after")
    def _possible(self) -> TablePolicy:
        retain, partition = self.retain, self.partition
        if retain is not None and self.ttl is not None:
            raise ValueError(BOTH)
        if retain is None:
            if self.quality:
                message = "quality: is asked before rows go, but there is no retain:; add it, or leave quality out"
                raise ValueError(message)
            return self
        if not self.age_column:
            message = "retain: needs by: the age column (or a partition: that names it)"
            if partition is not None:
                message = f"retain: needs by: the age column (partitions by {partition.form} tell no age)"
            raise ValueError(message)
        if partition is not None and not self.ranges and retain.precision == "partition":
            message = (
                "retain: precision: partition needs range partitions by the age column, and "
                f"{partition.form} partitions tell no age; write precision: row"
            )
            raise ValueError(message)
        return self

    @property
    def ranges(self) -> RangeLevel | None:
        """The level of range partitions that tells the age: the one by the age column, else the first one."""
        if self.partition is None:
            return None
        levels = [level for level in (self.partition, self.partition.subpartition) if isinstance(level, RangeLevel)]
        wanted = self.retain.by if self.retain is not None else None
        return next((level for level in levels if level.by == wanted), levels[0] if levels else None)

    @property
    def age_column(self) -> str | None:
        """The column that tells a row's age."""
        if self.retain is None:
            return None
        return self.retain.by or (self.ranges.by if self.ranges else None)
