"""Which rows of one table may go, and the statements that take them: built in one place, never without the age.

A row that others refer to (a foreign key without CASCADE) stays: it is left out by NOT EXISTS, and TiDB's own
check catches a reference that appears in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from upkeep.model import Json
from upkeep.tidb import sql
from upkeep.tidb.ages import aged
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention.args import Rows
from upkeep.tidb.session import Row
from upkeep.tidb.sql import Sql

NO_LIMIT: Final = Sql("")


@dataclass(frozen=True, slots=True)
class Doomed:
    """The due rows of one table or partition, built in one place, never without the age predicate.

    Attributes
    ----------
    source
        The table, with its partition where only that is meant.
    key
        Columns that make a row unique, in order.
    """

    schema: str
    table: str
    partition: str | None
    age: str
    age_type: str
    cut_off: str
    key: tuple[str, ...]
    index: str | None
    references: tuple[Json, ...] = ()

    def __post_init__(self) -> None:
        # a DELETE without its WHERE is the one mistake that nothing here may be able to make
        if not self.cut_off or not self.age:
            raise ValueError("rows are never deleted without a cut-off")

    @classmethod
    def of(cls, args: Rows) -> Self:
        """Return the due rows that an action names."""
        return cls(
            schema=args.table.schema,
            table=args.table.name,
            partition=args.partition,
            age=args.age,
            age_type=args.age_type,
            cut_off=args.cut_off,
            key=args.key,
            index=args.index,
            references=args.references,
        )

    @property
    def source(self) -> Sql:
        """The table or partition in FROM."""
        table = sql.identifier(self.schema, self.table)
        if self.partition is None:
            return table
        return sql.fill("{t} partition ({p})", t=table, p=sql.identifier(self.partition))

    @property
    def age_column(self) -> Sql:
        """The age column."""
        return sql.identifier(self.schema, self.table, self.age)

    @property
    def predicate(self) -> Sql:
        """That a row is due (a date with zeros is no time), and that nobody refers to it."""
        due = aged(self.age_column, self.age_type, self.cut_off)
        return sql.joined(" and ", [due, *(self._unreferenced(key) for key in self.references)])

    @property
    def by_age(self) -> Sql:
        """The hint that keeps the scan on the age index; without its database it would mean the connection's."""
        if self.index is None:
            return Sql("")
        table = sql.identifier(self.schema, self.table)
        return sql.fill("/*+ use_index({t}, {i}) */", t=table, i=sql.identifier(self.index))

    @property
    def keys(self) -> Sql:
        """The key's columns."""
        return sql.joined(", ", (sql.identifier(column) for column in self.key))

    def value(self, text: Any) -> Sql:
        """Return a value of the age column."""
        return Sql(str(int(text))) if self.age_type.startswith("int") else sql.literal(text)

    def up_to(self, row: Row) -> Sql:
        """Return that a key is not after a given one, as ORs that an index scan understands."""
        # not as (a, b) <= (x, y): spelt out, each part is a range of the index
        parts = []
        for number, column in enumerate(self.key):
            same = [
                sql.fill("{k} = %(v)s", {"v": row[c]}, k=sql.identifier(self.schema, self.table, c))
                for c in self.key[:number]
            ]
            sign = "<=" if number + 1 == len(self.key) else "<"
            last = sql.fill(
                f"{{k}} {sign} %(v)s", {"v": row[column]}, k=sql.identifier(self.schema, self.table, column)
            )
            parts.append(sql.fill("({all})", all=sql.joined(" and ", [*same, last])))
        return sql.fill("({any})", any=sql.joined(" or ", parts))

    def from_(self, low: Any) -> Sql:
        """Return that a row is of this age or younger."""
        return sql.fill("{a} >= {low}", a=self.age_column, low=self.value(low))

    def after(self, low: Any) -> Sql:
        """Return that a row is younger than this age."""
        return sql.fill("{a} > {low}", a=self.age_column, low=self.value(low))

    def between(self, low: Any, high: Any) -> Sql:
        """Return a range of ages: ``low`` inside, ``high`` outside."""
        return sql.fill("{s} and {a} < {h}", s=self.from_(low), a=self.age_column, h=self.value(high))

    def cut_off_as(self, like: Any) -> Any:
        """Return the cut-off as the driver gives values of the age column."""
        if isinstance(like, int):
            return int(self.cut_off)
        moment = datetime.fromisoformat(self.cut_off)
        return moment if isinstance(like, datetime) else moment.date()

    def _unreferenced(self, key: Json) -> Sql:
        pairs = [
            sql.fill("r.{m} = {t}", m=sql.identifier(mine), t=sql.identifier(self.schema, self.table, theirs))
            for mine, theirs in zip(key["columns"], key["referenced"], strict=True)
        ]
        other, where = sql.identifier(key["schema"], key["table"]), sql.joined(" and ", pairs)
        return sql.fill("not exists (select 1 from {o} as r where {w})", o=other, w=where)

    def shown(self, args: Rows) -> tuple[str, ...]:
        """Return the statements of one batch, for reading."""
        where = sql.fill("{a} >= {low} and {a} < {high}", a=self.age_column, low=Sql("…"), high=Sql("…"))
        deleting = delete(self, where, Sql(""))
        if args.archive is None:
            return (deleting.text,)
        return (archive(self, args.archive, args.columns, where, Sql("")).text, deleting.text)


def delete(doomed: Doomed, where: Sql, hint: Sql) -> Sql:
    """Return the statement that deletes the due rows of a range."""
    parts = {"source": doomed.source, "range": where, "predicate": doomed.predicate, "hint": hint}
    return sql.statement("data_retention/delete_range", **parts)


def archive(  # noqa: PLR0917 - what goes, where to, and which of it
    doomed: Doomed, into: Planned, columns: Sequence[str], where: Sql, hint: Sql, limit: Sql = NO_LIMIT
) -> Sql:
    """Return the statement that copies the due rows of a range into the archive, and locks them."""
    return sql.statement(
        "data_retention/archive_range",
        archive=into.identifier,
        columns=sql.joined(", ", (sql.identifier(column) for column in columns)),
        source=doomed.source,
        range=where,
        predicate=doomed.predicate,
        hint=hint,
        limit=limit,
    )


def moved(low: Any, width: Any) -> Any:
    """Return an age so much later: by a microsecond, a day or one at least."""
    if isinstance(low, int):
        return low + max(int(width), 1)
    if isinstance(low, datetime):
        return low + max(width, timedelta(microseconds=1))
    return low + max(width, timedelta(days=1))
