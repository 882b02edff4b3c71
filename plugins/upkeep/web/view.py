"""From a run's report to what the page shows: pure, so that it can be tested without a browser."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from upkeep import brief, words
from upkeep.brief import Alike
from upkeep.jobs.spec import JOBS
from upkeep.ledger import RunRecord, RunSummary
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    GateResult,
    Outcome,
    OutcomeStatus,
    Plan,
    PlanState,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
)
from upkeep.web.parts import (
    ActionGroup,
    ActionRow,
    Asked,
    Badge,
    Expectation,
    FindingRow,
    Findings,
    GateView,
    Link,
    Page,
    RunLine,
    TargetView,
)

MOST_ACTIONS = 200
"""Actions shown for each target, unless all are asked for; what a person approves is always shown whole."""
MOST_NAMES = 3
"""Targets named in a line of the list of runs; more are counted by how they ended, and folded."""
PREFIX = "/upkeep"


def page(
    report: RunReport,
    run: RunRecord,
    approvals: Mapping[str, str],
    asked: Asked | None = None,
    *,
    everything: bool = False,
) -> Page:
    """Return the page of a run.

    Parameters
    ----------
    approvals
        Plan id → address of the task that asks for its approval.
    everything
        Show all actions, however many; always so for the run of an approved plan.
    """
    ordered = sorted(report.targets, key=lambda t: (words.ATTENTION.index(t.status), t.target))
    asked = replace(asked or Asked(), open=approvals)
    most = None if everything or "planned_by" in run.options else MOST_ACTIONS
    targets = tuple(target_view(t, asked, run, most=most) for t in ordered)
    looks = _looks_only(report.job)
    dag_id, dag_run_id = (str(run.options.get(key, "")) for key in ("dag_id", "dag_run_id"))
    counts = [(n, _told(word, report.job)) for n, word in words.statuses(t.status for t in ordered)]
    return Page(
        run_id=report.run_id,
        job=report.job,
        at=words.moment(report.at),
        trigger=f"{run.trigger} by {run.actor}",
        started=words.moment(run.started_at),
        took=words.duration(run.finished_at - run.started_at) if run.finished_at else "not finished",
        badges=tuple(Badge(f"{n} {word}" if n > 1 else word, tone) for n, (word, tone) in counts),
        targets=targets,
        dag_id=dag_id,
        dag_run_id=dag_run_id,
        notice=words.PLAN_ONLY if run.options.get("plan_only") else "",
        findings=tuple(_finding(f) for f in report.findings),
        waiting=tuple(t for t in targets if t.approval),
        lead=_lead(report, run, looks=looks),
        looks=looks,
        dag_run=f"/dags/{quote(dag_id)}/runs/{quote(dag_run_id, safe='')}" if dag_id else "",
    )


def _looks_only(job: str) -> bool:
    """Return whether a job only looks; one that is in the table no more does not."""
    return job in JOBS and JOBS[job].looks_only


def _told(word: words.Word, job: str) -> words.Word:
    """Return the word for a state of a target: where a job only looks, nothing was done."""
    return ("ok", "good") if word == words.STATUS[TargetStatus.OK] and _looks_only(job) else word


def _lead(report: RunReport, run: RunRecord, *, looks: bool) -> str:
    """Return the sentence that the page begins with."""
    said = brief.sentence(report.targets, looks=looks)
    return said if run.finished_at or not report.targets else f"Not finished; so far: {said[0].lower()}{said[1:]}"


def planned_only(
    plan: Plan,
    planned_by: str,
    approvals: Mapping[str, str],
    state: PlanState | None = None,
    *,
    pause: str = "",
    closed: bool = False,
    asked: Asked | None = None,
) -> Page:
    """Return the page of a plan that somebody was asked about, and for which no run has been begun from here.

    Parameters
    ----------
    state
        What became of it.
    pause
        Who paused its target, when and why.
    closed
        Whether the run that asks has ended.
    """
    report = TargetReport(
        target=plan.target,
        engine=plan.engine,
        status=TargetStatus.AWAITING_APPROVAL,
        plan_id=plan.plan_id,
        actions=plan.awaiting,
        plan_state=state or PlanState(state="awaiting", planned_by=planned_by),
    )
    target = target_view(report, replace(asked or Asked(), open=approvals), planned_for=plan.job, most=None)
    notices = {
        ("awaiting", False): "Nothing has been changed yet.",
        ("awaiting", True): "Nobody answered here, and nothing has been changed; the next night asks again.",
        ("granted", False): "Its run begins in a moment.",
        ("granted", True): "No run of it was begun here: see the log of the task that failed.",
    }
    text = notices.get((state.state if state else "awaiting", closed), "")
    return Page(
        run_id="",
        job=plan.job,
        at=words.moment(plan.at),
        trigger=f"planned by run {planned_by}",
        started="",
        took="",
        badges=(target.badge,),
        targets=(target,),
        notice=" ".join(filter(None, (text, pause and f"Paused, so nothing is changed: {pause}."))),
        lead=_asked_lead(plan, report.plan_state),
    )


def _asked_lead(plan: Plan, state: PlanState | None) -> str:
    """Return the sentence that the page of a question begins with."""
    about = brief.asked(plan.awaiting)
    if state is None or state.state == "awaiting":
        return f"{about} of {plan.target} wait{'s' * about.startswith('1 ')} for you."
    if state.state == "superseded":
        return f"A newer plan of {plan.target} took the place of this one ({about}): nobody is asked about it any more."
    return f"{about} of {plan.target}: {words.FATE[state.state][0]}."


def run_line(run: RunSummary) -> RunLine:
    """Return a line of the list of runs; many targets are grouped by how they ended, what needs somebody first."""
    targets = tuple((name, Badge(*_told(words.state(state), run.job))) for name, state in run.targets.items())
    by_word: dict[Badge, list[str]] = {}
    for name, badge in targets:
        by_word.setdefault(badge, []).append(name)
    order = [_told(words.STATUS[status], run.job)[0] for status in words.ATTENTION]
    badges = sorted(by_word, key=lambda b: order.index(b.text) if b.text in order else -1)
    groups = tuple((Badge(f"{len(by_word[b])} {b.text}", b.tone), tuple(by_word[b])) for b in badges)
    return RunLine(
        run_id=run.run_id,
        job=run.job,
        at=words.moment(run.at),
        started=words.moment(run.started_at),
        took=words.duration(run.finished_at - run.started_at) if run.finished_at else "not finished",
        trigger=f"{run.trigger} by {run.actor}",
        targets=targets,
        groups=groups if len(targets) > MOST_NAMES else (),
    )


def target_view(
    target: TargetReport,
    asked: Asked,
    run: RunRecord | None = None,
    *,
    planned_for: str = "",
    most: int | None = MOST_ACTIONS,
) -> TargetView:
    """Return everything about one target, what needs attention first.

    Parameters
    ----------
    run
        The run whose page it is on; without one it is the page of a plan, of the job ``planned_for``.
    """
    outcomes = {o.action_id: o for o in target.outcomes}
    state = target.plan_state
    findings = words.by_weight(sorted(target.findings, key=lambda f: f.subject))
    shown = target.actions[:most]
    planned = [] if target.running else brief.fold(target.actions, target.outcomes)
    undone = "not begun" if target.outcomes else ""
    if not run and state and state.state != "awaiting":
        undone = f"not done: {words.FATE[state.state][0]}"
    plan_id, job = target.plan_id or "", run.job if run else planned_for
    rows = {a.id: _action(a, outcomes.get(a.id), undone, running=a.id in target.running) for a in shown}
    return TargetView(
        name=target.target,
        engine=target.engine,
        badge=Badge(*(_told(words.STATUS[target.status], job) if run or state is None else words.FATE[state.state])),
        plan_id=plan_id,
        error=words.seconds(target.error or ""),
        said=_said(target),
        actions=tuple(rows.values()),
        hidden_actions=len(target.actions) - len(shown),
        gates=tuple(_gate(g) for g in target.gates),
        findings=tuple(_finding(f) for f in findings),
        approval=asked.open.get(plan_id, ""),
        fate=Badge(*words.fate(state)) if state else None,
        links=_links(state, run.run_id if run else "", job, asked.runs.get(plan_id, "")),
        unasked=_unasked(target, asked),
        explains=words.explains(s for a in shown for s in a.statements),
        groups=tuple(_group(alike, rows) for alike in planned if alike.actions[0].id in rows)
        or tuple(ActionGroup(row, (row,), 1) for row in rows.values()),
        sorted=_sorted(findings),
        took=words.duration(timedelta(seconds=target.seconds)) if target.seconds is not None else "",
        idle=brief.healthy(target) and not target.actions,
        folded=target.status is TargetStatus.OK and all(_is_done(outcomes.get(a.id)) for a in target.actions),
        lead=", ".join(brief.did((target,))),
    )


def _group(alike: Alike, rows: Mapping[str, ActionRow]) -> ActionGroup:
    """Return actions that are alike as one line, and those of them that are shown by themselves."""
    members = tuple(rows[a.id] for a in alike.actions if a.id in rows)
    first, of = members[0], len(alike.actions)
    if of == 1:
        return ActionGroup(first, members, of)
    reasons = dict.fromkeys(m.reason for m in members)
    head = replace(
        first,
        detail=words.seconds(alike.detail),
        reason=first.reason if len(reasons) == 1 else f"{first.reason} – and alike",
        rows=_rows(alike.rows, estimated=alike.estimated),
        took=_took(alike.seconds),
    )
    return ActionGroup(head, members, of)


def _sorted(findings: Sequence[Finding]) -> Findings:
    """Return findings by what is to be made of them."""

    def kind(found: Finding) -> str:
        if found.state == "mended":
            return "mended"
        if found.status is FindingStatus.OK:
            return "fine"
        if found.status in (FindingStatus.NOT_AVAILABLE, FindingStatus.INSUFFICIENT_EVIDENCE):
            return "unseen"
        return "open" if found.severity.rank >= Severity.WARNING.rank else "notes"

    parts: dict[str, list[FindingRow]] = {}
    for found in sorted(findings, key=lambda f: (f.settled, f.state == "standing")):
        parts.setdefault(kind(found), []).append(_finding(found))
    return Findings(**{name: tuple(rows) for name, rows in parts.items()})


def _links(state: PlanState | None, here: str, job: str, question: str) -> tuple[Link, ...]:
    """Return the ways from a plan to the run that made it, the one that asked, and the one that followed."""
    if state is None:
        return ()
    follows = "the run of the newest plan" if state.state == "superseded" else "the run that carried it out"
    runs = [("the run that planned it", state.planned_by), (follows, state.run_id)]
    links = [
        Link(text, f"{PREFIX}/run/{quote(job)}/{quote(run_id)}") for text, run_id in runs if run_id not in (None, here)
    ]
    return (*links, *([Link("the run that asked", question, airflow=True)] if question else ()))


def _unasked(target: TargetReport, asked: Asked) -> str:
    """Return why nobody is being asked about a plan that waits; empty when somebody is."""
    state = target.plan_state
    if state is None or state.state != "awaiting" or target.plan_id in asked.open:
        return ""
    if target.status is TargetStatus.PAUSED:
        return "Nobody is asked while the target is paused."
    if asked.paused:
        return "Nobody is being asked: the DAG approved_changes is paused. Unpause it, or use the command line."
    return ""


def _said(target: TargetReport) -> str:
    """Return the outcomes in one line."""
    if not target.actions:
        return "nothing was to be done" if target.plan_id else ""
    counts = Counter(words.plain(o.reason_code or o.status) for o in target.outcomes)
    planned = f"{len(target.actions)} planned"
    return ", ".join([planned, *(f"{n} {word}" for word, n in counts.most_common())])


def _rows(rows: int | None, *, estimated: bool) -> str:
    return "" if rows is None else f"{'≈ ' if estimated and rows else ''}{rows:,}"


def _took(seconds: float) -> str:
    return words.duration(timedelta(seconds=seconds)) if seconds else ""


def _is_done(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status is OutcomeStatus.DONE


def _action(action: Action, outcome: Outcome | None, undone: str, *, running: bool) -> ActionRow:
    rows = outcome.rows if outcome and outcome.rows is not None else action.rows
    badge = Badge(*words.outcome(action, outcome))
    if outcome is None and not action.blocked and (running or undone):
        badge = Badge("running", "wait") if running else Badge(undone, "quiet")
    done = _is_done(outcome)  # what it needed matters no more
    return ActionRow(
        kind=words.plain(action.kind),
        subject=words.visible(action.subject),
        detail=words.seconds(action.detail),
        reason=words.seconds(action.reason),
        destructive=action.destructive and not done,
        rows=_rows(rows, estimated=outcome is None or outcome.rows is None),
        lock="" if done else action.lock,
        needs="" if done else words.needs(action),
        statements=tuple(map(words.visible, action.statements)),
        precondition=words.seconds(action.precondition),
        undo=words.seconds(action.undo or ""),
        outcome=badge,
        message=words.seconds((outcome.message if outcome else action.blocked[1] if action.blocked else "") or ""),
        evidence=pretty(outcome.evidence) if outcome and outcome.evidence else "",
        took=_took(outcome.seconds if outcome else 0),
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
    summary = words.seconds(failure.summary.removeprefix(f"expected: {text}; "))
    evidence = pretty(failure.evidence) if failure.evidence else ""
    return Expectation(text, held=False, summary=summary, remedy=failure.remedy or "", evidence=evidence)


def _finding(finding: Finding) -> FindingRow:
    word, tone = words.finding(finding)
    mended = finding.state == "mended"
    if finding.status in (FindingStatus.NOT_AVAILABLE, FindingStatus.INSUFFICIENT_EVIDENCE) and not mended:
        word = words.plain(finding.status)
    evidence = pretty(finding.evidence) if finding.evidence else ""
    remedy = "" if mended else finding.remedy or ""
    return FindingRow(
        Badge(word, tone),
        finding.subject,
        words.seconds(finding.summary),
        words.seconds(remedy),
        evidence,
        words.life(finding),
        fresh=finding.state == "new" and not finding.settled,
        check=words.plain(finding.check),
    )


def pretty(value: Any) -> str:
    """Return a value as indented JSON, its moments to the second."""
    return words.seconds(json.dumps(value, indent=1, ensure_ascii=False, default=str))
