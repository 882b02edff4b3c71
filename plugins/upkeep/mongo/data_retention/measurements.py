"""Measurements of a time-series collection, copied range by range into an ordinary one, and proven there.

Before version 7 the server deletes measurements only by their meta field; by time it deletes itself, through
``expireAfterSeconds``. So an archive must be complete before that reaches them, and there is no deletion of ours
that a transaction could tie the copying to. What makes it safe instead:

- each measurement gets an id made of its time, its own ``_id`` and a hash of its content, and, because neither is
  unique in such a collection, a number among its equals: copying a range again, after a kill or for late
  arrivals, doubles nothing and loses no equal one;
- a range counts as archived only when the number of measurements and the sum of their hashes are the same on both
  sides, computed from the contents there; each range is recorded in the ledger with both.

``$toHashedIndexKey`` cuts fractions off, so numbers are hashed as text (15 digits). Two measurements that differ
only beyond that, with equal ``_id`` and time, are noticed and stop the copying.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import WriteConcern
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ConservationError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.mongo import faults
from upkeep.mongo.data_retention import pipelines
from upkeep.mongo.elections import persist
from upkeep.mongo.session import MAJORITY_MS, Doc, MongoSession

RANGE_ROWS: Final = 20_000
"""Measurements in a range: some two seconds of work between two checkpoints."""
TOO_MANY: Final = 4
"""A range with so many times more is halved."""
STEPS: Final = 50
STEP: Final = timedelta(hours=1)
"""What is there is compared with the archive in so many steps, none shorter: only where the sums differ, one by one."""
SHORTEST: Final = timedelta(milliseconds=1)
"""Times are dates of whole milliseconds."""
TRIES: Final = 3
"""A range into which measurements arrive while it is copied is copied again so often."""
CONVERSION_FAILURE: Final = 241


@dataclass(frozen=True, slots=True)
class Summary:
    """How many measurements, and the sum of their hashes, which does not depend on their order."""

    rows: int = 0
    hash: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A time-series collection and its archive."""

    session: MongoSession
    source: str
    time: str
    into: str

    def summary(self, low: datetime, high: datetime, *, limit_ms: int | None = None) -> Summary:
        """Return what the source holds in a range (``low`` inside, ``high`` outside)."""
        return self._summary(self.source, "measurement_summary", low, high, limit_ms)

    def archived(self, low: datetime, high: datetime, *, limit_ms: int | None = None) -> Summary:
        """Return what the archive holds of a range, hashed anew from what is stored there."""
        return self._summary(self.into, "archived_summary", low, high, limit_ms)

    def is_archived(self, high: datetime, *, limit_ms: int | None = None) -> bool:
        """Return whether everything before ``high`` that is still there is in the archive too.

        The archive may hold more: of one time some buckets expire before others.
        """
        low = self.oldest()
        if low is None or low >= high:
            return True
        deadline = None if limit_ms is None else time.monotonic() + limit_ms / 1000
        step = max((high - low) / STEPS, STEP)
        edges = [low + step * n for n in range(STEPS + 1) if low + step * n < high]
        return all(self._holds(*bounds, deadline) for bounds in itertools.pairwise([*edges, high]))

    def _holds(self, low: datetime, high: datetime, deadline: float | None) -> bool:
        """Return whether a range is archived: by the sums, else, where those differ, measurement by measurement."""

        def left() -> int | None:
            return None if deadline is None else max(round((deadline - time.monotonic()) * 1000), 1)

        # the sums first: they read each side once, while to look for each measurement asks the archive for every one
        if self.summary(low, high, limit_ms=left()) == self.archived(low, high, limit_ms=left()):
            return True
        try:
            return self.missing(low, high, limit_ms=left()) == 0
        except OperationFailure as error:
            # two that cannot be told apart: not archived, as far as anybody can prove
            if faults.code(error) == CONVERSION_FAILURE:
                return False
            raise

    def oldest(self) -> datetime | None:
        """Return the time of the oldest measurement; ``None`` when there is none."""
        found = self.session.database[self.source].find_one({}, {self.time: 1, "_id": 0}, sort=[(self.time, 1)])
        return None if found is None else _python(found[self.time])

    def missing(self, low: datetime, high: datetime, *, limit_ms: int | None = None) -> int:
        """Return how many measurements of a range the archive does not have, or has with other content."""
        pipeline = pipelines.load("missing_measurements", time=self.time, into=self.into, low=low, high=high)
        options: Doc = {} if limit_ms is None else {"maxTimeMS": limit_ms}
        found = list(self._collection(self.source).aggregate(pipeline, allowDiskUse=True, **options))
        return int(found[0]["rows"]) if found else 0

    def copy(self, low: datetime, high: datetime, *, fresh: bool) -> None:
        """Copy a range; what is there already stays as it is.

        Parameters
        ----------
        fresh
            Nothing of the range was in the archive: plain inserts do, which are twice as fast. A duplicate then is an
            error of the server, after which the range is copied the other way.
        """
        pipeline = pipelines.load(
            "archive_measurements",
            time=self.time,
            into=self.into,
            low=low,
            high=high,
            matched="fail" if fresh else "keepExisting",
        )
        try:
            self._collection(self.source).aggregate(pipeline, allowDiskUse=True)
        except OperationFailure as error:
            if faults.code(error) == CONVERSION_FAILURE:
                text = f"two different measurements before {high:%Y-%m-%d %H:%M} cannot be told apart: nothing expires"
                raise ConservationError(text) from None
            raise

    def _summary(self, name: str, pipeline: str, low: datetime, high: datetime, limit_ms: int | None) -> Summary:
        stages = pipelines.load(pipeline, time=self.time, low=low, high=high)
        options: Doc = {} if limit_ms is None else {"maxTimeMS": limit_ms}
        found = list(self._collection(name).aggregate(stages, allowDiskUse=True, **options))
        return Summary(rows=found[0]["rows"], hash=found[0]["hash"]) if found else Summary()

    def _collection(self, name: str) -> Any:
        # both sides as a majority has them: what a step-down may take back proves nothing
        return self.session.database.get_collection(
            name,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern(w="majority", wtimeout=MAJORITY_MS),
        )


