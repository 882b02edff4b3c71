"""What a run waits for: that another job of the same night has ended at the target, by the ledger and the schedule.

Where a dump outlasts the night's window (``backup: {last: true}``) the order is the other way round.

A wait ends with what it waits for, however that ended, when it was killed, when the target's window closes, and after
`LONGEST`: whatever still needs it then says so itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs import rooms, spec
from upkeep.model import Plan
from upkeep.run import covering, schedule

if TYPE_CHECKING:
    from upkeep.ledger import Ledger, RunRecord
    from upkeep.ledger.backups import Begun

LONGEST: Final = timedelta(hours=4)
"""After so long a wait nobody waits any more."""
LATE: Final = timedelta(hours=3)
"""So long after it was due nobody waits for a job that has not begun: its DAG is off, or its night was left out."""
SCHEDULED: Final = "scheduled"
"""The trigger of a night's runs; what a person starts waits for what is at work, not for what may still come."""


def waits(
    ledger: Ledger, run: RunRecord, target: Target, plan: Plan | None, *, since: datetime, now: datetime
) -> str | None:
    """Return what a target has to wait for, in words; ``None``: nothing.

    Parameters
    ----------
    plan
        What is to be carried out: it waits only where an action needs a backup that is not there yet. ``None``: the job
        only looks, and wants to see the end of what it looks at.
    since
        When the wait began.
    """
    if now - since >= LONGEST:
        return None
    policy, row = BackupPolicy.of(target), spec.require(run.job)
    last = policy is not None and policy.last
    if row.verifies:
        return _comes_first(ledger, run, target, now) if last and run.trigger == SCHEDULED else None
    if plan is not None and not _lacks_backup(ledger, target, run.job, plan, now):
        return None
    for name in row.waits_for:
        if not any(True for _ in rooms.policies(target, name)):
            continue
        follows = last and spec.require(name).verifies  # it waits for us
        why = _unended(
            ledger.last_begun(target.name, name), name, now, scheduled=run.trigger == SCHEDULED and not follows
        )
        if why is not None:
            return why
    return None


def _comes_first(ledger: Ledger, run: RunRecord, target: Target, now: datetime) -> str | None:
    """Return what a backup that comes last waits for: those that else wait for it, also while their hour comes."""
    for row in spec.JOBS.values():
        if run.job not in row.waits_for or row.cron is None or not any(True for _ in rooms.policies(target, row.name)):
            continue
        begun = ledger.last_begun(target.name, row.name)
        why = _unended(begun, row.name, now, scheduled=True)
        if why is not None:
            return why
        due = schedule.following(row.cron, now)
        if due - now < LONGEST and begun is not None:
            return f"{row.name} is due at {due:%H:%M} UTC, and goes first (backup: last)"
    return None


def _lacks_backup(ledger: Ledger, target: Target, job: str, plan: Plan, now: datetime) -> bool:
    """Return whether an action waits for a backup alone: what else holds it back is no reason to wait."""
    ages = [a.requires.backup_age_seconds or 0 for a in plan.actions if a.requires.kind == "backup" and not a.blocked]
    if not ages or target.mode == "observe" or ledger.paused(target.name):
        return False
    if target.window is not None and not target.window.contains(now):
        return False
    if any(_busy(ledger, target, name) for name in spec.require(job).waits_for):
        return True  # what needs a backup is not done beside one either
    snapshot_at = covering.cover(ledger, plan.identity).snapshot_at
    return snapshot_at is None or now - snapshot_at > timedelta(seconds=min(ages))


def _busy(ledger: Ledger, target: Target, job: str) -> bool:
    begun = ledger.last_begun(target.name, job)
    return begun is not None and begun.alive


def _unended(begun: Begun | None, job: str, now: datetime, *, scheduled: bool) -> str | None:
    """Return that a job has not ended at the target tonight: it is at work, or it was due and has not begun.

    One that has never begun there is not waited for: it may not be switched on at all.
    """
    cron = spec.require(job).cron
    if begun is not None and begun.alive:
        return f"{job} is at work since {begun.started_at:%H:%M} (run {begun.run_id})"
    if begun is None or cron is None or not scheduled:
        return None
    due = schedule.due(cron, now)
    late = now - due < LATE and begun.started_at < due
    return f"{job} was due at {due:%H:%M} UTC, and has not begun" if late else None
