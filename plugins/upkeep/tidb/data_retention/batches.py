"""Rows of one table, removed batch by batch in ranges of the age column or of the row's key.

Every removing statement is a plain range scan: a LIMIT without a range would read all that was deleted before
again and again, for TiKV keeps old versions until they are collected. Two ways through a table:

- by age, in order, through an index that leads with the age column. To read the end of a range from the index
  costs as much as deleting it, so it is guessed from the range before, and a LIMIT bounds what a wrong guess
  can do: a delete goes on from there, a move of too many rows is rolled back and tried with a narrower range;
- by key (the clustered primary key, else the hidden row id): for partitions all of whose rows are due, for
  small tables, and where more rows of one age than a batch takes follow each other.

Every statement repeats the age predicate, and pessimistic statements read the newest version of a row: one
that somebody makes younger in between stays. Archiving is one transaction: INSERT … SELECT … FOR UPDATE locks
exactly the rows that it copies, DELETE takes the same range, and unless both counts are equal it is rolled back.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pymysql

from upkeep.jobs.contract import Checkpoint
from upkeep.jobs.data_retention.pace import LARGEST, SMALLEST, Pace
from upkeep.jobs.errors import ConservationError, LockNotObtainedError, StateChangedError
from upkeep.tidb import faults, server, sql
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention import archive_table
from upkeep.tidb.data_retention.args import Rows
from upkeep.tidb.data_retention.doomed import Doomed, archive, delete, moved
from upkeep.tidb.session import LOCK_WAIT_SECONDS, Row, TiDBSession
from upkeep.tidb.sql import Sql

LOCK_WAIT: Final = 1
"""Seconds for a row that others hold: then the batch is rolled back and tried again."""
TRIES: Final = 8
LONGEST_SLEEP: Final = 3.0
"""With the waits for locks 20 s: as long as TiDB keeps the locks of a session that died."""
PASS_BY: Final = 5
"""So many ranges may be left to the next run because others hold rows in them; then the table is left alone."""
MAX_PASSES: Final = 20
"""Levels of rows that refer to rows of the same table, removed in one run; and rounds until nothing due is left."""
SURPLUS: Final = 2
"""So many times the wanted rows a guessed range may delete at once."""
WIDEN: Final = 4
"""So many times wider or narrower a range may be than the one before."""
BREATH: Final = 0.02
"""Share of a batch's time that is slept after it, so that others come to their turn."""


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
    expected
        About how many rows will go, for the first guess.
    most, allow
        `Work.most` and `Work.allow`: what was approved, and whether so many rows are within it.
    tally
        Grows with every committed batch; right also when an exception ends the sweep.
    """

    session: TiDBSession
    args: Rows
    checkpoint: Checkpoint
    sleep: Callable[[float], None]
    expected: int | None = None
    most: int | None = None
    allow: Callable[[int], None] = lambda _rows: None
    tally: Tally = field(default_factory=Tally)
    pace: Pace = field(default_factory=Pace)
    _rows_since: int = 0
    _most: int = LARGEST

    @property
    def _moves(self) -> bool:
        return self.args.archive is not None

    def run(self, doomed: Doomed) -> bool:
        """Remove all due rows; return whether at the end none was left.

        Raises
        ------
        LockNotObtainedError
            Others held rows of too many ranges.
        ConservationError
            More or fewer rows would have been deleted than copied; that batch was rolled back.
        """
        # a batch that waits holds what it has locked already, so it gives up sooner than other statements do
        self.session.rows("lock_wait", {"seconds": LOCK_WAIT})
        try:
            for _ in range(MAX_PASSES):  # rows that refer to each other go level by level
                before = self.tally.rows
                self._pass(doomed)
                if not self._oldest(doomed):
                    return True
                if self.tally.rows == before or self.tally.held:
                    break
        finally:
            if not self.session.closed and not self.session.cancelled:
                self.session.rows("lock_wait", {"seconds": LOCK_WAIT_SECONDS})
        self.checkpoint(rows=self._take_rows())
        return False

    def _pass(self, doomed: Doomed) -> None:
        # without an index on the age each look for the next range would read the whole table
        if doomed.index is not None:
            with contextlib.suppress(_NoTimeError):
                self._guess(doomed)
                return
        for where, hint in self._keys(doomed, Sql("true"), Sql("")):
            self._batch(doomed, where, hint)

    def _guess(self, doomed: Doomed) -> None:
        """Remove range after range, each as wide as the one before says that a batch should be."""
        begin = self._begin_moving if self._moves else self._begin
        low = self._first(doomed)
        cut_off = doomed.cut_off_as(low)
        width = (cut_off - low) * min(self.pace.size / self.expected, 1) if low is not None and self.expected else None
        while low is not None and low < cut_off:
            if width is None:
                low, width = begin(doomed, low)
                continue
            edge = min(moved(low, min(width, cut_off - low)), cut_off)
            size, before, held = self.pace.size, self.tally.rows, self.tally.held
            try:
                self._batch(doomed, doomed.between(low, edge), doomed.by_age, limit=SURPLUS * size)
            except _TooManyError:
                width = (edge - low) / SURPLUS / 2
                # so many rows of one age that no range divides them: they go by their key
                if edge <= moved(low, width * 0):  # it cannot be narrower
                    self._same_age(doomed, low)
                    low, width = self._first(doomed, doomed.after(low)), None
                continue
            rows = self.tally.rows - before
            if rows >= SURPLUS * size and self.tally.held == held:
                width = (edge - low) / SURPLUS / 2  # more rows than guessed: the rest of the range comes next
            elif rows:
                width = (edge - low) * min(max(size / rows, 1 / WIDEN), WIDEN)
                low = edge
            else:
                width, low = None, self._first(doomed, doomed.from_(edge))

    def _begin(self, doomed: Doomed, low: Any) -> tuple[Any, Any]:
        """Delete the first rows from an age on, as many as a batch; return the next age, and how far that went."""
        held = self.tally.held
        self._batch(doomed, doomed.from_(low), doomed.by_age, limit=self.pace.size)
        if self.tally.held > held:  # others hold some of them: pass by
            edge = self._edge(doomed, low)
            return (edge, None) if edge is None or edge > low else (self._first(doomed, doomed.after(low)), None)
        following = self._first(doomed, doomed.from_(low))
        if following is not None and following == low:
            self._same_age(doomed, low)
            return self._first(doomed, doomed.after(low)), None
        return following, None if following is None else following - low

    def _begin_moving(self, doomed: Doomed, low: Any) -> tuple[Any, Any]:
        """Move the first rows from an age on; return the next age, and how far that went."""
        edge = self._edge(doomed, low)
        if edge is None:
            self._batch(doomed, doomed.from_(low), doomed.by_age)
            return None, None
        if edge == low:
            self._same_age(doomed, low)
            return self._first(doomed, doomed.after(low)), None
        self._batch(doomed, doomed.between(low, edge), doomed.by_age)
        return edge, edge - low

    def _same_age(self, doomed: Doomed, age: Any) -> None:
        same = sql.fill("{a} = {low}", a=doomed.age_column, low=doomed.value(age))
        for where, hint in self._keys(doomed, same, doomed.by_age):
            self._batch(doomed, where, hint)

    def _edge(self, doomed: Doomed, low: Any) -> Any:
        parts = {"hint": doomed.by_age, "age": doomed.age_column, "source": doomed.source}
        size = Sql(str(self.pace.size))
        return _age(
            self._look("data_retention/edge_age", low=doomed.value(low), size=size, predicate=doomed.predicate, **parts)
        )

    # -- ranges -------------------------------------------------------------------------------------

    def _first(self, doomed: Doomed, more: Sql | None = None) -> Any:
        return _age(self._oldest(doomed, more))

    def _oldest(self, doomed: Doomed, more: Sql | None = None) -> list[Row]:
        predicate = doomed.predicate if more is None else sql.joined(" and ", [more, doomed.predicate])
        parts = {"hint": doomed.by_age, "age": doomed.age_column, "source": doomed.source, "predicate": predicate}
        return self._look("data_retention/first_age", **parts)

    def _keys(self, doomed: Doomed, within: Sql, hint: Sql) -> Iterator[tuple[Sql, Sql]]:
        """Yield ranges of the key from its beginning: what was removed before is no longer in the way."""
        after: Sql | None = None
        while True:
            conditions = [within, *([after] if after is not None else []), doomed.predicate]
            predicate = sql.joined(" and ", conditions)
            size = Sql(str(max(self.pace.size - 1, 0)))
            parts = {"hint": hint, "keys": doomed.keys, "source": doomed.source, "predicate": predicate, "size": size}
            found = self._look("data_retention/edge_key", **parts)
            up_to = [doomed.up_to(found[0])] if found else []
            yield sql.joined(" and ", [within, *([after] if after is not None else []), *up_to]), hint
            if not found:
                return
            after = sql.fill("not {p}", p=up_to[0])

    def _look(self, name: str, **parts: Sql) -> list[Row]:
        self.checkpoint(rows=self._take_rows())
        return self.session.rows(name, **parts)

    # -- one batch ----------------------------------------------------------------------------------

    def _batch(self, doomed: Doomed, where: Sql, hint: Sql, *, limit: int | None = None) -> None:
        """Remove one range; halve it when it is too large; leave it to the next run when others hold rows in it.

        Raises `_TooManyError` when ``limit`` rows would have had to move, or more: none of them did.
        """
        delay = 0.2
        for number in range(TRIES):
            self.checkpoint(rows=self._take_rows())
            started = time.monotonic()
            try:
                self._stay_within(doomed, where, limit)
                rows = self._remove(doomed, where, hint, limit)
            except pymysql.MySQLError as error:
                self.tally.last_error = faults.describe(error)
                if faults.code(error) in faults.TOO_LARGE:
                    self._halve(doomed, where, hint, error)
                    return
                # 1451: a row that refers to one of these has just come; the next try's NOT EXISTS leaves that one out
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

    def _stay_within(self, doomed: Doomed, where: Sql, limit: int | None) -> None:
        """Count the range first where it may hold more than is left of what was approved."""
        if self.most is None or self.most - self.tally.rows > SURPLUS * LARGEST:
            return
        # only near the end of what was approved: a count costs as much as a batch
        self.allow(self.tally.rows)
        due = sql.joined(" and ", [where, doomed.predicate])
        room = self.most - self.tally.rows + 1
        counted = server.count(self.session, doomed.source, due, room if limit is None else min(limit, room))
        self.allow(self.tally.rows + (room if counted is None else counted))

    def _remove(self, doomed: Doomed, where: Sql, hint: Sql, limit: int | None) -> int:
        into = self.args.archive
        if into is None:
            # one statement, one transaction (autocommit): a kill leaves whole batches
            most = Sql("") if limit is None else Sql(f"limit {limit}")
            return self.session.execute(sql.fill("{d} {most}", d=delete(doomed, where, hint), most=most)).count
        with self.session.transaction():
            deleted = self._move(doomed, into, where, hint, limit)
        self.tally.archived += deleted
        return deleted

    def _move(self, doomed: Doomed, into: Planned, where: Sql, hint: Sql, limit: int | None) -> int:
        """Copy and delete one range, in the transaction that is open; return how many rows moved."""
        most = Sql("") if limit is None else Sql(f"limit {limit}")
        copied = self.session.execute(archive(doomed, into, self.args.columns, where, hint, most)).count
        # there may be more: the DELETE has no limit, would take those too, and they would be nowhere
        if copied == limit:
            raise _TooManyError
        # the copied rows are locked; one more can only have come into the range since, and the counts tell
        deleted = self.session.execute(delete(doomed, where, hint)).count
        if copied != deleted:
            raise _ChangedError(copied, deleted)
        self._require_shape(into)
        return deleted

    def _require_shape(self, into: Planned) -> None:
        """Compare the columns that there are now, while the transaction holds both tables, with the plan's."""
        table = self.args.table
        place = {"schema": table.schema, "table": table.name}
        place |= {"archive_schema": into.schema, "archive_table": into.name}
        known = {"table": table, "archive": into}
        odd = archive_table.changed(known, self.args.shape, self.session.rows("data_retention/shape", place))
        if odd is not None:
            raise StateChangedError(f"{odd}: nothing of this batch was moved; the next run plans anew")

    def _halve(self, doomed: Doomed, where: Sql, hint: Sql, error: pymysql.MySQLError) -> None:
        """Go through a range in smaller pieces, by key: the transaction was larger than the server takes."""
        self._shrink(error)
        for piece, _ in self._keys(doomed, where, hint):
            self._batch(doomed, piece, hint)

    def _shrink(self, error: pymysql.MySQLError) -> None:
        if self.pace.size <= 1:
            raise error
        # the limit is one of bytes, which rows of this table reach sooner: later batches stay below for the whole
        # sweep
        self._most = max(self.pace.size // 2, 1)
        self.pace.size, self.pace.rate = max(self.pace.size // 4, 1), None

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


def _age(found: list[Row]) -> Any:
    """Return the age that a look found; ``None`` without one. Raises `_NoTimeError`."""
    age = found[0]["edge"] if found else None
    if isinstance(age, str):
        raise _NoTimeError
    return age


class _NoTimeError(Exception):
    """An age like 2024-00-15, with which nothing can be reckoned: the rows go by their key."""


class _TooManyError(Exception):
    """A guessed range holds more rows than one transaction should move."""


class _ChangedError(Exception):
    """Rows arrived in the range between the copy and the delete: rolled back, to be tried again."""

    BEGINS: Final = "copied and deleted differ"

    def __init__(self, copied: int, deleted: int) -> None:
        super().__init__(f"{self.BEGINS}: {copied} rows were copied, {deleted} would have been deleted")


def evidence(sweep: Sweep, *, emptied: bool) -> dict[str, Any]:
    """Return what a sweep proves: counts from the transactions themselves."""
    tally = sweep.tally
    found: dict[str, Any] = {
        "rows_deleted": tally.rows,
        "batches": tally.batches,
        "ranges_left": tally.held,
        "cut_off": sweep.args.cut_off,
        "emptied": emptied,
    }
    if sweep.args.archive is not None:
        found |= {"rows_copied": tally.archived, "rows_archived": tally.archived, "proof": "count"}
    return found