def _python(moment: Any) -> datetime:
    """Return a time as Python's; what Python cannot hold is long ago or far ahead all the same."""
    if isinstance(moment, datetime):
        return moment
    return datetime.min.replace(tzinfo=UTC) if int(moment) < 0 else datetime.max.replace(tzinfo=UTC)


def archive(work: Work[MongoSession], done: DoneSoFar, pair: Pair, high: datetime) -> None:
    """Archive everything before ``high``, range by range; each range is proven and recorded.

    Raises
    ------
    ConservationError
        A range is not the same in the archive.
    """
    done.evidence = {"rows_copied": 0, "rows_archived": 0, "ranges": 0, "copied_ranges": 0}
    total = 0
    low = persist(work, pair.oldest)
    if low is None or low >= high:
        return
    for first, last in ranges(work, pair, low, high):
        found, copied = persist(work, lambda first=first, last=last: _range(pair, first, last))  # type: ignore[misc]
        done.rows = (done.rows or 0) + found.rows
        evidence = done.evidence
        evidence["ranges"] += 1
        evidence["copied_ranges"] += copied
        evidence["rows_copied"] += found.rows
        evidence["rows_archived"] += found.rows
        total = (total + found.hash) % 2**63  # equal on both sides, or `_range` had stopped us
        evidence["hash_source"] = evidence["hash_archive"] = f"{total:x}"
        if copied:
            work.note(
                {"from": first.isoformat(), "to": last.isoformat(), "rows": found.rows, "hash": f"{found.hash:x}"}
            )
        work.checkpoint(rows=found.rows)
    done.evidence["archived_before"] = high.isoformat()


def _range(pair: Pair, low: datetime, high: datetime) -> tuple[Summary, bool]:
    """Make sure that a range is in the archive; return what it holds, and whether anything had to be copied."""
    # a range stays in the archive, so most of them were copied by an earlier run: nothing is done then
    source, there = pair.summary(low, high), pair.archived(low, high)
    if source == there:
        return source, False
    for _ in range(TRIES):
        try:
            pair.copy(low, high, fresh=there.rows == 0)
        except OperationFailure as error:
            # the archive was not empty after all: the next round keeps what is there
            if faults.code(error) != faults.DUPLICATE_KEY:
                raise
        source, there = pair.summary(low, high), pair.archived(low, high)
        if source == there:
            return source, True
        if there.rows > source.rows and pair.missing(low, high) == 0:
            return source, True  # the archive has more: the server expired some of the range, or it was deleted
    text = (
        f"{source.rows:,} measurements from {low:%Y-%m-%d %H:%M} to {high:%Y-%m-%d %H:%M} are {there.rows:,} in "
        f"{pair.into}, or other ones: compare the two"
    )
    raise ConservationError(text)


def ranges(work: Work[MongoSession], pair: Pair, low: datetime, high: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield ranges of about `RANGE_ROWS` measurements each, oldest first, that touch and do not overlap."""
    waiting = [(low, high)]
    while waiting:
        first, last = waiting.pop()
        rows = persist(work, lambda first=first, last=last: _count(pair, first, last))  # type: ignore[misc]
        if rows <= RANGE_ROWS * TOO_MANY or last - first <= SHORTEST:
            if rows:
                yield first, last
            continue
        parts = min(max(round(rows / RANGE_ROWS), 2), 1_000)
        step = max((last - first) / parts, SHORTEST)
        step -= timedelta(microseconds=step.microseconds % 1000)
        edges = [first + step * n for n in range(parts) if first + step * n < last]
        waiting += reversed([*zip(edges, [*edges[1:], last], strict=True)])


def _count(pair: Pair, low: datetime, high: datetime) -> int:
    bounds = {pair.time: {"$gte": low, "$lt": high}}
    return pair.session.database[pair.source].count_documents(bounds)
