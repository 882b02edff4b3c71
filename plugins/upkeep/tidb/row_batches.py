"""Rows of one table, removed batch by batch in ranges of the age column or of the row's key.

The end of each range is read ahead from the index, so that the removing statement is a plain range scan. Two
ways through a table:

- by age, in order, through an index that leads with the age column;
- by key (the clustered primary key, else the hidden row id): for partitions all of whose rows are due, for
  small tables, and where more rows of one age than a batch takes follow each other.

Every statement repeats the age predicate, and pessimistic statements read the newest version of a row: one
that somebody makes younger in between stays. Archiving is one transaction: INSERT … SELECT … FOR UPDATE locks
exactly the rows that it copies, DELETE takes the same range, and unless both counts are equal it is rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import pymysql

from upkeep.retention.pace import LARGEST, SMALLEST, Pace
from upkeep.tidb import faults, sql
from upkeep.tidb.faults import ConservationError, LockNotObtainedError
from upkeep.tidb.retention_view import ZERO_DATES_END
from upkeep.tidb.session import LOCK_WAIT_SECONDS
from upkeep.tidb.sql import Sql

if TYPE_CHECKING:
    from upkeep.jobs import Checkpoint
    from upkeep.plan import Json
    from upkeep.tidb.session import Row, TiDBSession

LOCK_WAIT: Final = 1
"""Seconds for a row that others hold: then the batch is rolled back and tried again."""
TRIES: Final = 8
LONGEST_SLEEP: Final = 3.0
"""With the waits for locks 20 s: as long as TiDB keeps the locks of a session that died."""
PASS_BY: Final = 5
"""So many ranges may be left to the next run because others hold rows in them; then the table is left alone."""
MAX_PASSES: Final = 20
"""Levels of rows that refer to rows of the same table, removed in one run; and rounds until nothing due is left."""
BREATH: Final = 0.02
"""Share of a batch's time that is slept after it, so that others come to their turn."""

