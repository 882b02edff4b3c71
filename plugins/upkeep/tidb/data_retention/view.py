"""What retention decides from: the observed rows, given names and types, one `TableView` for each table in care.

Pure. A row without a time (NULL, or the zero date) is never due; in a partitioned table such rows lie in the
lowest partition, whatever its bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from upkeep.fleet import RetainPolicy
from upkeep.jobs.partition_creation.axis import Axis, Value
from upkeep.jobs.partition_creation.layout import Span
from upkeep.model import Json
from upkeep.tidb import names
from upkeep.tidb.ages import age_text
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.data_retention.args import Ageless
from upkeep.tidb.keys import Scale
from upkeep.tidb.ttl import Ttl


@dataclass(frozen=True, slots=True)
class Piece:
    """A partition with its span, and what was counted in it.

    Attributes
    ----------
    rows
        Counted when few, else what statistics say; ``None`` when neither is known.
    counted
        Whether ``rows`` was counted.
    ageless
        Rows without a time in it (NULL only in the lowest partition); ``None`` when they could not be counted.
    lowest
        Whether rows without a time and everything below the next bound belong here: it is emptied, never removed.
    """

    partition: Partition
    span: Span
    lowest: bool
    rows: int | None = None
    counted: bool = False
    ageless: int | None = 0


@dataclass(frozen=True, slots=True)
class Marked:
    """A table with our marker.

    Attributes
    ----------
    known
        Whether the ledger remembers it.
    evidence
        What the ledger wrote down when it was detached; empty when a killed run had not got that far.
    facts
        What was looked at where nothing else keeps the table: a row of the frame ``kept``.
    """

    table: Table
    marker: Json
    known: bool
    evidence: Json = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exchanged(self) -> bool:
        """Whether it holds the partition's data; else it is empty, left by a run that was killed."""
        return bool(self.table.id == self.marker.get("oid"))


@dataclass(frozen=True, slots=True)
class TableView:
    """One table in care, or a policy whose table is not there (``table`` is ``None``).

    Attributes
    ----------
    problem
        Why nothing can be decided at all, and the remedy.
    cut_off
        On the axis; rows before it are due.
    scale
        Of the partition key, when partitions tell the age.
    odd_bound
        A bound that is no time (2026-00-10).
    partitions, pieces
        All partitions; and those with finite bounds on the scale.
    rows
        What statistics say, or what was counted where they say too little for the limits.
    due, due_is_least
        Due rows, counted; with ``due_is_least`` there are more and ``due`` is the planner's estimate.
    stuck
        Partitions that do not go and may hold due rows: rows of the frame ``stuck``.
    timeless
        Rows among the first due ones whose date has the month or the day 0.
    numbers
        The least and the greatest age, where the column counts numbers and no bound tells its unit.
    small
        Whether the table has so few rows that it may be read whole.
    archive_kind
        What the archive's name means instead of a table: ``a view``.
    unique_keys, archive_keys, constraints, archive_constraints
        What table and archive ask of their rows: rows of ``unique_keys.sql``, checks and foreign keys.
    archive_ttl, archive_temporary, archive_cached
        What the archive itself forgets: by its own time to live, or at the end of each transaction; or lies in memory.
    global_index
        Whether an index lies over all partitions: then none can be exchanged.
    """

    policy_name: str
    policy: RetainPolicy
    subject: str
    age: str
    at: datetime
    server_now: datetime
    table: Table | None = None
    axis: Axis | None = None
    cut_off: Value | None = None
    problem: tuple[str, str] | None = None
    method: str | None = None
    scale: Scale | None = None
    odd_bound: str | None = None
    columns: Sequence[Mapping[str, Any]] = ()
    indexes: Sequence[Mapping[str, Any]] = ()
    referenced_by: Sequence[Mapping[str, Any]] = ()
    ttl: Ttl | None = None
    ttl_runs: bool = True
    archive: Table | None = None
    archive_kind: str | None = None
    archive_columns: Sequence[Mapping[str, Any]] = ()
    archive_ttl: Ttl | None = None
    archive_temporary: bool = False
    archive_cached: bool = False
    unique_keys: Sequence[Mapping[str, Any]] = ()
    archive_keys: Sequence[Mapping[str, Any]] = ()
    constraints: Sequence[Mapping[str, str]] = ()
    archive_constraints: Sequence[Mapping[str, str]] = ()
    global_index: bool = False
    partitions: Sequence[Partition] = ()
    pieces: Sequence[Piece] = ()
    marked: Sequence[Marked] = ()
    rows: int = 0
    due: int | None = None
    due_is_least: bool = False
    stuck: Sequence[Mapping[str, Any]] = ()
    timeless: int = 0
    numbers: Sequence[int] = ()
    small: bool = False
    busy: Mapping[str, Any] | None = None

    @property
    def is_partitioned(self) -> bool:
        """Whether the table is partitioned."""
        return self.method is not None

    @property
    def by_partition(self) -> bool:
        """Whether whole partitions go: the policy's precision, on a partitioned table."""
        return self.is_partitioned and self.policy.precision == "partition"

    @property
    def due_pieces(self) -> list[Piece]:
        """Partitions all of whose rows with a time are due, oldest first; never the last one."""
        if self.cut_off is None:
            return []
        due = [p for p in self.pieces if p.span.upper <= self.cut_off]
        return due[:-1] if due and len(due) == len(self.pieces) else due

    @property
    def cut_off_text(self) -> str:
        """The cut-off as the text of a value of the age column."""
        return age_text(self.axis, self.cut_off) if self.axis and self.cut_off is not None else ""

    @property
    def nullable(self) -> bool:
        """Whether rows may have no time."""
        return any(names.same(c["name"], self.age) and c["nullable"] for c in self.columns) or self._zero_dates

    @property
    def _zero_dates(self) -> bool:
        return self.axis is not None and not self.axis.type.startswith("int")

    @property
    def ageless(self) -> Ageless | None:
        """The column and type by which rows without a time are told; ``None`` when there can be none."""
        return Ageless(self.age, self.axis.type) if self.nullable and self.axis is not None else None

    @property
    def odd_dates(self) -> bool:
        """Whether the column takes dates whose month or day is 0 (an instant has neither)."""
        return self.axis is not None and self.axis.is_wall

    @property
    def row_key(self) -> list[str]:
        """The columns that make a row unique and order it: the clustered primary key, else the hidden row id."""
        if self.table is not None and self.table.pk_type == "CLUSTERED":
            primary = [row for row in self.indexes if row["name"] == "PRIMARY"]
            return [row["column"] for row in sorted(primary, key=lambda row: row["place"])]
        return ["_tidb_rowid"]

    @property
    def age_index(self) -> str | None:
        """An index that leads with the age column."""
        leading = [r for r in self.indexes if r["place"] == 1 and r["column"]]
        found = [r["name"] for r in leading if names.same(r["column"], self.age)]
        return found[0] if found else None
