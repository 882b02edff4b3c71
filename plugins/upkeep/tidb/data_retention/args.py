"""What the actions of retention hold, for those who carry them out; bounds as `Scale.number` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pydantic import ConfigDict, Field

from upkeep.jobs.args import Args
from upkeep.model import Json
from upkeep.tidb.catalog import Planned

Bounds: TypeAlias = tuple[str | None, str]
"""Where a partition begins (``None``: the lowest), and where it ends."""


@dataclass(frozen=True, slots=True)
class Ageless:
    """The column and type by which rows without a time are told."""

    column: str
    type: str


class OfPartition(Args):
    """An action on one partition: merging it with the one below.

    Attributes
    ----------
    oid
        The id of the partition's data; an exchange swaps it with a table's.
    parent_oid
        That of the table.
    """

    oid: int
    parent_oid: int
    table: Planned
    partition: str
    bounds: Bounds


class Detaching(OfPartition):
    """Taking a partition out.

    Attributes
    ----------
    ageless
        ``None``: there can be no rows without a time.
    terms
        What the policy wanted, for the marker.
    merges
        Whether the empty partition is merged then; ``None``: unless it is the lowest.
    """

    lowest: bool
    ageless: Ageless | None
    terms: Json = Field(default_factory=dict)
    merges: bool | None = None


class Detached(OfPartition):
    """What taking it back needs of a detaching, of whatever release."""

    model_config = ConfigDict(extra="ignore")


class Dropping(Args):
    """Dropping a detached table.

    Attributes
    ----------
    detached_at, kept_until, snapshot_after
        By its marker; ``None``: it is detached in the same run.
    name
        What it is called.
    not_due
        ``column``, ``type`` and ``from``, by which rows are told that the partition cannot have held.
    empty
        Whether its rows were to be moved out.
    """

    oid: int
    parent_oid: int
    bounds: Bounds
    detached_at: str | None = None
    kept_until: str | None = None
    snapshot_after: str | None = None
    name: str
    not_due: Json | None = None
    empty: bool = False
    planned_rows: int | None = None


class Leftover(Args):
    """Removing what a killed run left: ``id`` of the table, ``oid`` of the partition that it was made for."""

    id: int
    oid: int
    name: str
    table: Planned


class Rows(Args):
    """Deleting or moving due rows.

    Attributes
    ----------
    table
        Where they lie: the table, or a detached one.
    key
        Columns that make a row unique, in order.
    references
        Foreign keys whose rows keep the rows that they refer to.
    partition, oid, ends
        Only of this partition (or detached table), and where it ends.
    detached_at
        When the table was detached.
    archive, columns, shape
        With an archive the rows move there: these columns, while both tables have the columns of ``shape``.
    """

    table: Planned
    age: str
    age_type: str
    cut_off: str
    index: str | None
    key: tuple[str, ...]
    references: tuple[Json, ...]
    partition: str | None = None
    oid: int | None = None
    ends: str | None = None
    detached_at: str | None = None
    archive: Planned | None = None
    columns: tuple[str, ...] = ()
    shape: Json = Field(default_factory=dict)
