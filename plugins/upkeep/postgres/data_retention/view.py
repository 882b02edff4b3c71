"""What retention decides from: one `TableView` for each table in care, with names and types. Pure values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from upkeep.fleet import RetainPolicy
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.partition_creation.axis import Axis, Value
from upkeep.model import Json, Requirement
from upkeep.postgres import names
from upkeep.postgres.catalog import Partition, Relation
from upkeep.postgres.session import Row


@dataclass(frozen=True, slots=True)
class Piece:
    """A partition that may go as a whole: directly below the table, or below a partition of it that tells the age.

    Attributes
    ----------
    lower, upper
        ``None`` when the bounds are not of one time column (list, hash, default, pending).
    parent
        What it is a partition of: the table itself, or a partition of that.
    """

    partition: Partition
    lower: Value | None
    upper: Value | None
    parent: Relation

    def is_due(self, cut_off: Value) -> bool:
        """Whether all its rows are due: its upper bound (outside) is not after the cut-off."""
        return self.upper is not None and self.upper <= cut_off


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table that really holds rows: the table itself, or a partition at the lowest level.

    Attributes
    ----------
    rows
        Estimate; ``None`` when nothing is known.
    path
        Object ids from the table down to the leaf, both included.
    ordered
        Whether a btree index leads with the age column.
    brin
        Whether a BRIN index covers it.
    autovacuum_off
        Whether nobody cleans up after a deletion.
    due, due_is_least
        Due rows that may go, counted; with ``due_is_least`` there are more and ``due`` is the planner's estimate.
        ``None`` when not counted.
    first
        The lowest age among the due rows, as text.
    referenced
        Due rows that others refer to.
    writers
        Transactions that wrote the due rows, when these are few.
    """

    oid: int
    schema: str
    name: str
    kind: str
    path: Sequence[int]
    detach_pending: bool
    pages: int
    rows: float | None
    ordered: bool
    brin: bool
    autovacuum_off: bool
    due: int | None = None
    due_is_least: bool = False
    first: str | None = None
    referenced: int = 0
    writers: Mapping[str, int] | None = None

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Marked:
    """A table with our marker: detached by us (or attached again by somebody since).

    Attributes
    ----------
    objects
        Triggers, rules, policies and publications that would go with it: ``oid``, ``what``.
    evidence
        What the ledger remembers of its detaching; empty: nothing, or a killed run began it.
    younger
        Whether it holds rows that are not due by today's cut-off; ``None``: not looked at, or not in time.
    counted, uncounted
        Its rows, counted up to one more than it was left with; whether that was tried in vain.
    leaves
        The tables that hold its rows when it is partitioned; only looked at where these may have to move.
    """

    oid: int
    schema: str
    name: str
    kind: str
    is_partition: bool
    detach_pending: bool
    rows: float
    pages: int
    marker: Json
    owner: str
    owner_is_superuser: bool
    may_alter: bool
    foreign_keys: Sequence[str]
    dependants: Sequence[str]
    not_empty: bool | None
    known: bool
    objects: Sequence[Row]
    evidence: Json
    counted: int | None
    uncounted: bool
    younger: bool | None
    leaves: Sequence[Leaf] = ()

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class TableView:
    """One table in care, or a policy whose table is not there (``relation`` is ``None``).

    Attributes
    ----------
    problem
        Why nothing can be decided at all (the age column is missing or no time, the name is no name …).
    cut_off
        On the axis; rows before it are due.
    server_now
        The server's clock, for grace periods.
    facts, archive_facts
        Rows of ``facts.sql``; ``None`` when they were not needed.
    quality
        The file of the owner's own expectations.
    files
        What was seen of the directory or object store that the policy archives into; ``None``: it names a table.
    tells_age
        Whether partitions, of the table or of its partitions, are ranges of the age column.
    referenced_pieces
        Partition oid → the table that refers to its rows, or ``None`` when it could not be checked.
    open_rows
        Partition oid → how many due rows it holds (`open_partitions`).
    reattached
        Tables that Upkeep detached and somebody attached again: left alone while they carry the marker.
    undroppable
        Partition oid → a row of ``held.sql``: due ones that could never be dropped.
    """

    policy_name: str
    policy: RetainPolicy
    subject: str
    age: str
    at: datetime
    server_now: datetime
    relation: Relation | None = None
    axis: Axis | None = None
    cut_off: Value | None = None
    problem: tuple[str, str] | None = None
    facts: Row | None = None
    archive: Relation | None = None
    archive_facts: Row | None = None
    archive_bounds: Sequence[tuple[Value, Value]] | None = None
    pieces: Sequence[Piece] = ()
    tells_age: bool = False
    leaves: Sequence[Leaf] = ()
    marked: Sequence[Marked] = ()
    referenced_pieces: Mapping[int, str | None] | None = None
    open_rows: Mapping[int, Row] = field(default_factory=dict)
    undroppable: Mapping[int, Row] | None = None
    begun: frozenset[int] = frozenset()
    reattached: frozenset[int] = frozenset()
    files: Row | None = None
    quality: str | None = None

    @property
    def is_partitioned(self) -> bool:
        """Whether the table is partitioned."""
        return self.relation is not None and self.relation.kind == "p"

    @property
    def by_partition(self) -> bool:
        """Whether whole partitions go: the policy's precision, on a partitioned table."""
        return self.is_partitioned and self.policy.precision == "partition"

    @property
    def archives(self) -> bool:
        """Whether rows are kept elsewhere before they go."""
        return self.policy.then == "archive"

    @property
    def into(self) -> str | None:
        """Where rows are kept: a table, or a location of files."""
        return self.policy.into

    @property
    def kept_for(self) -> str:
        """How long rows stay, as the owner wrote it."""
        return str(self.policy.for_)

    @property
    def cascades(self) -> bool:
        """Whether the owner has declared that rows of other tables go along."""
        return self.policy.cascades == "declared"

    @property
    def requirement(self) -> Requirement:
        """What must be there before rows may go."""
        return requirement(self.policy)

    @property
    def cut_off_text(self) -> str:
        """The cut-off as a literal of the age column."""
        return self.axis.write(self.cut_off) if self.axis and self.cut_off is not None else ""

    @property
    def due_pieces(self) -> list[Piece]:
        """Partitions all of whose rows are due, oldest first."""
        cut_off = self.cut_off
        if cut_off is None:
            return []
        due = [p for p in self.pieces if p.is_due(cut_off) and not p.partition.detach_pending]
        return sorted(due, key=lambda p: p.upper or 0)

    def remaining(self, parent: int) -> list[Piece]:
        """Return the partitions of one parent that count when its last one must stay."""
        own = [p for p in self.pieces if p.parent.oid == parent]
        return [p for p in own if not p.partition.is_default and not p.partition.detach_pending]

    def leaves_below(self, oid: int) -> list[Leaf]:
        """Return the leaves of one partition (itself, when it is a leaf)."""
        return [leaf for leaf in self.leaves if oid in leaf.path]

    def holds_reattached(self, piece: Piece) -> bool:
        """Whether somebody attached the partition, or a part of it, again after Upkeep had detached it."""
        below = {oid for leaf in self.leaves_below(piece.partition.oid) for oid in leaf.path}
        return bool(self.reattached & {piece.partition.oid, *below})

    def row_leaves(self, kind: str = "") -> list[Leaf]:
        """Return the leaves that may hold due rows: whose partition begins before the cut-off, or tells nothing.

        Of one ``kind`` only; of foreign ones (``f``) nobody knows the size.
        """
        lowest = {p.partition.oid: p.lower for p in self.pieces if p.lower is not None}
        result = []
        for leaf in self.leaves:
            lower = next((lowest[oid] for oid in leaf.path if oid in lowest), None)
            if (
                not leaf.detach_pending
                and not self.reattached & set(leaf.path)
                and (leaf.pages or leaf.kind == "f")
                and kind in ("", leaf.kind)
                and (lower is None or self.cut_off is None or lower < self.cut_off)
            ):
                result.append(leaf)
        return result

    @property
    def references(self) -> list[Row]:
        """Foreign keys whose rows keep ours from going (NO ACTION, RESTRICT)."""
        return [key for key in (self.facts or {}).get("referenced_by") or [] if key["on_delete"] in ("a", "r")]
