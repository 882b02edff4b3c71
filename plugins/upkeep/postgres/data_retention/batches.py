"""Rows of one table, removed batch by batch in ranges of the age column or of pages.

The end of each range is read ahead from the index alone, so that the removing statement is a plain range
scan (a LIMIT in a sub-query costs two to six times as much). Three ways through a table:

- by key: ranges of the age column, in order, through a btree index that leads with it. Where most of a large
  table goes, the ends come from a sample of its pages: about right is enough for a size, and costs nothing;
- by page: ranges of ctid, for tables whose rows are all due, that are small, or that have only a BRIN index:
  the table is read once in all;
- by place: more rows of one age than go into a batch: their ctids are kept in a cursor on the server.

Every statement repeats the age predicate: under READ COMMITTED a row that somebody makes younger in between
is looked at again after the wait for its lock, and stays. Ranges say where to look, never what may go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

import psycopg
from psycopg import errors, sql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Checkpoint
from upkeep.jobs.data_retention.pace import LARGEST
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.postgres import holders
from upkeep.postgres.data_retention.args import Way
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.data_retention.throttle import Pace, Throttle
from upkeep.postgres.faults import TRANSIENT
from upkeep.postgres.session import LOCK_TIMEOUT, STATEMENT_TIMEOUT, PostgresSession

LOCK_WAIT: Final = "1s"
"""For a row or table that others hold: then the batch is rolled back and tried again."""
BATCH_TIMEOUT: Final = "10s"
"""Twenty times the target: a batch that takes longer is rolled back and halved."""
TRIES: Final = 5
MEETINGS: Final = 25
"""How often a batch may meet others who changed the same rows (a deadlock, a row that moved to another partition)."""
PASS_BY: Final = 10
"""So many ranges may be left to the next run because others hold rows in them; then the table is left alone."""
WORK_MEMORY: Final = "64MB"
"""Holds the rows of one batch on their way into the archive; the default of 4 MB would write them to disk twice."""
ROWS_ON_A_PAGE: Final = 50
"""Where no statistics say better."""
BREATH: Final = 0.02
"""Share of a batch's time that is slept after it, so that others come to their turn."""

FINE_ROWS: Final = 2_500
"""Sampled ends of ranges lie about so far apart; a batch takes as many ranges as fit."""
SAMPLED_SHARE: Final = 0.01
SAMPLED_PAGES: Final = 200
"""One page in a hundred is read for them, and not fewer than these: a gap between two then holds some 20,000 rows."""

Where: TypeAlias = sql.Composed


@dataclass(frozen=True, slots=True)
class Removed:
    """What one statement did, counted by itself.

    Attributes
    ----------
    rows
        Deleted.
    archived, hash_source, hash_archive
        Inserted into the archive, and order-independent sums of hashes on both sides; ``None`` when nothing is kept.
    """

    rows: int
    archived: int | None = None
    hash_source: int | None = None
    hash_archive: int | None = None


class Remover(Protocol):
    """Removes the due rows of a range in one transaction."""

    def __call__(self, doomed: Doomed, where: Where) -> Removed:
        """Return what was removed; raises what the server said, with everything rolled back."""


class BatchTooLargeError(UpkeepError):
    """A batch holds more bytes than one transaction should; it was rolled back and is cut anew, smaller."""


@dataclass
class Tally:
    """What all batches did together.

    Attributes
    ----------
    held
        Ranges that were left because others held rows in them.
    seconds
        Spent on all of it, pauses included.
    """

    rows: int = 0
    archived: int = 0
    batches: int = 0
    held: int = 0
    hash_source: int = 0
    hash_archive: int = 0
    last_error: str = ""
    seconds: float = 0.0

    def add(self, removed: Removed) -> None:
        """Count one batch."""
        self.rows += removed.rows
        self.archived += removed.archived or 0
        self.hash_source = (self.hash_source + (removed.hash_source or 0)) % 2**64
        self.hash_archive = (self.hash_archive + (removed.hash_archive or 0)) % 2**64
        self.batches += 1


