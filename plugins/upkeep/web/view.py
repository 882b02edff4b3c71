"""From a run's report to what the page shows: pure, so that it can be tested without a browser."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from upkeep import words
from upkeep.plan import FindingStatus, TargetReport, TargetStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upkeep.ledger import RunRecord, RunSummary
    from upkeep.plan import Action, Finding, GateResult, Outcome, Plan, RunReport

MOST_ACTIONS = 200
"""Actions shown for each target; more are in report.json. A page of thousands helps nobody."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A word with a tone: good, warn, bad, wait or quiet."""

    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One line of the plan, and what became of it."""

    kind: str
    subject: str
    detail: str
    reason: str
    destructive: bool
    rows: str
    lock: str
    needs: str
    statements: tuple[str, ...]
    precondition: str
    undo: str
    outcome: Badge
    message: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a gate: held or not."""

    text: str
    held: bool
    summary: str = ""
    remedy: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class GateView:
    """One gate."""

    stage: str
    suite: str
    badge: Badge
    expectations: tuple[Expectation, ...]
    left_out: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding."""

    badge: Badge
    subject: str
    summary: str
    remedy: str
    evidence: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """Everything about one target."""

    name: str
    engine: str
    badge: Badge
    plan_id: str
    error: str
    said: str
    actions: tuple[ActionRow, ...]
    hidden_actions: int
    gates: tuple[GateView, ...]
    findings: tuple[FindingRow, ...]
    approval: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one run."""

    run_id: str
    job: str
    at: str
    trigger: str
    started: str
    took: str
    badges: tuple[Badge, ...]
    targets: tuple[TargetView, ...]
    dag_id: str = ""
    dag_run_id: str = ""
    notice: str = ""
    waiting: tuple[TargetView, ...] = field(default=())


def page(report: RunReport, run: RunRecord, approvals: Mapping[str, str]) -> Page:
    """Return the page of a run.

    Parameters
    ----------
    approvals
        Plan id → address of the task that asks for its approval.
    """
    ordered = sorted(report.targets, key=lambda t: (words.ATTENTION.index(t.status), t.target))
    targets = tuple(target_view(t, approvals) for t in ordered)
    counts = words.statuses(t.status for t in ordered)
    return Page(
        run_id=report.run_id,
        job=report.job,
        at=words.moment(report.at),
        trigger=f"{run.trigger} by {run.actor}",
        started=words.moment(run.started_at),
        took=words.duration(run.finished_at - run.started_at) if run.finished_at else "not finished",
        badges=tuple(Badge(f"{n} {word}" if n > 1 else word, tone) for n, (word, tone) in counts),
        targets=targets,
        dag_id=str(run.options.get("dag_id", "")),
        dag_run_id=str(run.options.get("dag_run_id", "")),
        notice=words.PLAN_ONLY if run.options.get("plan_only") else "",
        waiting=tuple(t for t in targets if t.approval),
    )


def planned_only(plan: Plan, planned_by: str, approvals: Mapping[str, str]) -> Page:
    """Return the page of a plan that somebody is being asked about: no run has been begun for it yet."""
    report = TargetReport(
        target=plan.target,
        engine=plan.engine,
        status=TargetStatus.AWAITING_APPROVAL,
        plan_id=plan.plan_id,
        actions=plan.awaiting,
    )
    target = target_view(report, approvals)
    return Page(
        run_id="",
        job=plan.job,
        at=words.moment(plan.at),
        trigger=f"planned by run {planned_by}",
        started="",
        took="",
        badges=(target.badge,),
        targets=(target,),
        notice="Nothing has been changed yet.",
        waiting=(target,) if target.approval else (),
    )


@dataclass(frozen=True, slots=True)
class RunLine:
    """A line in the list of runs."""

    run_id: str
    job: str
    at: str
    started: str
    took: str
    trigger: str
    targets: tuple[tuple[str, Badge], ...]


