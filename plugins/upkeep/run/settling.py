"""How a run ends for the findings of a target: which of them it has put right, and since when the others stand.

Only runs that look at the present touch the lives of findings. All others (plans only, ``--at``, backfills, what takes
back or restores) tell where a finding stands, and change nothing. The run of an approved plan looks as of the instant
that was planned for, one of a request at a part only: they mend what they did something on, and end nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.jobs import rooms
from upkeep.jobs.contract import Job
from upkeep.model import (
    Finding,
    FindingStatus,
    Json,
    Observation,
    Outcome,
    OutcomeStatus,
    Plan,
    Severity,
    TargetReport,
    fingerprint,
)
from upkeep.run import faults, findings, rules
from upkeep.run.asking import RESTORE, request_of
from upkeep.run.findings import Lives, Look

if TYPE_CHECKING:
    from upkeep.ledger import Ledger, RunRecord

log = logging.getLogger("upkeep")

PRESENT: Final = timedelta(minutes=10)
"""So far a run's instant may lie from its beginning while it still looks at the present."""
INTERVAL: Final = timedelta(hours=26)
"""The same for a DAG run, whose instant is the end of its last interval: a day, and the wait for a free slot."""
ELSEWHERE: Final = frozenset({"backfill", "undo", RESTORE})
"""Triggers of runs that do not look at how a target is."""


def settle(ledger: Ledger, run: RunRecord, target: Target, report: TargetReport, *, failed: bool) -> TargetReport:
    """Return the report of a target that ends, with the lives of its findings; what happened to them is stored.

    Parameters
    ----------
    report
        With the findings that the run has made so far.
    failed
        Whether it could not go on: then it has seen too little to touch any life.
    """
    look = None if failed else _look(ledger, run, target, report)
    if look is None:
        found = [*report.findings]
        lives = Lives(*ledger.known_issues(target.name, run.job, [fingerprint(target.name, run.job, f) for f in found]))
    else:
        found = _merged(report.findings, look)
        lives = findings.live(ledger, look) if _touches(run) else findings.compare(ledger, look)
    told = [with_life(f, lives, run.run_id, target.name, run.job) for f in found]
    if look is not None and not look.whole:
        told = [f for f in told if f.state == "mended" or _named(f) in map(_named, report.findings)]
    ledger.save_findings(run.run_id, target.name, [f for f in told if f.status is not FindingStatus.OK])
    settled = report.model_copy(update={"findings": tuple(told)})
    if look is not None and look.whole and _touches(run):
        seen, unseen = findings.coverage(look, lives)
        status = rules.conclude(settled).value
        values = {**measured(look.found), **_measured(ledger, run, target)}
        ledger.record_look(
            run.run_id, target.name, run.job, at=run.at, status=status, seen=seen, unseen=unseen, values=values
        )
    return settled


def looks_at_present(run: RunRecord) -> bool:
    """Return whether a run looks at how its targets are now: such runs touch the lives of findings."""
    if run.trigger in ELSEWHERE or run.options.get("plan_only"):
        return False
    return abs(run.started_at - run.at) <= (INTERVAL if "dag_id" in run.options else PRESENT)


def _touches(run: RunRecord) -> bool:
    """Return whether a run touches any life; what was approved is done as of when it was planned, and mends."""
    return looks_at_present(run) or ("planned_by" in run.options and run.trigger not in ELSEWHERE)


