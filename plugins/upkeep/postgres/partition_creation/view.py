"""The values that partition creation is decided from: one `Care` for each partitioned table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from upkeep.fleet import HashLevel, ListLevel, RangeLevel
from upkeep.fleet.tables import MAX_CREATIONS
from upkeep.jobs.partition_creation.layout import Layout, Wish
from upkeep.model import Finding
from upkeep.postgres import names
from upkeep.postgres.bounds import Axis, Value
from upkeep.postgres.catalog import Relation
from upkeep.postgres.partition_creation.conversion.view import Conversion
from upkeep.postgres.partition_creation.forms import Form, Span
from upkeep.postgres.partition_creation.list_and_hash import DeclaredValue, Sets

AnyLevel: TypeAlias = RangeLevel | ListLevel | HashLevel


class Default(NamedTuple):
    """A default partition."""

    oid: int
    schema: str
    name: str

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


class Branch(NamedTuple):
    """What a new partition is partitioned by in turn.

    Attributes
    ----------
    level
        As declared.
    key, type
        The column and its base type.
    axis, wish
        Of range sub-partitions.
    forms
        The sub-partitions that a new one is made with.
    model
        The table that they are made like.
    """

    level: AnyLevel
    key: str
    type: str
    axis: Axis | None
    wish: Wish | None
    forms: tuple[Form, ...]
    model: int


@dataclass(frozen=True, slots=True)
class Care:
    """One policy's table (or a partition of it that is partitioned in turn), or why it cannot be extended.

    Attributes
    ----------
    policy_name
        As it stands in the fleet file.
    subject
        The table that the policy names.
    level
        What is declared of this level.
    relation
        The partitioned table itself; on the second level (`depth` 1) a partition of the subject, ``root``.
    cap, limit
        The policy's cap; how many partitions this run may create here.
    problem
        Why nothing can be done; `later` when the finding alone says so, and no gate.
    axis, layout, place
        Of a range level; where the clock stands on it, or the highest id.
    sets
        What is missing of a list or hash level.
    spans, oids
        Its range partitions in order, those whose detaching is pending included; the partitions' object ids.
    pending
        Names of partitions whose detaching is pending.
    branch
        What new partitions are partitioned by in turn.
    model
        The table that new partitions are made like: the newest sibling, else the parent itself.
    notes
        What else is to be said.
    conversion
        How it is converted: a plain table for which range partitions are declared.
    """

    policy_name: str
    subject: str
    level: AnyLevel
    relation: Relation | None = None
    cap: int = MAX_CREATIONS
    limit: int = MAX_CREATIONS
    problem: Finding | None = None
    later: bool = False
    axis: Axis | None = None
    layout: Layout | None = None
    place: Value | None = None
    sets: Sets | None = None
    spans: tuple[Span, ...] = ()
    oids: tuple[int, ...] = ()
    default: Default | None = None
    pending: tuple[str, ...] = ()
    depth: int = 0
    root: int = 0
    branch: Branch | None = None
    model: int = 0
    notes: tuple[Finding, ...] = ()
    conversion: Conversion | None = None

    @property
    def ready(self) -> bool:
        """Whether it is known what is missing."""
        return self.layout is not None or self.sets is not None

    @property
    def missing(self) -> tuple[Form, ...]:
        """What is missing, the most urgent first."""
        if self.layout is not None:
            return self.layout.missing
        return self.sets.missing if self.sets is not None else ()

    @property
    def to_create(self) -> tuple[Form, ...]:
        """What this run may create: the most urgent, up to the policy's cap."""
        return self.missing[: self.limit]

    @property
    def may_move(self) -> int:
        """How many rows of the default partition may move into a new one; a hash level has no default partition."""
        return 0 if isinstance(self.level, HashLevel) else self.level.move_default_rows

    @property
    def values_of(self) -> tuple[int, int]:
        """Where `Lookup.values` has what the server says of this level's list."""
        return self.root, self.depth

    @property
    def table(self) -> str:
        """The name of the partitioned table itself."""
        return self.relation.subject if self.relation is not None else self.subject


@dataclass(slots=True)
class Lookup:
    """The frames, arranged for finding.

    Attributes
    ----------
    children
        By parent, a row of ``spans.sql``.
    plain
        By table, what was read of those that are not partitioned.
    values
        By the table of the policy and level, what the server says of declared list values.
    unseen
        By table of plain ids, why nobody knows where they stand.
    numbers
        By table, some of its key's numbers, where no bound tells whether they are times.
    """

    relations: dict[str, list[Relation]]
    at: datetime
    now: datetime
    children: Mapping[int, Mapping[str, Any]]
    highest: Mapping[int, int]
    plain: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    unseen: Mapping[int, str] = field(default_factory=dict)
    numbers: Mapping[int, Sequence[int]] = field(default_factory=dict)
    values: Mapping[tuple[int, int], Mapping[str, DeclaredValue]] = field(default_factory=dict)