Tell: TypeAlias = Callable[[int], None]


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
        if not self.cut_off or not self.age:
            raise ValueError("rows are never deleted without a cut-off")

    @classmethod
    def from_args(cls, args: Json) -> Self:
        """Return the due rows that an action names."""
        return cls(
            schema=args["table"]["schema"],
            table=args["table"]["name"],
            partition=args.get("partition"),
            age=args["age"],
            age_type=args["age_type"],
            cut_off=args["cut_off"],
            key=tuple(args["key"]),
            index=args["index"],
            references=tuple(args["references"]),
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
        """That a row is due (zero dates are no time), and that nobody refers to it."""
        parts = [sql.fill("{a} < {c}", a=self.age_column, c=self.value(self.cut_off))]
        if not self.age_type.startswith("int"):
            parts.append(sql.fill("{a} >= %(end)s", {"end": ZERO_DATES_END}, a=self.age_column))
        return sql.joined(" and ", parts + [self._unreferenced(key) for key in self.references])

    @property
    def by_age(self) -> Sql:
        """The hint that keeps the scan on the age index."""
        if self.index is None:
            return Sql("")
        return sql.fill("/*+ use_index({t}, {i}) */", t=sql.identifier(self.table), i=sql.identifier(self.index))

    @property
    def keys(self) -> Sql:
        """The key's columns."""
        return sql.joined(", ", (sql.identifier(column) for column in self.key))

    def value(self, text: Any) -> Sql:
        """Return a value of the age column."""
        return Sql(str(int(text))) if self.age_type.startswith("int") else sql.literal(text)

    def up_to(self, row: Row) -> Sql:
        """Return that a key is not after a given one, as ORs that an index scan understands."""
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

    def _unreferenced(self, key: Json) -> Sql:
        pairs = [
            sql.fill("r.{m} = {t}", m=sql.identifier(mine), t=sql.identifier(self.schema, self.table, theirs))
            for mine, theirs in zip(key["columns"], key["referenced"], strict=True)
        ]
        other, where = sql.identifier(key["schema"], key["table"]), sql.joined(" and ", pairs)
        return sql.fill("not exists (select 1 from {o} as r where {w})", o=other, w=where)

    def shown(self, args: Json) -> tuple[str, ...]:
        """Return the statements of one batch, for reading."""
        where = sql.fill("{a} >= {low} and {a} < {high}", a=self.age_column, low=Sql("…"), high=Sql("…"))
        delete = _delete(self, where, Sql(""))
        if "archive" not in args:
            return (delete.text,)
        return (_archive(self, args, where, Sql("")).text, delete.text)


def _delete(doomed: Doomed, where: Sql, hint: Sql) -> Sql:
    parts = {"source": doomed.source, "range": where, "predicate": doomed.predicate, "hint": hint}
    return sql.statement("delete_range", **parts)


def _archive(doomed: Doomed, args: Json, where: Sql, hint: Sql) -> Sql:
    return sql.statement(
        "archive_range",
        archive=sql.identifier(args["archive"]["schema"], args["archive"]["name"]),
        columns=sql.joined(", ", (sql.identifier(column) for column in args["columns"])),
        source=doomed.source,
        range=where,
        predicate=doomed.predicate,
        hint=hint,
    )


@dataclass
class Tally:
    """What all batches did together; ``held``: ranges that were left because others held rows in them."""

    rows: int = 0
    archived: int = 0
    batches: int = 0
    held: int = 0
    last_error: str = ""


@dataclass
class Sweep:
    """One removal of the due rows of a table or partition.

    Attributes
    ----------
    args
        The action's: with an ``archive`` the rows move there.
    tally
        Grows with every committed batch; right also when an exception ends the sweep.
    """

    session: TiDBSession
    args: Json
    checkpoint: Checkpoint
    sleep: Callable[[float], None]
    tally: Tally = field(default_factory=Tally)
    pace: Pace = field(default_factory=Pace)
    _rows_since: int = 0
    _most: int = LARGEST

    def run(self, doomed: Doomed) -> bool:
        """Remove all due rows; return whether at the end none was left.

        Raises
        ------
        LockNotObtainedError
            Others held rows of too many ranges.
        ConservationError
            More or fewer rows would have been deleted than copied; that batch was rolled back.
        """
        self.session.rows("lock_wait", {"seconds": LOCK_WAIT})
        try:
            for _ in range(MAX_PASSES):  # rows that refer to each other go level by level
                before = self.tally.rows
                self._pass(doomed)
                if self._first(doomed) is None:
                    return True
                if self.tally.rows == before or self.tally.held:
                    break
        finally:
            if not self.session.closed and not self.session.cancelled:
                self.session.rows("lock_wait", {"seconds": LOCK_WAIT_SECONDS})
        self.checkpoint(rows=self._take_rows())
        return False

    def _pass(self, doomed: Doomed) -> None:
        ranges = self._ages(doomed) if doomed.index is not None else self._keys(doomed, Sql("true"), Sql(""))
        for where, hint in ranges:
            self._batch(doomed, where, hint)

    # -- ranges -------------------------------------------------------------------------------------

    def _ages(self, doomed: Doomed) -> Iterator[tuple[Sql, Sql]]:
        low = self._first(doomed)
        hint = doomed.by_age
        while low is not None:
            parts = {"hint": hint, "age": doomed.age_column, "source": doomed.source, "predicate": doomed.predicate}
            found = self._look("edge_age", low=doomed.value(low), size=Sql(str(self.pace.size)), **parts)
            edge = found[0]["edge"] if found else None
            start = sql.fill("{a} >= {low}", a=doomed.age_column, low=doomed.value(low))
            if edge == low:
                same = sql.fill("{a} = {low}", a=doomed.age_column, low=doomed.value(low))
                yield from self._keys(doomed, same, hint)
                edge = self._first(doomed, sql.fill("{a} > {low}", a=doomed.age_column, low=doomed.value(low)))
            elif edge is None:
                yield start, hint
            else:
                yield sql.fill("{s} and {a} < {e}", s=start, a=doomed.age_column, e=doomed.value(edge)), hint
            low = edge

    def _first(self, doomed: Doomed, more: Sql | None = None) -> Any:
        predicate = doomed.predicate if more is None else sql.joined(" and ", [more, doomed.predicate])
        parts = {"hint": doomed.by_age, "age": doomed.age_column, "source": doomed.source, "predicate": predicate}
        found = self._look("first_age", **parts)
        return found[0]["edge"] if found else None

    def _keys(self, doomed: Doomed, within: Sql, hint: Sql) -> Iterator[tuple[Sql, Sql]]:
        """Yield ranges of the key from its beginning: what was removed before is no longer in the way."""
        after: Sql | None = None
        while True:
            conditions = [within, *([after] if after is not None else []), doomed.predicate]
            predicate = sql.joined(" and ", conditions)
            size = Sql(str(max(self.pace.size - 1, 0)))
            parts = {"hint": hint, "keys": doomed.keys, "source": doomed.source, "predicate": predicate, "size": size}
            found = self._look("edge_key", **parts)
            up_to = [doomed.up_to(found[0])] if found else []
            yield sql.joined(" and ", [within, *([after] if after is not None else []), *up_to]), hint
            if not found:
                return
            after = sql.fill("not {p}", p=up_to[0])

    def _look(self, name: str, **parts: Sql) -> list[Row]:
        self.checkpoint(rows=self._take_rows())
        return self.session.rows(name, **parts)

    # -- one batch ----------------------------------------------------------------------------------

    def _batch(self, doomed: Doomed, where: Sql, hint: Sql) -> None:
        """Remove one range; halve it when it is too large; leave it to the next run when others hold rows in it."""
        delay = 0.2
        for number in range(TRIES):
            self.checkpoint(rows=self._take_rows())
            started = time.monotonic()
            try:
                rows = self._remove(doomed, where, hint)
            except pymysql.MySQLError as error:
                self.tally.last_error = faults.describe(error)
                if faults.code(error) in faults.TOO_LARGE:
                    self._halve(doomed, where, hint, error)
                    return
                if faults.code(error) not in faults.TRANSIENT | faults.FOREIGN_KEY:
                    raise
            except _ChangedError as error:
                self.tally.last_error = str(error)
            else:
                self._count(rows, time.monotonic() - started)
                return
            if number + 1 < TRIES:
                self.sleep(delay)
            delay = min(delay * 2, LONGEST_SLEEP)
        if self.tally.last_error.startswith(_ChangedError.BEGINS):
            raise ConservationError(f"{self.tally.last_error}; each try was rolled back")
        self.tally.held += 1
        if self.tally.held >= PASS_BY:
            raise LockNotObtainedError(f"others held rows of {PASS_BY} ranges: {self.tally.last_error}")

    def _remove(self, doomed: Doomed, where: Sql, hint: Sql) -> int:
        delete = _delete(doomed, where, hint)
        if "archive" not in self.args:
            return self.session.execute(delete).count
        with self.session.transaction():
            copied = self.session.execute(_archive(doomed, self.args, where, hint)).count
            deleted = self.session.execute(delete).count
            if copied != deleted:
                raise _ChangedError(copied, deleted)
        self.tally.archived += copied
        return deleted

    def _halve(self, doomed: Doomed, where: Sql, hint: Sql, error: pymysql.MySQLError) -> None:
        """Go through a range in smaller pieces, by key: the transaction was larger than the server takes."""
        if self.pace.size <= 1:
            raise error
        self._most = max(self.pace.size // 2, 1)
        self.pace.size, self.pace.rate = max(self.pace.size // 4, 1), None
        for piece, _ in self._keys(doomed, where, hint):
            self._batch(doomed, piece, hint)

    def _count(self, rows: int, seconds: float) -> None:
        self.tally.rows += rows
        self.tally.batches += 1
        self._rows_since += rows
        full = rows >= self.pace.size
        self.pace.learn(rows, seconds)
        if full and rows < SMALLEST:  # too few to learn from, after batches had to be made tiny
            self.pace.size = rows * 2
        self.pace.size = min(self.pace.size, self._most)
        self.sleep(seconds * BREATH)

    def _take_rows(self) -> int:
        rows, self._rows_since = self._rows_since, 0
        return rows


class _ChangedError(Exception):
    """Rows arrived in the range between the copy and the delete: rolled back, to be tried again."""

    BEGINS: Final = "copied and deleted differ"

    def __init__(self, copied: int, deleted: int) -> None:
        super().__init__(f"{self.BEGINS}: {copied} rows were copied, {deleted} would have been deleted")


def evidence(sweep: Sweep, args: Json, *, emptied: bool) -> dict[str, Any]:
    """Return what a sweep proves: counts from the transactions themselves."""
    tally = sweep.tally
    found: dict[str, Any] = {
        "rows_deleted": tally.rows,
        "batches": tally.batches,
        "ranges_left": tally.held,
        "cut_off": args["cut_off"],
        "emptied": emptied,
    }
    if "archive" in args:
        found |= {"rows_copied": tally.archived, "rows_archived": tally.archived, "proof": "count"}
    return found
