"""The last verdict of a job on a target, and how old it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from upkeep import words
from upkeep.jobs.spec import JobSpec
from upkeep.ledger import NOT_FINISHED, Ending, LastLook
from upkeep.model import TargetStatus
from upkeep.run import schedule
from upkeep.run.fleet_facts import BAD, Declared, Facts
from upkeep.run.schedule import Pace

NEVER: Final = "never"
"""Status of a job that has not looked at a target yet."""
LONGEST: Final = timedelta(hours=20)
"""A run that has no end after so long was killed."""
FORGOTTEN: Final = timedelta(days=40)
"""Runs are looked for so far back (`Ledger.endings`)."""
_ANSWERED: Final = BAD | {TargetStatus.OK, TargetStatus.NOTHING_TO_DO}
"""How an approved plan ends when its end tells more than that it was waited for."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The last verdict of a job on a target.

    Attributes
    ----------
    status
        A `TargetStatus` value, `NOT_FINISHED` or `NEVER`.
    word, tone
        The same for people.
    at, age
        When it was, and how long ago.
    run_id
        The run that says so; empty where none does.
    hint
        What is to be said of its age: late, stopped, never.
    ended
        How it ended, in a word, also where that is so long ago that ``word`` says that it has stopped.
    """

    target: str
    job: str
    status: str
    word: str
    tone: str
    pace: Pace
    run_id: str = ""
    at: datetime | None = None
    age: timedelta | None = None
    hint: str = ""
    error: str = ""
    finished_at: datetime | None = None
    ended: str = ""

    @property
    def overdue(self) -> bool:
        """Whether the job has not run when it should have."""
        return self.pace in (Pace.LATE, Pace.STOPPED)

    @property
    def by_hand(self) -> bool:
        """Whether it has not run here because nobody has started it: nothing is amiss."""
        return self.status == NEVER and self.pace is Pace.UNSCHEDULED

    @property
    def killed(self) -> bool:
        """Whether its run has no end and goes on no more."""
        return self.status == NOT_FINISHED and self.tone == "bad"

    @property
    def bad(self) -> bool:
        """Whether somebody has to look at how it ended."""
        return self.status in BAD or self.killed


@dataclass(frozen=True, slots=True)
class _Last:
    """What ended last, and when the job last looked at all of the target."""

    status: str | None
    run_id: str
    at: datetime
    looked_at: datetime
    error: str = ""
    finished_at: datetime | None = None
    run_ended: bool = True


def cells(facts: Facts) -> dict[tuple[str, str], Cell]:
    """Return the last verdict of each job on each target that declares something for it."""
    whole = {(e.target, e.job): e for e in facts.endings if not e.approved}
    approved = {(e.target, e.job): e for e in facts.endings if e.approved}
    looks = {(look.target, look.job): look for look in facts.looks}
    rows = {row.name: row for row in facts.jobs}
    found = {}
    for target in facts.targets:
        for job in target.jobs:
            pair = target.name, job
            last = _last(rows[job], whole.get(pair), approved.get(pair), looks.get(pair))
            found[pair] = _cell(facts, target, rows[job], last)
    return found


def _last(row: JobSpec, whole: Ending | None, approved: Ending | None, look: LastLook | None) -> _Last | None:
    """Return what counts: the newest look where a job only looks, else the newest run, and what was approved since."""
    found = _of(whole, whole.started_at) if whole is not None else None
    if row.looks_only and look is not None and (whole is None or look.at >= whole.started_at):
        # what was found stands in the run that last found something else than the one before
        run_id = whole.run_id if whole is not None and whole.status == look.status else look.run_id
        error = (whole.error or "") if whole is not None and whole.run_id == run_id else ""
        return _Last(look.status, run_id, look.at, look.at, error, look.at)
    if approved is None:
        return found
    if found is None or approved.started_at < found.at:
        return found
    # what was approved is a part: it takes the place of the waiting for it, and never of something bad
    if found.status in BAD or (approved.status is not None and approved.status not in _ANSWERED):
        return found
    return _of(approved, found.looked_at)


def _of(ending: Ending, looked_at: datetime) -> _Last:
    return _Last(
        ending.status,
        ending.run_id,
        ending.started_at,
        looked_at,
        ending.error or "",
        ending.finished_at,
        ending.run_ended,
    )


def _cell(facts: Facts, target: Declared, row: JobSpec, last: _Last | None) -> Cell:
    if last is None:
        return _unseen(facts, target, row)
    now = facts.now
    pace = schedule.pace(row.cron, last.looked_at, now)
    word, tone = _word(row, last, now)
    ended, hint = word, ""
    if pace is Pace.STOPPED:
        word, tone, hint = "stopped", "bad", f"ended as {word} at {stamp(last.looked_at)}, and has not run since"
    elif pace is Pace.LATE and row.cron:
        tone = tone if tone == "bad" else "warn"
        hint = f"late: was due at {stamp(schedule.due(row.cron, now))}"
    at = last.finished_at or last.at
    status = last.status or NOT_FINISHED
    return Cell(
        target=target.name,
        job=row.name,
        status=status,
        word=word,
        tone=tone,
        pace=pace,
        run_id=last.run_id,
        at=at,
        age=now - at,
        hint=hint,
        error=last.error,
        finished_at=last.finished_at,
        ended=ended,
    )


def _unseen(facts: Facts, target: Declared, row: JobSpec) -> Cell:
    """Return that a job has not looked at a target: never, not at all of it, or so long ago that nobody asks."""
    ever = facts.ever.get((target.name, row.name))
    cell = Cell(target.name, row.name, NEVER, "never", "warn", Pace.NEVER, hint="has never run here")
    if row.cron is None:  # nobody misses it
        return replace(cell, tone="quiet", pace=Pace.UNSCHEDULED, hint="runs when somebody starts it")
    if ever is None:
        return cell
    if facts.now - ever > FORGOTTEN:
        hint = f"has not run since {stamp(ever)}"
        age = facts.now - ever
        return replace(cell, word="stopped", tone="bad", pace=Pace.STOPPED, at=ever, age=age, hint=hint)
    return replace(cell, hint=f"has not looked at all of it yet; a part, or only a plan: {stamp(ever)}")


def _word(row: JobSpec, last: _Last, now: datetime) -> words.Word:
    if last.status is None:
        over = last.run_ended or now - last.at > LONGEST
        return ("never finished", "bad") if over else ("running", "wait")
    if row.looks_only and last.status == TargetStatus.OK:
        return "healthy", "good"
    return words.state(last.status)


def stamp(moment: datetime) -> str:
    """Return an instant to the minute.

    >>> stamp(datetime(2026, 11, 3, 2, 0, 59, tzinfo=UTC))
    '2026-11-03 02:00 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(age: timedelta) -> str:
    """Return an age for people, in its greatest unit.

    >>> [ago(timedelta(seconds=s)) for s in (-3, 20, 3599, 5 * 3600 + 1800, 50 * 3600, 9 * 86400)]
    ['just now', 'just now', '59 min ago', '5 h ago', '2 days ago', '9 days ago']
    """
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min ago"
    hours = minutes // 60
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"  # noqa: PLR2004 - hours in two days
