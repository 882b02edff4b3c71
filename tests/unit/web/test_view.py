"""What the report page shows, from values: nothing of a browser, Airflow or a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness import values
from upkeep.jobs import spec
from upkeep.ledger import OpenIssue, RunRecord, RunSummary
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    GateFailure,
    GateResult,
    Issue,
    Outcome,
    OutcomeStatus,
    Plan,
    PlanState,
    ReasonCode,
    Requirement,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
)
from upkeep.web import standing, view

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


def test_the_page_leads_with_what_was_done_and_what_waits() -> None:
    gone, due = (
        action(kind="delete_rows"),
        action(kind="delete_rows", args={"n": 1}, rows=480_981, requires=Requirement(kind="approval")),
    )
    ended = (outcome(gone, DONE, rows=118), outcome(due, SKIPPED, ReasonCode.NEEDS_APPROVAL))
    half = target("t", TargetStatus.AWAITING_APPROVAL, actions=(gone, due), outcomes=ended, plan_id="p")

    def lead(state: str | None) -> str:
        known = PlanState(state=state, planned_by="r1") if state else None
        return page(half.model_copy(update={"plan_state": known})).lead

    assert lead("awaiting") == "118 rows deleted, 480,981 wait for you."
    assert lead("expired") == lead("awaiting")
    assert lead("rejected") == "118 rows deleted, 480,981 rejected."
    assert lead("superseded") == "118 rows deleted, 480,981 in a newer plan now."
    assert "wait" not in lead(None)  # nobody can be asked about it


@pytest.mark.parametrize(
    ("targets", "lead"),
    [
        ((), "No target of the fleet declares something for this job."),
        (
            (target("a", TargetStatus.NOTHING_TO_DO, plan_id="p"),),
            "Everything is as declared: nothing was to be done.",
        ),
        ((target("a", TargetStatus.UNREACHABLE),), "Nothing was changed. Unreachable: a."),
        (
            tuple(target(name, TargetStatus.PAUSED) for name in "abcde"),
            "Nothing was changed. Paused: 5 targets.",
        ),
    ],
)
def test_the_page_never_says_more_than_was_done(targets: tuple[TargetReport, ...], lead: str) -> None:
    assert page(*targets).lead == lead


def test_a_run_that_goes_on_says_so() -> None:
    run = RunRecord("r1", "data_retention", AT, "scheduled", "airflow", {}, AT, None)
    report = RunReport(run_id="r1", job=run.job, at=AT, targets=(target("a", TargetStatus.PARTIAL),))
    assert view.page(report, run, {}).lead == "Not finished; so far: nothing was changed. Partial: a."


def months(count: int, **changes: Any) -> tuple[Action, ...]:
    about = {"kind": "create_partition", "lock": "ACCESS EXCLUSIVE", "destructive": False} | changes
    return tuple(
        action(args={"n": n}, detail=f"public.a_2026_{n:02}, 2026-{n:02}-01 to 2026-{n + 1:02}-01", **about)
        for n in range(6, 6 + count)
    )


def test_repeated_actions_are_one_line() -> None:
    some = months(5)
    done = tuple(outcome(a, DONE, seconds=0.5) for a in some)
    shown = page(target("t", TargetStatus.OK, actions=some, outcomes=done, plan_id="p"))
    (group,) = shown.targets[0].groups
    assert (group.head.detail, group.of, group.head.took) == ("5 partitions, 2026-06 … 2026-10", 5, "2.5 s")
    assert [m.took for m in group.members] == ["500 ms"] * 5
    assert shown.lead == "5 partitions created."
    assert (group.head.lock, group.head.needs, group.head.destructive) == ("", "", False)
    waiting = page(target("t", TargetStatus.PLANNED, actions=some, plan_id="p")).targets[0].groups[0]
    assert waiting.head.lock == "ACCESS EXCLUSIVE"  # it matters before


def test_a_cut_plan_counts_all_that_is_alike() -> None:
    many = months(3) + tuple(action(args={"m": n}) for n in range(view.MOST_ACTIONS + 50))
    shown = page(target("t", TargetStatus.PLANNED, actions=many, plan_id="p")).targets[0]
    assert [(g.of, len(g.members)) for g in shown.groups] == [(3, 3), (view.MOST_ACTIONS + 50, view.MOST_ACTIONS - 3)]
    assert shown.hidden_actions == 53


def test_no_microseconds_are_shown() -> None:
    when = "2026-12-04T02:37:57.064688+00:00"
    late = action(reason=f"kept until {when}", detail=when, precondition=when, undo=when, kind="delete_rows")
    ended = outcome(late, DONE, message=f"at {when}", evidence={"at": when})
    found = Finding.of("c", "s", Severity.WARNING, f"since {when}", f"wait until {when}", evidence={"at": when})
    shown = page(target("t", TargetStatus.OK, actions=(late,), outcomes=(ended,), findings=(found,), error=when))
    assert ".064688" not in repr(shown)
    assert "kept until 2026-12-04 02:37:57 UTC" in repr(shown)


def test_findings_are_told_by_what_is_to_be_made_of_them() -> None:
    def finding(check: str, severity: Severity, status: FindingStatus = FindingStatus.FINDING, **life: Any) -> Finding:
        made = Finding.of(check, "s", severity, "x", "do it", status=status)
        return made.model_copy(update={"first_seen": AT, **life})

    found = (
        finding("old", Severity.CRITICAL, state="standing"),
        finding("fresh", Severity.WARNING, state="new"),
        finding("note", Severity.INFO),
        finding("blind", Severity.ERROR, FindingStatus.NOT_AVAILABLE),
        finding("broken", Severity.WARNING, FindingStatus.FAILED),
        finding("mended", Severity.ERROR, state="mended"),
        finding("fine", Severity.INFO, FindingStatus.OK),
    )
    shown = page(target("t", TargetStatus.UNHEALTHY, findings=found))
    told = shown.targets[0].sorted
    kinds = (told.open, told.notes, told.unseen, told.mended, told.fine)
    assert [[f.check for f in kind] for kind in kinds] == [
        ["fresh", "broken", "old"],
        ["note"],
        ["blind"],
        ["mended"],
        ["fine"],
    ]
    assert [f.fresh for f in told.open] == [True, False, False]
    assert shown.lead.endswith("Findings (1 new): 1 CRITICAL, 1 ERROR, 2 WARNING, 1 put right.")


def test_targets_with_nothing_to_do_are_folded() -> None:
    shown = page(target("a", TargetStatus.NOTHING_TO_DO, plan_id="p"), target("b", TargetStatus.FAILED, error="no"))
    assert ([t.name for t in shown.busy], [t.name for t in shown.idle]) == (["b"], ["a"])
    warned = target("a", TargetStatus.NOTHING_TO_DO, findings=(Finding.of("c", "s", Severity.WARNING, "x"),))
    assert page(warned).idle == ()


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> str:
    row = spec.JobSpec(name="stare", engines=frozenset(), policy_keys=(), description="-", looks_only=True)
    monkeypatch.setitem(spec.JOBS, "stare", row)
    return row.name


def test_a_run_that_only_looked_reads_well(looking: str) -> None:
    run = RunRecord("r1", looking, AT, "scheduled", "airflow", {"dag_id": looking, "dag_run_id": "a+b"}, AT, AT)
    well, ill = target("a", TargetStatus.OK, at=AT), target("b", TargetStatus.UNHEALTHY, at=AT)
    shown = view.page(RunReport(run_id="r1", job=looking, at=AT, targets=(well, ill)), run, {})
    assert shown.lead == "1 of 2 targets without trouble. Unhealthy: b."
    assert [b.text for b in shown.badges] == ["unhealthy", "ok"]
    assert shown.dag_run == f"/dags/{looking}/runs/a%2Bb"
    assert [t.name for t in shown.idle] == ["a"]
    alone = view.page(RunReport(run_id="r1", job=looking, at=AT, targets=(well,)), run, {})
    assert alone.lead == "1 target looked at, none unhealthy."


def test_what_stood_at_an_unchanged_look_is_told(looking: str) -> None:
    run = RunRecord("r1", looking, AT, "scheduled", "airflow", {}, AT, AT + timedelta(seconds=3))

    def listed(check: str, since: timedelta, gone: timedelta | None = None, job: str = looking) -> OpenIssue:
        about = {"check": check, "subject": "s", "status": FindingStatus.FINDING, "severity": Severity.ERROR}
        about |= {"summary": "x", "evidence": {}, "first_seen": AT + since, "first_run": "r0", "job": job}
        ended = {} if gone is None else {"gone_at": AT + gone, "gone_by": "gone"}
        return OpenIssue(Issue(fingerprint=check, target="b", **about, **ended), AT, acknowledged=False)

    day = timedelta(days=1)
    issues = [
        listed("stands", -day),
        listed("later", day),
        listed("gone", -2 * day, -day),
        listed("other", -day, None, "x"),
    ]
    issues += [listed("gone since", -day, day)]
    quiet, changed = target("b", TargetStatus.UNHEALTHY), target("c", TargetStatus.OK, plan_id="p")
    report = RunReport(run_id="r1", job=looking, at=AT, targets=(quiet, changed))
    shown = standing.with_standing(report, run, issues).targets
    assert [(f.check, f.state) for f in shown[0].findings] == [("stands", "standing"), ("gone since", "standing")]
    assert shown[1] == changed


def test_a_superseded_question_says_so() -> None:
    waiting = action(rows=7, requires=Requirement(kind="approval"))
    seen = values.observation(target="t", engine="postgres", job="j", identity="i", version="15", at=AT, frames={})
    plan = Plan.make(seen, [waiting])
    state = PlanState(state="superseded", planned_by="r0", run_id="r2", superseded_by="p2", at=AT)
    shown = view.planned_only(plan, "r0", {}, state)
    assert shown.lead == "A newer plan of t took the place of this one (7 rows): nobody is asked about it any more."
    assert view.planned_only(plan, "r0", {}).lead == "7 rows of t wait for you."
