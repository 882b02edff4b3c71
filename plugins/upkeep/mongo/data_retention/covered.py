"""Only documents that a verified backup holds, byte for byte, may go: hour by hour of their age.

An hour is read piece by piece; if the pieces amount to what was restored of it, each goes in a transaction that reads
it once more and deletes what it has read, in one snapshot. Whoever writes one of these documents meanwhile is a
conflict: the piece is read anew, and stays if it is another one by then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from upkeep.jobs.backup.marks import MOST_COUNTED, Mark, left_behind, neighbours
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ConservationError, NotCoveredError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.mongo import marking
from upkeep.mongo.data_retention.batches import Batch, Sweep
from upkeep.mongo.data_retention.doomed import Doomed
from upkeep.mongo.elections import persist
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Range:
    """Documents of a range of ages, and what they amounted to; ``low`` inside, ``high`` outside."""

    low: datetime
    high: datetime
    mark: Mark


def uncovered(work: Work[MongoSession]) -> str | None:
    """Return why nothing of the collection can be compared with the backup."""
    name, backup = work.action.subject, work.backup
    if backup is None or name in work.marks:
        return None
    held = backup.object(name)
    why = "it is younger, or was called otherwise" if held is None else "it was not proven for that"
    why = why if held is None or held.complete else "of a capped collection no instant is in it"
    return f"backup {backup.id} authorises nothing of {name}: {why}"


def ranges(work: Work[MongoSession], doomed: Doomed) -> list[Range]:
    """Return the hours that begin before the cut-off, as they were restored."""
    known = sorted((int(begin), Mark.read(text)) for begin, text in work.marks[doomed.collection]["hours"].items())
    found = [Range(_at(begin), _at(begin + marking.HOUR), mark) for begin, mark in known]
    return [one for one in found if one.low < doomed.cut_off]


def _at(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


@dataclass
class CoveredSweep(Sweep):
    """A removal of the documents that a backup holds as they are now.

    Attributes
    ----------
    ranges
        What was restored, in order of age.
    different
        Those that are otherwise by now: they stay.
    """

    ranges: Sequence[Range] = ()
    different: list[Range] = field(default_factory=list)
    _piece: Range | None = None

    def run(self) -> None:
        """Remove what is as it was."""
        for group in neighbours(self.ranges, lambda: self.pace.size):
            if self._go(group):
                continue
            for one in group:
                # what is gone already is no difference
                if not (group[1:] and self._go([one])) and self._left(self.doomed.between(one.low, one.high), 1):
                    self.different.append(one)
        self.tally.emptied = True

    def left(self) -> int:
        """Count what is due still."""
        return self._left(self.doomed.due, MOST_COUNTED)

    def _left(self, wanted: Any, most: int) -> int:
        found = self.session.database[self.doomed.collection]
        hint: Doc = {"hint": self.doomed.index} if self.doomed.index else {}
        return int(persist(self.work, lambda: found.count_documents(wanted, limit=most, maxTimeMS=LOOK_MS, **hint)))

    def _go(self, group: Sequence[Range]) -> bool:
        """Remove neighbours, as far as they are what the backup holds; return whether they are."""
        whole = Range(group[0].low, group[-1].high, Mark.total(one.mark for one in group))
        pieces = persist(self.work, lambda: list(self._pieces(whole)))
        if Mark.total(piece.mark for piece in pieces) != whole.mark:
            return False
        fine = True
        for self._piece in pieces:
            started = time.monotonic()
            self.work.allow(self.tally.deleted + self._piece.mark.rows)
            try:
                batch = persist(self.work, lambda: self._batch(None))
            except _DifferentError:
                fine = False
            else:
                self._count(batch, time.monotonic() - started)
        return fine

    def _pieces(self, whole: Range) -> Iterator[Range]:
        """Read a range, and cut it where the ages change."""
        begin, found, size, last = whole.low, Mark(), 0, None
        for document in self._read(whole):
            age = marking.age(document, self.doomed.age)
            if age is not None and age != last and (found.rows >= self.pace.size // 2 or size >= self.room // 2):
                yield Range(begin, _at(age), found)
                begin, found, size = _at(age), Mark(), 0
            found, size, last = Mark.total((found, marking.mark(document))), size + len(document.raw), age
        yield Range(begin, whole.high, found)

    def _read(self, of: Range, own: ClientSession | None = None) -> Iterator[RawBSONDocument]:
        """Yield the documents of a range in order of age, those of its last hour that are not due yet too."""
        wanted = replace(self.doomed, cut_off=of.high).between(of.low)
        found = self.session.raw(self.doomed.collection).find(wanted, session=own, hint=self.doomed.index)
        yield from found.sort(self.doomed.age, 1)

    def _delete(self, low: Any) -> Batch:
        return self._transaction(low, compare=False)

    def _within(self, own: ClientSession, _low: Any, *, compare: bool) -> Batch:
        piece = self._piece
        assert piece is not None  # noqa: S101 - set before each batch
        found = list(self._read(piece, own))
        if Mark.total(map(marking.mark, found)) != piece.mark:
            raise _DifferentError
        exact = self.doomed.between(piece.low, piece.high)
        cut_off = (self.doomed.cut_off - _EPOCH) // timedelta(milliseconds=1)
        due = [one for one in found if (age := marking.age(one, self.doomed.age)) is not None and age < cut_off]
        if not due or self.into is not None:
            return self._put(own, due, exact, self.doomed.index, compare=compare) if due else Batch()
        source = self.session.raw(self.doomed.collection)
        deleted = source.delete_many(exact, session=own, hint=self.doomed.index).deleted_count
        if deleted != len(due):
            raise ConservationError(f"found {len(due):,}, deleted {deleted:,}: the batch was undone")
        return Batch(len(due), deleted)


class _DifferentError(Exception):
    """Other documents are there than those that the backup holds."""


def tell(sweep: CoveredSweep, done: DoneSoFar) -> None:
    """Say what stays, and why. Raises `NotCoveredError` when nothing went."""
    left, backup = sweep.left(), sweep.work.backup
    if left == 0 or backup is None:
        return
    text = left_behind(left, "documents", backup, [f"from {one.low:%Y-%m-%d %H:%M}" for one in sweep.different])
    if not done.rows:
        raise NotCoveredError(text)
    done.message = text
    done.evidence = {**done.evidence, "rows_uncovered": left}