@dataclass
class Sweep:
    """One removal over one or more tables.

    Attributes
    ----------
    remove
        Deletes or archives one range.
    most, allow
        `Work.most` and `Work.allow`: what was approved, and whether so many rows are within it.
    tally
        Grows with every committed batch; right also when an exception ends the sweep.
    """

    session: PostgresSession
    remove: Remover
    checkpoint: Checkpoint
    sleep: Callable[[float], None]
    most: int | None = None
    allow: Callable[[int], None] = lambda _rows: None
    tally: Tally = field(default_factory=Tally)
    pace: Pace = field(default_factory=Pace)
    throttle: Throttle = field(init=False)
    _rows_since: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Prepare the throttle."""
        self.throttle = Throttle(self.session, self.checkpoint, self.sleep)

    def run(self, doomed: Doomed, *, way: Way) -> None:
        """Remove all due rows of one table, going the given way through it."""
        started = time.monotonic()
        self._settings(on=True)
        try:
            while not self._through(self._ranges(doomed, way), doomed):
                pass
        finally:
            if not self.session.connection.closed:
                self._settings(on=False)
            self.tally.seconds += time.monotonic() - started
        # Batches commit asynchronously: what the outcome calls gone must be gone after a crash of the server, too.
        self.session.rows("flush")
        self.checkpoint(rows=self._take_rows())

    def _through(self, ranges: Iterator[Where], doomed: Doomed) -> bool:
        """Remove range after range; return whether the end was reached, or the ranges must be cut anew, smaller."""
        for where in ranges:
            try:
                self._batch(doomed, where)
            except (errors.QueryCanceled, BatchTooLargeError) as error:
                self.tally.last_error = _say(error)
                # Wide rows: down to a single one. A slow batch that cannot be made smaller is left to the next run.
                if self.pace.shrink(1) if isinstance(error, BatchTooLargeError) else self.pace.shrink():
                    return False
                self._pass_by()
        return True

    def _ranges(self, doomed: Doomed, way: Way) -> Iterator[Where]:
        if way == "pages":
            return self._pages(doomed)
        return self._sampled(doomed) if way == "sample" else self._keys(doomed)

    # -- ranges -------------------------------------------------------------------------------------

    def _keys(self, doomed: Doomed, low: str | None = None) -> Iterator[Where]:
        if low is None:
            low = self._one("data_retention/first", "first", doomed)
        while low is not None:
            # Each end is read when its turn comes: by then the size of a batch is what the last ones have taught.
            edge = self._one("data_retention/edge", "edge", doomed, low=low, size=self.pace.size)
            if edge == low:
                yield from self._same_age(doomed, low)
                edge = self._one("data_retention/next", "first", doomed, low=low)
            else:
                yield doomed.between(low, edge)
            low = edge

    def _sampled(self, doomed: Doomed) -> Iterator[Where]:
        low = self._one("data_retention/first", "first", doomed)
        size, passed = 0, None
        for edge in self._edges(doomed):
            if self.pace.size < 2 * FINE_ROWS:
                break  # the server is slow: small batches need exact ends
            size += FINE_ROWS
            if low is None or size < self.pace.size or edge == passed:
                continue
            if edge == low:
                yield from self._same_age(doomed, low)
                passed, low = low, self._one("data_retention/next", "first", doomed, low=low)
            else:
                yield doomed.between(low, edge)
                low = edge
            size = 0
        if low is not None:
            yield from self._keys(doomed, low)  # the rest

    def _edges(self, doomed: Doomed) -> Iterator[str]:
        """Yield ends of ranges of about `FINE_ROWS` rows; kept on the server, so that memory stays flat."""
        pages = self.session.rows("data_retention/pages", {"oid": doomed.oid})[0]["pages"]
        share = min(max(SAMPLED_SHARE, SAMPLED_PAGES / max(pages, 1)), 1.0)
        parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "due": doomed.due}
        parts |= {"percent": sql.Literal(share * 100), "step": sql.Literal(max(round(FINE_ROWS * share), 1))}
        # WITH HOLD: every batch commits, and a plain cursor ends with its transaction.
        with self.session.cursor("upkeep_edges", withhold=True) as cursor:
            cursor.execute(self.session.statement("data_retention/sample", **parts))
            while rows := cursor.fetchmany(1000):
                yield from (row["edge"] for row in rows)

    def _same_age(self, doomed: Doomed, age: str) -> Iterator[Where]:
        parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "due": doomed.due}
        statement = self.session.statement("data_retention/same_age", low=doomed.value(age), **parts)
        same = sql.SQL("t.{} = {}").format(doomed.age, doomed.value(age))
        with self.session.cursor("upkeep_same_age", withhold=True) as cursor:
            cursor.execute(statement)
            while places := [row["place"] for row in cursor.fetchmany(self.pace.size)]:
                # The age is asked again with the place: after a VACUUM another row may lie there.
                here = sql.SQL("t.ctid = any({}::tid[])").format(sql.Literal(places))
                yield sql.SQL("{} and {}").format(here, same)

    def _pages(self, doomed: Doomed) -> Iterator[Where]:
        density: float = ROWS_ON_A_PAGE
        # Read once: rows on pages that are added meanwhile are young, or the next run's.
        pages = self.session.rows("data_retention/pages", {"oid": doomed.oid})[0]["pages"]
        first = 0
        while first < pages:
            last = first + max(int(self.pace.size / max(density, 1)), 1)
            before = self.tally.rows
            yield sql.SQL("t.ctid >= {}::tid and t.ctid < {}::tid").format(
                sql.Literal(f"({first},0)"), sql.Literal(f"({last},0)")
            )
            # An empty stretch makes the next range four times as large at most: behind it the table may be full.
            density = max((self.tally.rows - before) / (last - first), density / 4)
            first = last

    def _one(self, name: str, column: str, doomed: Doomed, *, low: str | None = None, size: int = 0) -> str | None:
        parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "due": doomed.due}
        if low is not None:
            parts["low"] = doomed.value(low)
        if size:
            parts["size"] = sql.Literal(size)
        statement = self.session.statement(name, **parts)
        # A reader's lock, but a statement that wants the table exclusively makes even that one wait.
        for number in range(TRIES):
            self.checkpoint(rows=self._take_rows())
            try:
                found = self.session.execute(statement).fetchall()
            except errors.LockNotAvailable:
                if number + 1 == TRIES:
                    raise
                self.sleep(0.2 * 2**number)
            else:
                return found[0][column] if found else None
        return None

    # -- one batch ----------------------------------------------------------------------------------

    def _batch(self, doomed: Doomed, where: Where) -> None:
        """Remove one range; leave it to the next run when others hold rows in it."""
        waits = meetings = 0
        while waits < TRIES and meetings < MEETINGS:
            self.checkpoint(rows=self._take_rows())
            started = time.monotonic()
            try:
                self._stay_within(doomed, where)
                removed = self.remove(doomed, where)
            except errors.LockNotAvailable as error:
                self.tally.last_error = _say(error)
                waits += 1
                if waits == TRIES:
                    self.tally.last_error += holders.held_by(self.session, [doomed.oid], writers=True)
                if waits < TRIES:
                    self.sleep(0.1 * 2**waits)
            # Somebody has just begun to refer to one of the rows: the next look leaves that row out
            # (`Doomed.predicate`).
            except (*TRANSIENT, errors.ForeignKeyViolation) as error:
                self.tally.last_error = _say(error)
                meetings += 1
                self.sleep(0.01 * meetings)
            else:
                self._count(removed, time.monotonic() - started)
                return
        self._pass_by()

    def _stay_within(self, doomed: Doomed, where: Where) -> None:
        """Count the range first where it may hold more than is left of what was approved."""
        # No batch is meant to be larger than that: far from the approved number none is counted, for it costs a scan.
        if self.most is None or self.most - self.tally.rows > max(LARGEST, self.pace.largest or 0):
            return
        parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age}
        parts["limit"] = sql.Literal(self.most - self.tally.rows + 1)
        due = sql.SQL("{} and {}").format(where, doomed.predicate)
        counted = self.session.execute(self.session.statement("data_retention/due", due=due, **parts)).fetchall()[0][
            "due"
        ]
        self.allow(self.tally.rows + counted)

    def _pass_by(self) -> None:
        self.tally.held += 1
        if self.tally.held >= PASS_BY:
            raise LockNotObtainedError(f"others held rows of {PASS_BY} ranges: {self.tally.last_error}")

    def _count(self, removed: Removed, seconds: float) -> None:
        self.tally.add(removed)
        self._rows_since += removed.rows
        self.pace.learn(removed.rows, seconds)
        # Between batches, never in one: who waits for a replica holds no lock and no snapshot.
        self.throttle.pause()
        self.sleep(seconds * BREATH)

    def _take_rows(self) -> int:
        rows, self._rows_since = self._rows_since, 0
        return rows

    def _settings(self, *, on: bool) -> None:
        if on:
            values: dict[str, str | None] = {"lock": LOCK_WAIT, "statement": BATCH_TIMEOUT, "seqscan": "off"}
            values |= {"work_mem": WORK_MEMORY, "commit": "off"}
        else:
            # The session goes on to other work: what the batches changed is put back, the role's own settings too.
            values = {"lock": LOCK_TIMEOUT, "statement": STATEMENT_TIMEOUT, "seqscan": "on"}
            values |= {"work_mem": None, "commit": None}
        self.session.rows("data_retention/batch_settings", values)


def deleting(session: PostgresSession) -> Remover:
    """Return what deletes a range: one statement, one commit."""

    def remove(doomed: Doomed, where: Where) -> Removed:
        statement = session.statement("data_retention/delete", table=doomed.table, range=where, due=doomed.predicate)
        return Removed(rows=session.execute(statement).rowcount)

    return remove


def _say(error: psycopg.Error | BatchTooLargeError) -> str:
    if isinstance(error, BatchTooLargeError):
        return str(error)
    if isinstance(error, errors.ForeignKeyViolation):
        return f"rows are still referred to ({error.diag.constraint_name or 'a foreign key'})"
    if isinstance(error, errors.QueryCanceled):
        return f"a batch took longer than {BATCH_TIMEOUT}"
    return "other sessions hold its rows"
