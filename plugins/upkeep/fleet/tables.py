"""What an owner may want for a table: its partitions, and how long its rows stay."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from upkeep.fleet.values import Length, LengthOrZero, Rows, Step, Strict, Zone
from upkeep.intervals import Duration
from upkeep.stores import location

MAX_CREATIONS = 200
"""Partitions created per table and run: a wrong interval must not create thousands (pg_partman#213)."""
MOVE_DEFAULT_ROWS = 10_000
"""Rows moved out of a default partition per new range; more only with the owner's word (pg_partman#510)."""


class PartitionPolicy(Strict):
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
    max_creations
        The most partitions created per table and run.
    move_default_rows
        The most rows moved out of the default partition into one new partition; more is only reported.
    """

    by: str
    every: Step
    ahead: int = Field(ge=0, le=10_000)
    timezone: Zone = "UTC"
    unit: Literal["seconds", "milliseconds", "microseconds", "id"] | None = None
    from_: datetime | date | int | None = Field(default=None, alias="from")
    max_creations: int = Field(default=MAX_CREATIONS, ge=1)
    move_default_rows: Rows = MOVE_DEFAULT_ROWS

    @model_validator(mode="after")
    def _possible(self) -> PartitionPolicy:
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


class TablePolicy(Strict):
    """What the owner wants for one table (or for every table that a glob names)."""

    partition: PartitionPolicy | None = None
    retain: RetainPolicy | None = None

    @model_validator(mode="after")
    def _possible(self) -> TablePolicy:
        if self.retain and not self.retain.by and not self.partition:
            message = "retain: needs by: the age column (or a partition: that names it)"
            raise ValueError(message)
        return self

    def declares(self, job: str) -> bool:
        """Return whether the policy says anything for a job."""
        part = {"partition_creation": self.partition, "data_retention": self.retain}.get(job)
        return part is not None

    @property
    def age_column(self) -> str | None:
        """The column that tells a row's age."""
        if self.retain is None:
            return None
        return self.retain.by or (self.partition.by if self.partition else None)
