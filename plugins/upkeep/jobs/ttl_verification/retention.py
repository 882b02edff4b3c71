"""What retention has to do with rows that are overdue: how long it may take, and why it left them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from upkeep.fleet import RetainPolicy, Target
from upkeep.jobs import spec
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.model import ON_PURPOSE, Finding, FindingStatus, Observation, Severity
from upkeep.model.intervals import shift

REMEDY: Final = "see what the last run of retention says of it, and run it again"
_FOLLOWS: Final = timedelta(hours=1)
"""A server's own expiry is not called stalled so soon after it was changed."""
_OVER: Final = 2
"""So many of its intervals after its last run a retention has stopped: what it said then excuses nothing any more."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows are there that retention should have removed.

    Attributes
    ----------
    severity
        How much that matters here. What was left on purpose (a person is asked, a window is closed …), or for later,
        was told there, once.
    """

    text: str
    severity: Severity = Severity.ERROR


def tolerance(job: str, endings: Sequence[Mapping[str, Any]]) -> float:
    """Return for how many seconds rows that are due may be there: until the next run, and as long as that takes."""
    known = (row["usual_seconds"] for row in endings if row["usual_seconds"] is not None)
    return _interval(job).total_seconds() + max(known, default=0.0)


def due_before(policy: RetainPolicy, now: datetime, seconds: float) -> datetime | None:
    """Return before when a time is overdue by more than so many seconds; ``None``: longer ago than the calendar."""
    try:
        return shift(now - timedelta(seconds=seconds), policy.for_, policy.zone, -1)
    except (OverflowError, ValueError):
        return None


def reason(observation: Observation, target: Target, subject: str) -> Reason:
    """Return why retention left what is overdue of a table, from how its last runs ended."""
    endings, limit = observation.frames["endings"], _OVER * _interval(observation.job)
    if target.mode == "observe":
        return Reason("the target is only observed (mode: observe): retention removes nothing", Severity.INFO)
    if not endings:
        return Reason("retention has not run here yet, as far as the ledger knows")
    last = moment(endings[0]["at"])
    if observation.server.clock - last > limit:
        return Reason(f"retention has not run here since {last:%Y-%m-%d %H:%M} UTC")
    for ending in endings:
        told = [row for row in ending["outcomes"] if row["subject"] == subject and row["status"] != "done"]
        when = f"the run of {moment(ending['at']):%Y-%m-%d %H:%M} UTC"
        if told:
            row = min(told, key=lambda row: _gravity(row).rank)
            return Reason(f"{when} left them: {row['message'] or row['reason'] or row['status']}", _gravity(row))
        said = next((row["summary"] for row in ending.get("findings", ()) if row["subject"] == subject), None)
        if said is not None:
            return Reason(f"{when} has told: {said}", Severity.WARNING)
        if any(row["subject"] == subject for row in ending["outcomes"]):
            return Reason(f"{when} did what it had planned, and they stayed or came late")
        if ending["error"]:
            return Reason(f"{when} ended {ending['status']}: {ending['error']}")
    return Reason(f"the run of {last:%Y-%m-%d %H:%M} UTC planned nothing for it: its findings say why")


def just_changed(observation: Observation, subject: str) -> datetime | None:
    """Return when retention has done something there, if that is so lately that the server cannot have followed yet."""
    for ending in observation.frames["endings"]:
        at = moment(ending["at"])
        done = any(row["subject"] == subject and row["status"] == "done" for row in ending["outcomes"])
        if done and observation.server.clock - at < _FOLLOWS:
            return at
    return None


def too_early(finding: Finding, changed_at: datetime) -> Finding:
    """Return the finding as what the next look will tell: the server has only begun to remove what is due."""
    text = f"{finding.summary}: retention has changed the expiry at {changed_at:%H:%M} UTC; the next look tells"
    early = {"status": FindingStatus.INSUFFICIENT_EVIDENCE, "severity": Severity.INFO, "summary": text}
    return finding.model_copy(update=early)


def excused(finding: Finding, why: Reason) -> Finding:
    """Return the finding with the reason; where that was told already, it raises nothing a second time."""
    severity = min(finding.severity, why.severity, key=lambda one: one.rank)
    text = f"{finding.summary}: {why.text}"
    evidence = {**finding.evidence, "why": why.text}
    return finding.model_copy(update={"summary": text, "severity": severity, "evidence": evidence})


def _gravity(row: Mapping[str, Any]) -> Severity:
    if row["status"] != "skipped":
        return Severity.ERROR
    return Severity.INFO if row["reason"] in ON_PURPOSE else Severity.WARNING


def _interval(job: str) -> timedelta:
    """Return how long lies between two runs of the jobs that remove rows."""
    every = (spec.require(other).interval for other in spec.require(job).waits_for)
    return max((length for length in every if length is not None), default=timedelta(days=1))
