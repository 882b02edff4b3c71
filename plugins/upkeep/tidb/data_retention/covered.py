"""Only what a verified backup holds as it is now may go: compared with what its restore held, in the step that deletes.

Rows go by hours of their age (all of a partition's at once). A range is read piece by piece; if the pieces amount to
what was restored of it, each goes in a transaction that locks its rows, reads them once more and deletes exactly those.
So a row that came late or was changed stays, with what shares its piece, or its hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pymysql

from upkeep.jobs.backup.marks import MOST_COUNTED, Mark, left_behind, neighbours
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import NotCoveredError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Json
from upkeep.tidb import marking, names, server, sql
from upkeep.tidb.ages import aged
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention.args import Detaching, Dropping, Rows
from upkeep.tidb.data_retention.batches import Sweep
from upkeep.tidb.data_retention.doomed import Doomed, delete
from upkeep.tidb.names import Name
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql


@dataclass(frozen=True, slots=True)
class Range:
    """Some rows, and what a restore held of them; ``low`` inside, ``high`` outside, ``None``: all."""

    low: str | None
    high: str | None
    mark: Mark


def uncovered(work: Work[TiDBSession]) -> str | None:
    """Return why nothing of what an action would take away can be compared with the backup."""
    subject, partition = _what(work)
    assert work.backup is not None  # noqa: S101 - asked only with one
    found = work.marks.get(subject)
    if found is None:
        held = work.backup.object(subject)
        why = "is not in it: it is younger, or was called otherwise" if held is None else _UNMARKED
        return f"backup {work.backup.id} authorises nothing of {subject}: it {why}"
    if _expected(found, partition) is None and "ranges" not in found:
        return f"backup {work.backup.id} authorises nothing of {partition or subject}: it {_UNMARKED}"
    return None


_UNMARKED: Final = "was not proven for that; the next one will be"


def _what(work: Work[TiDBSession]) -> tuple[str, str | None]:
    """Return the table that an action is about, and its partition."""
    action = work.action
    if action.kind == "drop_partition":
        return Dropping.of(action).name, None
    if action.kind == "detach_partition":
        of = Detaching.of(action)
        return _name(of.table), of.partition
    args = Rows.of(action)
    return _name(args.table), args.partition


def _name(table: Planned) -> str:
    return str(Name(table.schema, table.name))


def _expected(found: Json, partition: str | None) -> Mark | None:
    text = found.get("whole") if partition is None else found.get("partitions", {}).get(partition)
    return None if text is None else Mark.read(text)


def require_whole(work: Work[TiDBSession], source: Sql) -> None:
    """Raise `NotCoveredError` unless a table or partition that is about to go is what the backup holds."""
    if work.backup is None:
        return
    subject, partition = _what(work)
    expected = _expected(work.marks.get(subject, {}), partition)
    whole = marking.columns(work.session, names.parse(subject).exact(work.session.database))
    if expected is None or marking.mark(work.session, whole, source) != expected:
        raise NotCoveredError(f"{partition or subject} {_since(work)}")


def _since(work: Work[TiDBSession]) -> str:
    backup = work.backup
    assert backup is not None  # noqa: S101 - asked only with one
    at = f"{backup.snapshot_at:%Y-%m-%d %H:%M}"
    return f"holds other rows than in backup {backup.id} of {at} UTC: they came or changed since; a later one will do"


@dataclass
class CoveredSweep(Sweep):
    """A removal of the rows that a backup holds as they are now.

    Attributes
    ----------
    ranges
        What was restored, in order of age.
    different
        Those that are otherwise by now: they stay.
    """

    ranges: Sequence[Range] = ()
    different: list[Range] = field(default_factory=list)
    _whole: Sql = marking.ALL
    _expects: Mark = field(default_factory=Mark)

    def run(self, doomed: Doomed) -> bool:
        """Remove what is as it was; return whether nothing that may go was left to the next run."""
        self._whole = marking.columns(self.session, Name(doomed.schema, doomed.table))
        return super().run(doomed) or not self.tally.held

    def _pass(self, doomed: Doomed) -> None:
        self.different = []
        for group in neighbours(self.ranges, lambda: self.pace.size):
            if self._go(doomed, *_union(doomed, group)):
                continue
            for one in group:
                within, hint, mark = _union(doomed, [one])
                fine = bool(group[1:]) and self._go(doomed, within, hint, mark)
                # what is gone already, or stays for another reason, is no difference
                if not fine and self._oldest(doomed, within):
                    self.different.append(one)

    def _go(self, doomed: Doomed, within: Sql, hint: Sql, expected: Mark) -> bool:
        """Remove a range, as far as it is what the backup holds; return whether it is."""
        pieces, found = [(within, expected)], expected
        if expected.rows > self.pace.size:
            ranges = [where for where, _ in self._keys(doomed, within, hint)]
            pieces = [(where, self._mark(doomed, where, hint)) for where in ranges]
            found = Mark.total(mark for _, mark in pieces)
        if found != expected:
            return False
        fine = True
        for where, self._expects in pieces:
            try:
                self._batch(doomed, where, hint)
            except _DifferentError:
                fine = False
        return fine

    def _mark(self, doomed: Doomed, where: Sql, hint: Sql, **how: Sql) -> Mark:
        return marking.mark(self.session, self._whole, doomed.source, where, hint=hint, **how)

    def _remove(self, doomed: Doomed, where: Sql, hint: Sql, limit: int | None) -> int:
        with self.session.transaction():
            found = self._mark(doomed, where, hint, locking=marking.LOCKING)
            if found != self._expects:
                raise _DifferentError
            into = self.args.archive
            if into is None:
                rows = self.session.execute(delete(doomed, where, hint)).count
            else:
                rows = self._move(doomed, into, where, hint, limit)
            # Rows that others refer to stay, and those of the last hour that are not due. What was read is locked, so
            # that the numbers tell when one came into the range since, though as many may have stayed as came.
            left = server.count(self.session, doomed.source, where, found.rows + 1)
            if left is None or left + rows != found.rows:
                raise _DifferentError
        self.tally.archived += rows if into is not None else 0
        return rows

    def _halve(self, doomed: Doomed, where: Sql, hint: Sql, error: pymysql.MySQLError) -> None:
        expected = self._expects
        self._shrink(error)
        if not self._go(doomed, where, hint, expected):
            raise _DifferentError


class _DifferentError(Exception):
    """Other rows are there than those that the backup holds."""


def _union(doomed: Doomed, group: Sequence[Range]) -> tuple[Sql, Sql, Mark]:
    """Return neighbours as one range, how it is read, and what it amounted to."""
    low, high, mark = group[0].low, group[-1].high, Mark.total(one.mark for one in group)
    if low is None or high is None:
        return marking.ALL, Sql(""), mark
    return sql.joined(" and ", [doomed.from_(low), aged(doomed.age_column, doomed.age_type, high)]), doomed.by_age, mark


def ranges(work: Work[TiDBSession], args: Rows) -> list[Range]:
    """Return what an action may take something of, as it was restored: hours that begin before its cut-off, or all."""
    found = work.marks.get(_name(args.table), {})
    expected = _expected(found, args.partition)
    if expected is not None:
        return [Range(None, None, expected)]
    number = args.age_type.startswith("int")
    read: Any = int if number else datetime.fromisoformat
    known = [Range(low, high, Mark.read(text)) for low, high, text in found.get("ranges", ())]
    return [one for one in known if read(one.low) < read(args.cut_off)]


def tell(work: Work[TiDBSession], sweep: CoveredSweep, done: DoneSoFar) -> None:
    """Say what stays, and why. Raises `NotCoveredError` when nothing went."""
    doomed, backup = Doomed.of(sweep.args), work.backup
    left = server.count(work.session, doomed.source, doomed.predicate, MOST_COUNTED)
    if left == 0 or backup is None:
        return
    hours = [f"from {one.low}" for one in sweep.different if one.low is not None]
    text = left_behind(left, "rows", backup, hours)
    if not done.rows:
        raise NotCoveredError(text)
    done.message = text
    done.evidence = {**done.evidence, "rows_uncovered": left}