def run_line(run: RunSummary) -> RunLine:
    """Return a line of the list of runs."""
    return RunLine(
        run_id=run.run_id,
        job=run.job,
        at=words.moment(run.at),
        started=words.moment(run.started_at),
        took=words.duration(run.finished_at - run.started_at) if run.finished_at else "not finished",
        trigger=f"{run.trigger} by {run.actor}",
        targets=tuple((name, Badge(*words.state(state))) for name, state in run.targets.items()),
    )


def target_view(target: TargetReport, approvals: Mapping[str, str]) -> TargetView:
    """Return everything about one target, what needs attention first."""
    outcomes = {o.action_id: o for o in target.outcomes}
    word, tone = words.STATUS[target.status]
    findings = sorted(target.findings, key=lambda f: (-f.severity.rank, f.status is FindingStatus.OK, f.subject))
    return TargetView(
        name=target.target,
        engine=target.engine,
        badge=Badge(word, tone),
        plan_id=target.plan_id or "",
        error=target.error or "",
        said=_said(target),
        actions=tuple(_action(a, outcomes.get(a.id)) for a in target.actions[:MOST_ACTIONS]),
        hidden_actions=max(0, len(target.actions) - MOST_ACTIONS),
        gates=tuple(_gate(g) for g in target.gates),
        findings=tuple(_finding(f) for f in findings),
        approval=approvals.get(target.plan_id or "", ""),
    )


def _said(target: TargetReport) -> str:
    """Return the outcomes in one line."""
    if not target.actions:
        return "nothing was to be done" if target.plan_id else ""
    counts = Counter(words.plain(o.reason_code or o.status) for o in target.outcomes)
    planned = f"{len(target.actions)} planned"
    return ", ".join([planned, *(f"{n} {word}" for word, n in counts.most_common())])


def _action(action: Action, outcome: Outcome | None) -> ActionRow:
    rows = outcome.rows if outcome and outcome.rows is not None else action.rows
    estimated = outcome is None or outcome.rows is None
    return ActionRow(
        kind=words.plain(action.kind),
        subject=action.subject,
        detail=action.detail,
        reason=action.reason,
        destructive=action.destructive,
        rows="" if rows is None else f"{'≈ ' if estimated and rows else ''}{rows:,}",
        lock=action.lock,
        needs=words.needs(action),
        statements=action.statements,
        precondition=action.precondition,
        undo=action.undo or "",
        outcome=Badge(*words.outcome(action, outcome)),
        message=(outcome.message if outcome else action.blocked[1] if action.blocked else "") or "",
        evidence=pretty(outcome.evidence) if outcome and outcome.evidence else "",
    )


def _gate(gate: GateResult) -> GateView:
    left = list(gate.failed)
    rows = []
    for text in dict.fromkeys(gate.checked):
        failures = [f for f in left if f.summary.startswith(f"expected: {text};")]
        left = [f for f in left if f not in failures]
        rows += [_failed(text, f) for f in failures] or [Expectation(text, held=True)]
    rows += [_failed(f.expectation, f) for f in left]
    badge = Badge("passed", "good") if gate.success else Badge(f"{len(gate.failed)} not met", "bad")
    ordered = tuple(sorted(rows, key=lambda r: r.held))
    return GateView(gate.stage, gate.suite, badge, ordered, ", ".join(gate.left_out))


def _failed(text: str, failure: Any) -> Expectation:
    summary = failure.summary.removeprefix(f"expected: {text}; ")
    evidence = pretty(failure.evidence) if failure.evidence else ""
    return Expectation(text, held=False, summary=summary, remedy=failure.remedy or "", evidence=evidence)


def _finding(finding: Finding) -> FindingRow:
    ok = finding.status is FindingStatus.OK
    word = "ok" if ok else finding.severity.value
    tone = "good" if ok else words.SEVERITY[finding.severity]
    if finding.status in (FindingStatus.NOT_AVAILABLE, FindingStatus.INSUFFICIENT_EVIDENCE):
        word = words.plain(finding.status)
    evidence = pretty(finding.evidence) if finding.evidence else ""
    return FindingRow(Badge(word, tone), finding.subject, finding.summary, finding.remedy or "", evidence)


def pretty(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
