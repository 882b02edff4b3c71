"""A look at one target for a job that only looks: observe, judge, tell what is new; one step, one row of the ledger.

Most looks find what the one before found. Those write a `look` and nothing else: 100 targets looked at every five
minutes are 28,800 rows a day. Where something changed (a finding is new, changed or gone; the target ends otherwise
than last time) the look is written down like the target of any run, so that people find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from upkeep.errors import CancelledError, ConfigurationError, UpkeepError
from upkeep.fleet import Target
from upkeep.jobs import rooms
from upkeep.model import Finding, FindingStatus, Plan, TargetReport, TargetStatus
from upkeep.run import faults, findings, rules, settling
from upkeep.run.asking import request_of
from upkeep.run.findings import EVERYTHING, Look
from upkeep.run.runner import Runner
from upkeep.run.settling import measured

if TYPE_CHECKING:
    from upkeep.ledger import RunRecord


def look_at(runner: Runner, run_id: str, name: str) -> TargetReport:
    """Look at one target; failures end in the report, and in the ledger, not in an exception.

    Raises
    ------
    CancelledError
        The run was asked to stop; nothing is recorded of this target.
    """
    run, target = runner.ledger.run(run_id), runner.fleet.target(name)
    return settle(runner, run, target, glance(runner, run, target))


def glance(runner: Runner, run: RunRecord, target: Target) -> Plan | Exception:
    """Return what the job finds on a target, or why it could not look; nothing is written, so any thread may do it."""
    try:
        runner.stop.raise_if_asked()
        return _judged(runner, run, target)
    except Exception as error:  # noqa: BLE001 - it is handed over, and said to people by `settle`
        return error


def settle(runner: Runner, run: RunRecord, target: Target, seen: Plan | Exception) -> TargetReport:
    """Return the report of what was seen, with the lives of its findings, and record it; raises as `look_at` does."""
    if isinstance(seen, Exception):
        if isinstance(seen, CancelledError):
            raise seen
        if runner.stop.asked:
            raise CancelledError("the run was asked to stop; the statement was cancelled on the server") from seen
        return _blind(runner, run, target, seen)
    look = Look(run.run_id, target.name, run.job, seen.findings, before=seen.findings)
    lives = (findings.live if counts(run) else findings.compare)(runner.ledger, look)
    told = tuple(settling.with_life(finding, lives, run.run_id, target.name, run.job) for finding in seen.findings)
    report = TargetReport(target=target.name, engine=target.engine, status=TargetStatus.OK, at=seen.at, findings=told)
    report = report.model_copy(update={"status": rules.how_it_is(report)})
    runner.say(target.name, f"looked: {report.status.value}, {len(told)} findings")
    checks, unseen = findings.coverage(look, lives)
    return _recorded(runner, run, report, seen, changed=bool(lives.transitions), seen=checks, unseen=unseen)


def counts(run: RunRecord) -> bool:
    """Return whether it is all of the target that is looked at, as it is now; else the look ends nothing."""
    return settling.looks_at_present(run) and not request_of(run).asked()


def _blind(runner: Runner, run: RunRecord, target: Target, error: Exception) -> TargetReport:
    """Return, and record, that a target could not be looked at: what was wrong there stays open."""
    status, text = rules.status_of(error), faults.unexpected(error)
    runner.say(target.name, f"{status.value}: {text}")
    job = None
    with suppress(ConfigurationError):  # without the engine's driver: that is what the text says
        job = rooms.job(run.job, target.engine)
    found: Sequence[Finding] = ()
    if job is not None and job.blind is not None:
        found = job.blind(target, error, runner.ledger.memory(target.name, run.job, {"looks"}).looks)
    look = Look(run.run_id, target.name, run.job, found, before=found, unseen=frozenset({EVERYTHING}))
    lives = (findings.live if counts(run) else findings.compare)(runner.ledger, look)
    told = tuple(settling.with_life(finding, lives, run.run_id, target.name, run.job) for finding in found)
    report = TargetReport(target=target.name, engine=target.engine, status=status, error=text, findings=told)
    return _recorded(runner, run, report, changed=bool(lives.transitions), unseen=look.unseen)


def _recorded(
    runner: Runner,
    run: RunRecord,
    report: TargetReport,
    plan: Plan | None = None,
    *,
    changed: bool = False,
    seen: frozenset[str] = frozenset(),
    unseen: frozenset[str],
) -> TargetReport:
    """Return the report, recorded: the look, where it counts, and the target of a run, where something changed."""
    ledger, name, status = runner.ledger, report.target, report.status.value
    counted = counts(run)
    if changed or not counted or ledger.last_look(name, run.job) != status:
        _write_down(runner, run, report, plan)
    if counted:
        at, values = report.at or run.at, measured(report.findings)
        ledger.record_look(run.run_id, name, run.job, at=at, status=status, seen=seen, unseen=unseen, values=values)
    return report


def _write_down(runner: Runner, run: RunRecord, report: TargetReport, plan: Plan | None) -> None:
    """Write the target into the run, as any job's."""
    ledger, name = runner.ledger, report.target
    ledger.start_target(run.run_id, name, report.engine)
    if plan is not None:
        ledger.save_plan(run.run_id, plan)
    ledger.save_findings(run.run_id, name, [f for f in report.findings if f.status is not FindingStatus.OK])
    ledger.finish_target(run.run_id, name, report.status, at=report.at, error=report.error)


def _judged(runner: Runner, run: RunRecord, target: Target) -> Plan:
    """Return what the job finds on a target. Raises `UpkeepError` when it wants to change something."""
    request = request_of(run)
    observation = runner.look(run.job, target, run.at, request)
    plan = runner.job(run.job, target).plan(observation, target, request)
    if plan.actions:
        raise UpkeepError(f"{plan.job} only looks, but planned {plan.actions[0].kind} on {plan.actions[0].subject}")
    return plan
