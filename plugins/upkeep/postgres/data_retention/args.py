"""What the actions of retention hold, for those who carry them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import Field

from upkeep.jobs.args import Args
from upkeep.model import Json

Way: TypeAlias = Literal["keys", "sample", "pages"]
"""How to go through a table: see `batches`."""
Shape: TypeAlias = dict[str, str]
"""Column → type, as ``format_type`` prints it."""


@dataclass(frozen=True, slots=True)
class Known:
    """A table as it was planned for: found by its object id, whatever it is called by now."""

    oid: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class LeafRows(Known):
    """A table that holds rows, and the way through it."""

    way: Way


@dataclass(frozen=True, slots=True)
class Referring:
    """A table with a foreign key to the one in care."""

    oid: int
    schema: str
    table: str


class Detaching(Args):
    """Detaching a partition.

    Attributes
    ----------
    root_oid
        The table in care, where the parent is one of its partitions.
    terms
        What the policy wanted, for the marker.
    must_be_empty
        Its rows were to be moved, or deleted, before.
    referencing
        Locked before the parent.
    quality
        With the owner's expectations: of what rows (`examined_rows`).
    """

    oid: int
    parent_oid: int
    root_oid: int | None = None
    bounds: str | None
    mode: Literal["plainly", "concurrently", "finalize"]
    terms: Json = Field(default_factory=dict)
    must_be_empty: bool = False
    referencing: tuple[Referring, ...] = ()
    quality: Json | None = None


class Dropping(Args):
    """Dropping a detached table.

    Attributes
    ----------
    detached_at, kept_until, snapshot_after
        By its marker; ``None``: it is detached in the same run.
    """

    oid: int
    parent_oid: int | None
    bounds: str | None
    partition: str
    detached_at: str | None = None
    kept_until: str | None = None
    snapshot_after: str | None = None
    must_be_empty: bool = False
    foreign_keys: tuple[str, ...] = ()
    quality: Json | None = None


class Due(Args):
    """Which rows of a table are due.

    Attributes
    ----------
    age, age_type, cut_off
        The column that tells a row's age, its base type, and the literal before which a row is due.
    references
        Foreign keys that keep a row: ``schema``, ``table``, ``columns``, ``referenced``.
    """

    age: str
    age_type: str
    cut_off: str
    references: tuple[Json, ...]

    def said(self) -> dict[str, Any]:
        """Return what was said, so that more can be said of the same rows."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Rows(Due):
    """Deleting due rows of some tables."""

    leaves: tuple[LeafRows, ...]
    quality: Json | None = None


@dataclass(frozen=True, slots=True)
class Shapes:
    """The columns of the plan, of the table and of the archive table: with others no row moves."""

    table: Shape
    archive: Shape


class Moving(Rows):
    """Moving due rows into an archive table.

    Attributes
    ----------
    columns
        Those that move.
    overriding
        Whether the archive numbers its rows itself, and takes a number only when told to.
    proof
        What is compared: hashes of rows as a ``record`` or as ``text``, else the ``count`` alone.
    """

    archive: Known
    columns: tuple[str, ...]
    overriding: bool
    proof: Literal["record", "text", "count"]
    shape: Shapes


@dataclass(frozen=True, slots=True)
class Files:
    """Whose files, and where."""

    location: str
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class ColumnOf:
    """A column as the server describes it."""

    name: str
    type: str


class Filing(Rows):
    """Moving due rows into files."""

    files: Files
    columns: tuple[ColumnOf, ...]
    proof: Literal["bytes"]
    shape: Shapes


class Settling(Args):
    """Deciding what became of files that an earlier run left undecided."""

    files: Files


@dataclass(frozen=True, slots=True)
class Lighter(Known):
    """A table that lost many rows, and whether it is vacuumed: no autovacuum comes."""

    vacuum: bool


class CleaningUp(Args):
    """Fresh statistics after many rows went."""

    tables: tuple[Lighter, ...]
