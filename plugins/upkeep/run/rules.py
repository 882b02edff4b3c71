"""The decisions that are alike on all engines: may this action run now, and how did a target end?

Pure functions over values; the safety rules of the product (approval, backup, window, limits, pause,
observe only) are here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from upkeep import words
from upkeep.errors import NotSupportedError, StopError, UnreachableError
from upkeep.fleet import Target
from upkeep.jobs import rights
from upkeep.model import (
    ON_PURPOSE,
    WAITING,
    Action,
    Finding,
    FindingStatus,
    GateResult,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
)

if TYPE_CHECKING:
    from upkeep.ledger import Pause

LEASE = frozenset({ReasonCode.LEASE_BUSY, ReasonCode.LEASE_LOST})
"""Another run is at work on the database, or nobody can say that none is: an action, or the whole target, stops."""
_SERVER = "server"
"""The subject of what is alike for all objects of a target."""
INCOMPLETE = LEASE | {
    ReasonCode.LOCK_NOT_OBTAINED,
    ReasonCode.OVERLOADED,
    ReasonCode.CONNECTION_LOST,
    ReasonCode.STATE_CHANGED,
    ReasonCode.INTERRUPTED,
}
"""Reasons that say "not now": nothing is wrong with the plan, the next run tries again."""


def skipped(action: Action, code: ReasonCode, message: str, *, seconds: float = 0.0) -> Outcome:
    """Return the outcome of an action that was not carried out."""
    return Outcome(
        action_id=action.id, status=OutcomeStatus.SKIPPED, reason_code=code, message=message, seconds=seconds
    )


def failed(action: Action, code: ReasonCode, message: str, *, seconds: float = 0.0) -> Outcome:
    """Return the outcome of an action that was tried and failed."""
    return Outcome(action_id=action.id, status=OutcomeStatus.FAILED, reason_code=code, message=message, seconds=seconds)


def decide(
    action: Action,
    target: Target,
    *,
    approved: bool,
    done: Collection[str],
    planned: Collection[str],
    now: datetime,
    paused: str | None,
    tested: bool,
    backup_at: datetime | None,
    ignores_window: bool = False,
    uncovered: str | None = None,
) -> Outcome | None:
    """Return why the action may not run, as its outcome, or ``None`` when it may.

    Parameters
    ----------
    approved
        Whether a person approved exactly this plan.
    done, planned
        Ids of the actions already done in this run, and of all in the plan.
    now
        The real clock.
    backup_at
        Snapshot time of the newest verified backup that still lies where it was published.
    uncovered
        Why there is none.
    ignores_window
        Whether the job also works outside the target's window.
    """
    if action.blocked is not None:
        return skipped(action, *action.blocked)
    # From what no person can lift now (the plan itself, the fleet file) to what passes by itself (pause, window): the
    # first reason is the one that people read.
    if target.mode == "observe":
        return skipped(action, ReasonCode.OBSERVE_ONLY, "mode: observe – reported, not done")
    if not tested and not target.allow_untested:
        message = "this server version is not in the tested list: observe only; allow_untested: true overrides"
        return skipped(action, ReasonCode.OBSERVE_ONLY, message)
    if paused:
        return skipped(action, ReasonCode.PAUSED, paused)
    if not ignores_window and target.window is not None and not target.window.contains(now):
        return skipped(action, ReasonCode.OUTSIDE_WINDOW, f"changes are made {target.window} only")
    missing = [a for a in action.after if a in planned and a not in done]
    # A missing approval is said before a missing predecessor, which often waits for the same person.
    refusal = _requirement(action, approved=approved, now=now, backup_at=backup_at, uncovered=uncovered)
    if refusal is not None:
        return refusal
    if missing:
        return skipped(action, ReasonCode.DEPENDENCY, f"waits for {len(missing)} action(s) that are not done")
    return None


def _requirement(
    action: Action, *, approved: bool, now: datetime, backup_at: datetime | None, uncovered: str | None
) -> Outcome | None:
    if action.requires.kind == "backup":
        length = timedelta(seconds=action.requires.backup_age_seconds or 0)
        age = words.duration(length)
        if backup_at is None:
            why = uncovered or "no verified backup is recorded"
            return skipped(action, ReasonCode.NEEDS_BACKUP, f"{why}; one younger than {age} is required")
        if now - backup_at > length:
            text = f"the newest verified backup is of {backup_at:%Y-%m-%d %H:%M} UTC; it must be younger than {age}"
            return skipped(action, ReasonCode.NEEDS_BACKUP, text)
        after = action.args.get("snapshot_after")
        # A backup from before the rows were detached or archived proves nothing about where they are now.
        if after is not None and backup_at <= datetime.fromisoformat(str(after)):
            text = f"the newest verified backup is of {backup_at:%Y-%m-%d %H:%M} UTC; it must be taken after {after}"
            return skipped(action, ReasonCode.NEEDS_BACKUP, text)
    if action.over_limit and not approved:
        return skipped(action, ReasonCode.OVER_LIMIT, f"{action.over_limit}; waits for approval")
    if action.requires.kind == "approval" and not approved:
        return skipped(action, ReasonCode.NEEDS_APPROVAL, "waits for a person's approval of this plan")
    return None


def stop_if_closed(target: Target, now: datetime, paused: str | None, *, ignores_window: bool = False) -> None:
    """Raise `StopError` when the target was paused or its window, unless the job ignores that, has closed."""
    if paused:
        raise StopError(ReasonCode.PAUSED, paused)
    if not ignores_window and target.window is not None and not target.window.contains(now):
        raise StopError(
            ReasonCode.OUTSIDE_WINDOW, f"the window {target.window} has closed; the next run goes on from here"
        )


LONG_PAUSE = timedelta(days=7)
"""A pause that lasts longer was perhaps forgotten, while what is due piles up."""


def paused(target: str, pause: Pause, now: datetime) -> Finding:
    """Return that a target is paused, since when and by whom; a long pause is a warning."""
    long = now - pause.paused_at > LONG_PAUSE
    return Finding.of(
        "paused",
        target,
        Severity.WARNING if long else Severity.INFO,
        f"nothing is changed: {pause.text}" + (f" ({(now - pause.paused_at).days} days ago)" if long else ""),
        f"upkeep resume{f' {pause.target}' if pause.target is not None else ''}",
        evidence={"by": pause.actor, "since": pause.paused_at.isoformat(), "whole_fleet": pause.target is None},
    )


def departed(row: Mapping[str, Any]) -> Finding:
    """Return that a detached table stays where it is: its target has left the fleet file, or declares no retention."""
    seen = f", last seen at {row['last_seen']:%Y-%m-%d %H:%M} UTC" if row["last_seen"] else ""
    return Finding.of(
        "departed",
        row["partition"] or "a detached table",
        Severity.WARNING,
        f"detached by Upkeep on {row['recorded_at']:%Y-%m-%d}{seen}; target '{row['target']}' has left the fleet file "
        "since (or declares no retention any more), so it is kept for ever and nobody looks at it",
        f"put target and policy back and run `upkeep undo {row['run_id']}`, or drop the table by hand",
        evidence={"run_id": row["run_id"], "detached_at": row["recorded_at"].isoformat()},
    )


def status_of(error: Exception) -> TargetStatus:
    """Return how a target ends whose step raised."""
    if isinstance(error, NotSupportedError):
        return TargetStatus.NOT_SUPPORTED
    return TargetStatus.UNREACHABLE if isinstance(error, UnreachableError) else TargetStatus.FAILED


def stopped_by_gate(plan: Plan, gate: GateResult) -> Plan:
    """Return the plan with the actions blocked whose subject (or whole target) failed the gate before."""
    if gate.success:
        return plan
    subjects = gate.stopped_subjects
    why = {s: f.summary for f in gate.failed for s in f.subjects}
    actions = []
    for action in plan.actions:
        if gate.stops_target:
            blocked = (ReasonCode.GATE_FAILED, "; ".join(f.summary for f in gate.failed if f.stops == "target"))
        elif action.subject in subjects:
            blocked = (ReasonCode.GATE_FAILED, why[action.subject])
        else:
            actions.append(action)
            continue
        actions.append(action if action.blocked else action.model_copy(update={"blocked": blocked}))
    return plan.model_copy(update={"actions": tuple(actions)})


def observe_only(plan: Plan) -> Plan:
    """Return the plan with every action blocked: the target is only observed, so nothing waits for approval either.

    A right to change that our role lacks stands in the way of nothing here: it is told as what enforcing will need.
    What may not even be read stays blocked by that, and leaves the target incomplete.
    """
    reason = (ReasonCode.OBSERVE_ONLY, "mode: observe – reported, not done")
    found = tuple(_needed_later(finding) for finding in plan.findings)
    lowered = {finding.subject for finding in plan.findings if _to_change(finding)}
    refused = {finding.subject for finding in plan.findings if _serious(finding) and not _to_change(finding)}

    def blocked(action: Action) -> Action:
        lacks = bool({action.subject, _SERVER} & lowered) and not {action.subject, _SERVER} & refused
        if action.blocked and not (lacks and action.blocked[0] is ReasonCode.NOT_SUPPORTED):
            return action
        return action.model_copy(update={"blocked": reason})

    return plan.model_copy(update={"actions": tuple(map(blocked, plan.actions)), "findings": found})


def _to_change(finding: Finding) -> bool:
    """Return whether the finding says of a right to change something, not of one to read, that our role lacks it."""
    return finding.check == rights.CHECK and finding.status is FindingStatus.FINDING and _serious(finding)


def _needed_later(finding: Finding) -> Finding:
    """Return what is said of a missing right where nothing is changed; what could not be read is never fine."""
    if finding.check != rights.CHECK or not _serious(finding):
        return finding
    later = " (mode: enforce will need it)" if _to_change(finding) else ""
    return finding.model_copy(update={"severity": Severity.WARNING, "summary": finding.summary + later})


def awaiting_part(plan: Plan) -> Plan:
    """Return the plan with only the actions that wait for a person, and what depends on them; same id."""
    wanted: set[str] = {a.id for a in plan.awaiting}
    for action in plan.actions:  # dependencies come before their dependants
        if wanted & set(action.after):
            wanted.add(action.id)
    return plan.model_copy(update={"actions": tuple(a for a in plan.actions if a.id in wanted), "findings": ()})


def left_undone(plan: Plan, outcomes: Sequence[Outcome]) -> frozenset[str]:
    """Return the subjects with an action that was left undone on purpose: the gate after proves nothing of them."""
    subjects = {action.id: action.subject for action in plan.actions}
    return frozenset(subjects[o.action_id] for o in outcomes if o.reason_code in ON_PURPOSE and o.action_id in subjects)


def inverse(action: Action) -> Action:
    """Return the action that takes ``action`` back, for the ledger (a detached partition is re-attached)."""
    kind = {"detach_partition": "reattach_partition"}.get(action.kind, f"undo_{action.kind}")
    return Action.make(
        kind=kind,
        subject=action.subject,
        args={"undoes": action.id},
        statements=(),
        reason=action.undo or f"takes back: {action.reason}",
        destructive=False,
        precondition="the objects are still as the action left them",
        not_during=("backup",),  # most of it takes the strongest lock
    )


def conclude(report: TargetReport) -> TargetStatus:
    """Return how a target ended, from its gates, outcomes and findings."""
    outcomes = report.outcomes
    done = [o for o in outcomes if o.status is OutcomeStatus.DONE or (o.status is OutcomeStatus.SKIPPED and o.rows)]
    bad = [o for o in outcomes if o.status is OutcomeStatus.FAILED or o.reason_code in INCOMPLETE]
    bad += [o for o in outcomes if o.reason_code is ReasonCode.GATE_FAILED]
    bad += [o for o in outcomes if o.reason_code is ReasonCode.OVER_LIMIT and o.rows]  # stopped in the middle
    serious = [f for f in report.findings if _serious(f)]
    # The order is that of gravity: a target that failed in part is never called anything milder.
    if any(g.stops_target for g in report.gates):
        return TargetStatus.FAILED
    if bad or serious or any(map(_unseen, report.findings)) or any(not g.success for g in report.gates):
        only_bad = bad and len(bad) == len(outcomes) and not done
        return TargetStatus.FAILED if only_bad else TargetStatus.PARTIAL
    if any(o.reason_code in WAITING for o in outcomes):
        return TargetStatus.AWAITING_APPROVAL
    if any(o.reason_code is ReasonCode.PAUSED for o in outcomes):
        return TargetStatus.PAUSED
    if outcomes and done:
        return TargetStatus.OK
    return _not_done(report)


def how_it_is(report: TargetReport) -> TargetStatus:
    """Return how a target is that was only looked at, from its findings."""
    if any(map(_serious, report.findings)):
        return TargetStatus.UNHEALTHY
    return TargetStatus.PARTIAL if any(map(_unseen, report.findings)) else TargetStatus.OK


def _not_done(report: TargetReport) -> TargetStatus:
    """Return how a target ended of which nothing was done, and nothing went wrong."""
    if not report.actions:
        return TargetStatus.NOTHING_TO_DO
    why = {o.reason_code for o in report.outcomes} or {a.blocked[0] if a.blocked else None for a in report.actions}
    if ReasonCode.OBSERVE_ONLY in why:
        return TargetStatus.OBSERVED
    if not report.outcomes and any(a.needs_person for a in report.actions):
        return TargetStatus.AWAITING_APPROVAL
    refused = why <= {ReasonCode.NOT_SUPPORTED, ReasonCode.DEPENDENCY}
    return TargetStatus.NOT_SUPPORTED if refused else TargetStatus.PLANNED


def exit_status(report: RunReport) -> int:
    """Return 0 fine, 1 failed, or 3 incomplete (DESIGN 4); a failure outweighs an incomplete target."""
    incomplete = False
    for target in report.targets:
        failures = [o for o in target.outcomes if o.status is OutcomeStatus.FAILED]
        wrong = [o for o in failures if o.reason_code not in INCOMPLETE]
        serious = [f for f in target.findings if _serious(f)]
        if wrong or serious or any(not g.success and not _only_undone(g, target) for g in target.gates):
            return 1
        if (
            target.status is TargetStatus.FAILED
            and target.error
            and not any(o.reason_code in LEASE and o.message in (None, target.error) for o in target.outcomes)
        ):
            return 1
        incomplete |= target.status is TargetStatus.UNREACHABLE or any(
            o.reason_code in INCOMPLETE for o in target.outcomes
        )
        incomplete |= any(map(_unseen, target.findings))
    return 3 if incomplete else 0


def _serious(finding: Finding) -> bool:
    """Return whether something is wrong now that a person must mend: not put right by this run, not acknowledged."""
    return (
        finding.status is not FindingStatus.OK and finding.severity.rank >= Severity.ERROR.rank and not finding.settled
    )


def _unseen(finding: Finding) -> bool:
    """Return whether something that matters could not be looked at: that is never "nothing found"."""
    return (
        finding.status in (FindingStatus.NOT_AVAILABLE, FindingStatus.FAILED)
        and finding.severity.rank >= Severity.WARNING.rank
        and not finding.settled
    )


def _only_undone(gate: GateResult, target: TargetReport) -> bool:
    """Return whether a gate after missed nothing but what could not be done now: it is incomplete, not wrong."""
    subjects = {action.id: action.subject for action in target.actions}
    undone = {subjects.get(o.action_id) for o in target.outcomes if o.reason_code in INCOMPLETE}
    return gate.stage == "after" and all(
        f.stops == "subject" and f.subjects and undone >= {*f.subjects} for f in gate.failed
    )