def measured(seen: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    """Return what was measured: check → subject → values."""
    found: dict[str, dict[str, Any]] = {}
    for finding in seen:
        if finding.evidence:
            found.setdefault(finding.check, {})[finding.subject] = finding.evidence
    return found


def _look(ledger: Ledger, run: RunRecord, target: Target, report: TargetReport) -> Look | None:
    """Return what the run saw of the target; ``None``: not enough to touch any life."""
    approved = "planned_by" in run.options
    if report.plan_id is None or (job := rooms.job(run.job, target.engine)) is None:
        return None
    request = request_of(run)
    plan = ledger.load_plan(run.run_id, target.name)
    subjects = {action.id: action.subject for action in plan.actions}
    done = {o.action_id for o in report.outcomes if o.status is OutcomeStatus.DONE} & subjects.keys()
    changed = frozenset(subjects[action_id] for action_id in done)
    after = _after(ledger, run, target, job, plan=plan, outcomes=report.outcomes) if changed else None
    if approved or request.asked():  # as of then, or of a part only
        if after is None:
            return None
        before = job.plan(ledger.load_observation(run.run_id, target.name, "before"), target, request).findings
        return Look(run.run_id, target.name, run.job, after, before, changed, whole=False)
    made = {_named(f) for f in (*plan.findings, *(after or ()))}
    others = [f for f in report.findings if _named(f) not in made]  # of the applier, of a pause
    now = plan.findings if after is None else after
    return Look(
        run.run_id,
        target.name,
        run.job,
        found=[*now, *others],
        before=[*plan.findings, *others],
        done=changed,
        unseen=_unlooked(plan, done, report, run.job),
    )


def _after(
    ledger: Ledger, run: RunRecord, target: Target, job: Job[Any], *, plan: Plan, outcomes: Sequence[Outcome]
) -> Sequence[Finding] | None:
    """Return what stands after the run's changes, and what the job concludes; ``None`` when it did not look again."""
    try:
        observation = ledger.load_observation(run.run_id, target.name, "after")
    except ConfigurationError:
        return None
    try:
        found = job.plan(observation, target, request_of(run)).findings
        if job.conclude is None:
            return found
        before = ledger.load_observation(run.run_id, target.name, "before")
        return [*found, *job.conclude(before, observation, plan, outcomes)]
    except Exception as error:  # noqa: BLE001 - the changes are made: the run must still be told to its end
        text = f"what stands after the changes could not be judged: {faults.unexpected(error)}"
        remedy, unseen = "report this; the next run looks again", FindingStatus.FAILED
        return [Finding.of("look_after", target.name, Severity.ERROR, text, remedy, status=unseen)]


def _measured(ledger: Ledger, run: RunRecord, target: Target) -> Mapping[str, Json]:
    """Return what the job measures of how the target is now: as it is after the changes, where there were any."""
    job = rooms.job(run.job, target.engine)
    if job is None or job.measures is None:
        return {}
    try:
        return job.measures(_newest(ledger, run, target), target)
    except Exception as error:  # noqa: BLE001 - a history is no reason to spoil a run that is done
        log.warning("%s: what was measured could not be kept: %s", target.name, faults.unexpected(error))
        return {}


def _newest(ledger: Ledger, run: RunRecord, target: Target) -> Observation:
    try:
        return ledger.load_observation(run.run_id, target.name, "after")
    except ConfigurationError:
        return ledger.load_observation(run.run_id, target.name, "before")


def _unlooked(plan: Plan, done: set[str], report: TargetReport, job: str) -> frozenset[str]:
    """Return what the run had no occasion to look at: all where a gate stopped it, rows of what was not done."""
    if any(gate.stops_target for gate in report.gates):
        return frozenset({findings.EVERYTHING})
    return frozenset(
        fingerprint(plan.target, job, Finding.of("quality", subject, Severity.ERROR, ""))
        for action in plan.actions
        if "quality" in action.args and action.id not in done
        for subject in (action.args["quality"].get("of") or action.subject,)
    )


def _merged(made: Sequence[Finding], look: Look) -> list[Finding]:
    """Return the findings of the report: what stands now, and what stood before."""
    now = {_named(f) for f in look.found}
    earlier = made if look.whole else (*made, *look.before)
    return [*(f for f in earlier if _named(f) not in now), *look.found]


def _named(finding: Finding) -> tuple[str, str]:
    return finding.check, finding.subject


def with_life(finding: Finding, lives: Lives, run_id: str, target: str, job: str) -> Finding:
    """Return a finding with its life."""
    if finding.status is FindingStatus.OK:
        return finding
    key = fingerprint(target, job, finding)
    known: dict[str, object] = {"fingerprint": key, "first_seen": None, "state": None, "acknowledged_until": None}
    issue = lives.issues.get(key)
    if issue is not None and issue.open:
        known |= {"first_seen": issue.first_seen, "state": "new" if issue.first_run == run_id else "standing"}
        # a word about what was seen then, not about what is worse, or could not be looked at
        alike = finding.severity.rank <= issue.severity.rank and finding.unseen == issue.unseen
        if alike and issue.acknowledged(lives.now):
            known["acknowledged_until"] = issue.acknowledged_until
    elif issue is not None and issue.gone_run == run_id:
        known["first_seen"] = issue.first_seen
    if key in lives.mended:
        known |= {"state": "mended", "acknowledged_until": None}
    return finding.model_copy(update=known)
