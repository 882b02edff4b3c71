"""What the report page shows, from values: nothing of a browser, Airflow or a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from upkeep.ledger import RunRecord, RunSummary
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    GateFailure,
    GateResult,
    Outcome,
    OutcomeStatus,
    PlanState,
    ReasonCode,
    Requirement,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
)
from upkeep.web import view

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)


def action(**changes: Any) -> Action:
    about = {"kind": "drop_partition", "subject": "public.a", "args": {}, "statements": ("drop table x",)}
    about |= {"reason": "old", "destructive": True, "precondition": "there"}
    return Action.make(**{**about, **changes})


def target(name: str, status: TargetStatus, **parts: Any) -> TargetReport:
    return TargetReport(target=name, engine="postgres", status=status, **parts)


def page(*targets: TargetReport, approvals: dict[str, str] | None = None, **options: Any) -> view.Page:
    run = RunRecord("r1", "data_retention", AT, "scheduled", "airflow", options, AT, AT + timedelta(seconds=74))
    return view.page(RunReport(run_id="r1", job=run.job, at=AT, targets=targets), run, approvals or {})


def test_what_needs_somebody_comes_first() -> None:
    order = [TargetStatus.NOTHING_TO_DO, TargetStatus.OK, TargetStatus.AWAITING_APPROVAL, TargetStatus.PARTIAL]
    shown = page(*(target(f"t{n}", status) for n, status in enumerate(order)), target("a", TargetStatus.FAILED))
    assert [t.name for t in shown.targets] == ["a", "t3", "t2", "t1", "t0"]
    assert [b.tone for b in shown.badges] == ["bad", "warn", "wait", "good", "good"]
    assert shown.took == "1 min 14 s"


def test_equal_states_are_counted() -> None:
    shown = page(*(target(name, TargetStatus.OK) for name in "abc"))
    assert [b.text for b in shown.badges] == ["3 done"]


def outcome(of: Action, status: OutcomeStatus, code: ReasonCode | None = None, **parts: Any) -> Outcome:
    return Outcome(action_id=of.id, status=status, reason_code=code, **parts)


SKIPPED, FAILED, DONE = OutcomeStatus.SKIPPED, OutcomeStatus.FAILED, OutcomeStatus.DONE


@pytest.mark.parametrize(
    ("status", "code", "text", "tone"),
    [
        (DONE, None, "done", "good"),
        (SKIPPED, ReasonCode.NEEDS_APPROVAL, "needs approval", "wait"),
        (SKIPPED, ReasonCode.OVER_LIMIT, "over limit", "wait"),
        (SKIPPED, ReasonCode.OBSERVE_ONLY, "observe only", "quiet"),
        (SKIPPED, ReasonCode.STATE_CHANGED, "state changed", "warn"),
        (FAILED, ReasonCode.LOCK_NOT_OBTAINED, "lock not obtained", "bad"),
        (FAILED, None, "failed", "bad"),
    ],
)
def test_outcomes(status: OutcomeStatus, code: ReasonCode | None, text: str, tone: str) -> None:
    drop = action()
    shown = page(target("t", TargetStatus.OK, actions=(drop,), outcomes=(outcome(drop, status, code),), plan_id="p"))
    assert shown.targets[0].actions[0].outcome == view.Badge(text, tone)


def test_an_action_without_an_outcome_is_planned_or_blocked() -> None:
    free, blocked = action(), action(args={"n": 1}, blocked=(ReasonCode.NOT_SUPPORTED, "a foreign key"))
    shown = page(target("t", TargetStatus.OK, actions=(free, blocked), plan_id="p")).targets[0]
    assert [a.outcome.text for a in shown.actions] == ["planned", "blocked: not supported"]
    assert shown.actions[1].message == "a foreign key"


@pytest.mark.parametrize(
    ("planned", "real", "text"),
    [(1200, None, "≈ 1,200"), (1200, 1190, "1,190"), (0, None, "0"), (None, None, "")],
)
def test_rows_are_estimates_until_it_is_done(planned: int | None, real: int | None, text: str) -> None:
    drop = action(rows=planned)
    done = (outcome(drop, DONE, rows=real),)
    assert page(target("t", TargetStatus.OK, actions=(drop,), outcomes=done)).targets[0].actions[0].rows == text


def test_a_long_plan_is_cut() -> None:
    many = tuple(action(args={"n": n}) for n in range(view.MOST_ACTIONS + 7))
    shown = page(target("t", TargetStatus.OK, actions=many, plan_id="p")).targets[0]
    assert len(shown.actions) == view.MOST_ACTIONS
    assert shown.hidden_actions == 7


def test_a_waiting_plan_is_linked() -> None:
    drop = action(requires=Requirement(kind="approval"))
    waiting = target("t", TargetStatus.AWAITING_APPROVAL, actions=(drop,), plan_id="p1")
    assert page(waiting, approvals={"p1": "/dags/x"}).waiting[0].approval == "/dags/x"
    assert page(waiting).waiting == ()


def test_findings_by_severity() -> None:
    def finding(subject: str, severity: Severity, status: FindingStatus = FindingStatus.FINDING) -> Finding:
        return Finding(check="c", subject=subject, status=status, severity=severity, summary="s")

    found = (
        finding("info", Severity.INFO),
        finding("unseen", Severity.WARNING, FindingStatus.NOT_AVAILABLE),
        finding("bad", Severity.CRITICAL),
        finding("fine", Severity.INFO, FindingStatus.OK),
    )
    shown = page(target("t", TargetStatus.OK, findings=found)).targets[0].findings
    assert [(f.subject, f.badge.text) for f in shown] == [
        ("bad", "CRITICAL"),
        ("unseen", "not available"),
        ("info", "INFO"),
        ("fine", "ok"),
    ]


def test_a_gate_shows_what_held_and_what_did_not() -> None:
    summary = "expected: no gap; not so: public.a (gaps = 1)"
    failures = (
        GateFailure(expectation="tables.gaps: x", summary=summary, stops="subject", remedy="fill it"),
        GateFailure(expectation="server: row count", summary="frame 'server' has no rows", stops="target"),
    )
    checked = ("no gap", "no overlap")
    gate = GateResult(suite="s", stage="after", success=False, evaluated=3, failed=failures, checked=checked)
    shown = page(target("t", TargetStatus.PARTIAL, gates=(gate,))).targets[0].gates[0]
    assert shown.badge == view.Badge("2 not met", "bad")
    assert [(e.text, e.held) for e in shown.expectations] == [
        ("no gap", False),
        ("server: row count", False),
        ("no overlap", True),
    ]
    assert shown.expectations[0].summary == "not so: public.a (gaps = 1)"


@pytest.mark.parametrize(
    "status", [TargetStatus.PAUSED, TargetStatus.OBSERVED, TargetStatus.PLANNED, TargetStatus.NOT_SUPPORTED]
)
def test_what_was_not_done_is_never_green(status: TargetStatus) -> None:
    shown = page(target("t", status, actions=(action(),), plan_id="p"))
    assert shown.targets[0].badge.tone != "good"
    assert [b.tone for b in shown.badges] == [shown.targets[0].badge.tone]
    line = view.run_line(RunSummary("r1", "j", AT, "cli", "anna", AT, AT, {"t": status.value}))
    assert line.targets[0][1] == shown.targets[0].badge


def test_an_action_that_was_killed_is_interrupted() -> None:
    killed, running = action(), action(args={"n": 1})
    known = outcome(killed, FAILED, ReasonCode.INTERRUPTED, rows=1380, message="stopped in the middle")
    half = target("t", TargetStatus.FAILED, actions=(killed, running), outcomes=(known,), running=(running.id,))
    first, second = page(half).targets[0].actions
    assert (first.outcome, first.rows, first.message) == (view.Badge("interrupted", "bad"), "1,380", known.message)
    assert second.outcome == view.Badge("running", "wait")


def test_all_actions_of_an_approved_plan_are_shown() -> None:
    many = tuple(action(args={"n": n}) for n in range(view.MOST_ACTIONS + 7))
    shown = page(target("t", TargetStatus.OK, actions=many, plan_id="p"), planned_by="r0").targets[0]
    assert (len(shown.actions), shown.hidden_actions) == (len(many), 0)


def test_a_plan_leads_to_the_runs_it_concerns() -> None:
    state = PlanState(state="used", planned_by="r0", by="anna", at=AT, run_id="r2")
    used = target("t", TargetStatus.AWAITING_APPROVAL, actions=(action(),), plan_id="p", plan_state=state)
    shown = page(used).targets[0]
    assert [link.href for link in shown.links] == [f"/upkeep/run/data_retention/{run}" for run in ("r0", "r2")]
    assert shown.fate is not None
    assert "approved by anna" in shown.fate.text
    asked = view.Asked(runs={"p": "/dags/approved_changes/runs/x"}, paused=True)
    waiting = used.model_copy(update={"plan_state": PlanState(state="awaiting", planned_by="r1")})
    run = RunRecord("r1", "data_retention", AT, "scheduled", "airflow", {}, AT, AT)
    report = RunReport(run_id="r1", job=run.job, at=AT, targets=(waiting,))
    shown = view.page(report, run, {}, asked).targets[0]
    assert [link.href for link in shown.links] == ["/dags/approved_changes/runs/x"]
    assert "paused" in shown.unasked
    assert view.page(report, run, {"p": "/answer"}, asked).targets[0].unasked == ""


def test_many_targets_are_folded_by_how_they_ended() -> None:
    ended = {f"t{n:03}": "ok" for n in range(197)} | {"x": "failed", "y": "paused", "z": "not_finished"}
    line = view.run_line(RunSummary("r1", "j", AT, "cli", "anna", AT, AT, ended))
    assert [badge.text for badge, _ in line.groups] == ["1 not finished", "1 failed", "1 paused", "197 done"]
    assert line.groups[1][1] == ("x",)


def test_plan_only_says_so() -> None:
    assert "nothing was to be changed" in page(plan_only=True).notice
    assert page(plan_only=False).notice == ""


def test_a_line_in_the_list_of_runs() -> None:
    summary = RunSummary("r1", "j", AT, "cli", "anna", AT, None, {"a": "ok", "b": "not_finished"})
    line = view.run_line(summary)
    assert line.took == "not finished"
    assert [(name, badge.text) for name, badge in line.targets] == [("a", "done"), ("b", "not finished")]


def test_what_was_put_right_is_no_warning() -> None:
    def finding(subject: str, **life: Any) -> Finding:
        made = Finding.of("c", subject, Severity.WARNING, "rows lie there", "move them")
        return made.model_copy(update={"first_seen": AT, **life})

    found = (
        finding("mended", state="mended", status=FindingStatus.NOT_AVAILABLE),
        finding("known", state="standing", acknowledged_until=AT + timedelta(days=3)),
        finding("standing", state="standing"),
        finding("fresh", state="new"),
    )
    (shown,) = page(target("t", TargetStatus.OK, findings=found)).targets
    assert [(f.subject, f.badge.text, f.badge.tone, f.life) for f in shown.findings] == [
        ("fresh", "WARNING", "warn", ""),
        ("standing", "WARNING", "warn", "since 2026-11-20"),
        ("known", "WARNING", "quiet", "since 2026-11-20, acknowledged until 2026-11-23 02:00:00 UTC"),
        ("mended", "put right", "good", "by this run; it was WARNING since 2026-11-20"),
    ]
    assert [bool(f.remedy) for f in shown.findings] == [True, True, True, False]
