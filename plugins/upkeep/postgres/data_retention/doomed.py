"""Which rows of one table may go, as SQL: built in one place, never without the age predicate.

A row that others refer to (a foreign key with NO ACTION or RESTRICT) stays: it is left out by NOT EXISTS,
and PostgreSQL's own check catches a reference that appears in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from psycopg import sql

from upkeep.model import Json
from upkeep.postgres.data_retention.args import Due, Known
from upkeep.postgres.data_retention.view import Leaf, TableView
from upkeep.postgres.names import column_of

_TYPES: Final = {
    name: sql.SQL(f"pg_catalog.{name}") for name in ("timestamptz", "timestamp", "date", "int2", "int4", "int8")
}


@dataclass(frozen=True, slots=True)
class Doomed:
    """The due rows of one leaf, in statements where the leaf's alias is ``t``.

    Attributes
    ----------
    oid, schema, name
        The leaf.
    age_column, age_type
        The column that tells a row's age, and its base type.
    cut_off
        Rows before it are due: the literal's text.
    references
        Foreign keys that keep a row: ``schema``, ``table``, ``columns``, ``referenced``.
    seen
        The oldest transaction whose rows were not looked at with the owner's expectations: what it or a later one
        wrote stays.
    """

    oid: int
    schema: str
    name: str
    age_column: str
    age_type: str
    cut_off: str
    references: tuple[Json, ...] = ()
    seen: str | None = None

    def __post_init__(self) -> None:
        if not self.cut_off or self.age_type not in _TYPES:
            raise ValueError("rows are never deleted without a cut-off")

    @classmethod
    def of(cls, view: TableView, leaf: Leaf) -> Self:
        """Return the due rows of a leaf of a table in care."""
        return cls.from_args(due_of(view), Known(leaf.oid, leaf.schema, leaf.name))

    @classmethod
    def from_args(cls, args: Due, leaf: Known) -> Self:
        """Return the due rows that an action names."""
        return cls(
            oid=leaf.oid,
            schema=leaf.schema,
            name=leaf.name,
            age_column=args.age,
            age_type=args.age_type,
            cut_off=args.cut_off,
            references=args.references,
        )

    @property
    def table(self) -> sql.Identifier:
        """The leaf."""
        return sql.Identifier(self.schema, self.name)

    @property
    def age(self) -> sql.Identifier:
        """The age column."""
        return sql.Identifier(self.age_column)

    @property
    def has_references(self) -> bool:
        """Whether foreign keys may keep rows."""
        return bool(self.references)

    @property
    def due(self) -> sql.Composed:
        """That a row is due."""
        return sql.SQL("t.{} < {}").format(self.age, self.value(self.cut_off))

    @property
    def predicate(self) -> sql.Composed:
        """That a row is due, and that nobody refers to it."""
        parts = [self.due, *(_unreferenced(key) for key in self.references)]
        return sql.SQL(" and ").join([*parts, not_newer(self.seen)] if self.seen else parts)

    def value(self, text: str) -> sql.Composed:
        """Return a value of the age column."""
        return sql.SQL("{}::{}").format(sql.Literal(text), _TYPES[self.age_type])

    def between(self, low: str, high: str | None) -> sql.Composed:
        """Return a range of ages: ``low`` inside, ``high`` outside (``None``: up to the cut-off)."""
        first = sql.SQL("t.{} >= {}").format(self.age, self.value(low))
        if high is None:
            return sql.Composed([first])
        return sql.SQL("{} and t.{} < {}").format(first, self.age, self.value(high))


def due_of(view: TableView) -> Due:
    """Return which rows of a table are due."""
    return Due(
        age=column_of(view.age),
        age_type=view.axis.type if view.axis else "",
        cut_off=view.cut_off_text,
        references=tuple(
            {key: foreign[key] for key in ("schema", "table", "columns", "referenced")} for foreign in view.references
        ),
    )


NEWER_MARGIN: Final = 1_000_000
"""Transactions that may begin between a statement's snapshot and its last look at a row that others changed."""


def not_newer(seen: str) -> sql.Composed:
    """Return that no transaction from ``seen`` on wrote the row.

    Rows know the lower 32 bits of their transaction: the distance is counted round the circle. A row that was
    frozen more than once round ago may look newer by chance; it stays until the next run.
    """
    distance = sql.SQL("(t.xmin::text::bigint - {} + 4294967296) % 4294967296").format(sql.Literal(int(seen) % 2**32))
    now = sql.SQL("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    limit = sql.SQL("{} - {} + {}").format(now, sql.Literal(int(seen)), sql.Literal(NEWER_MARGIN))
    return sql.SQL("{} >= {}").format(distance, limit)


def _unreferenced(key: Json) -> sql.Composed:
    pairs = [
        sql.SQL("r.{} = t.{}").format(sql.Identifier(mine), sql.Identifier(theirs))
        for mine, theirs in zip(key["columns"], key["referenced"], strict=True)
    ]
    return sql.SQL("not exists (select from {} as r where {})").format(
        sql.Identifier(key["schema"], key["table"]), sql.SQL(" and ").join(pairs)
    )
