"""May this action run now, and how did a target end? Tables of examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness import values
from upkeep.fleet import Target
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    GateFailure,
    GateResult,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    Requirement,
    RunReport,
    Severity,
    TargetReport,
    TargetStatus,
)
from upkeep.run import rules

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
NOTHING, APPROVAL = Requirement(), Requirement(kind="approval")
BACKUP = Requirement(kind="backup", backup_age_seconds=26 * 3600)


def action(subject: str = "t", **rest: Any) -> Action:
    base: dict[str, Any] = {"statements": ("x",), "reason": "r", "destructive": True, "precondition": "p"}
    return Action.make(kind=rest.pop("kind", "delete_rows"), subject=subject, args={"s": subject}, **{**base, **rest})


def target(**rest: Any) -> Target:
    return Target.model_validate({"name": "a", "engine": "postgres", "connection": "c", **rest})


def decide(the_action: Action, the_target: Target | None = None, **rest: Any) -> ReasonCode | None:
    facts: dict[str, Any] = {
        "approved": False,
        "done": set(),
        "planned": {the_action.id},
        "now": NOW,
        "paused": None,
        "tested": True,
        "backup_at": None,
    }
    outcome = rules.decide(the_action, the_target or target(), **{**facts, **rest})
    assert outcome is None or outcome.status is OutcomeStatus.SKIPPED
    return outcome.reason_code if outcome else None


@pytest.mark.parametrize(
    ("requires", "approved", "backup_age", "expected"),
    [
        (NOTHING, False, None, None),
        (APPROVAL, False, None, ReasonCode.NEEDS_APPROVAL),
        (APPROVAL, True, None, None),
        (BACKUP, False, None, ReasonCode.NEEDS_BACKUP),
        (BACKUP, True, None, ReasonCode.NEEDS_BACKUP),  # it never falls back to approval
        (BACKUP, False, timedelta(hours=25), None),
        (BACKUP, False, timedelta(hours=27), ReasonCode.NEEDS_BACKUP),
    ],
)
def test_requirements(
    requires: Requirement, approved: bool, backup_age: timedelta | None, expected: ReasonCode | None
) -> None:
    backup_at = NOW - backup_age if backup_age else None
    assert decide(action(requires=requires), approved=approved, backup_at=backup_at) is expected


def test_how_young_a_backup_must_be_is_told_in_hours() -> None:
    one = action(requires=BACKUP)
    known: dict[str, Any] = {"approved": False, "done": set(), "planned": {one.id}, "now": NOW, "tested": True}
    told = rules.decide(one, target(), **known, paused=None, backup_at=None)
    assert told is not None
    assert "one younger than 26 h 0 min is required" in str(told.message)


def test_more_than_the_limit_waits_for_approval_even_when_nothing_is_required() -> None:
    big = action(over_limit="90 % of the table")
    assert decide(big) is ReasonCode.OVER_LIMIT
    assert decide(big, approved=True) is None
    assert big.needs_person


def test_a_backup_rule_and_a_limit_both_have_to_be_met() -> None:
    big = action(over_limit="90 %", requires=BACKUP)
    fresh = NOW - timedelta(hours=1)
    assert decide(big, backup_at=fresh) is ReasonCode.OVER_LIMIT
    assert decide(big, backup_at=fresh, approved=True) is None


def test_a_backup_taken_before_a_partition_was_detached_does_not_cover_its_drop() -> None:
    detached = NOW - timedelta(hours=3)
    drop = action(requires=BACKUP).model_copy(update={"args": {"snapshot_after": detached.isoformat()}})
    assert decide(drop, backup_at=detached - timedelta(hours=1)) is ReasonCode.NEEDS_BACKUP
    assert decide(drop, backup_at=detached) is ReasonCode.NEEDS_BACKUP
    assert decide(drop, backup_at=detached + timedelta(minutes=1)) is None


def test_pause_window_and_untested_versions_stop_changes() -> None:
    assert decide(action(), paused="paused by ann") is ReasonCode.PAUSED
    closed = target(window={"start": "03:00", "end": "05:00"})
    assert decide(action(), closed) is ReasonCode.OUTSIDE_WINDOW
    assert decide(action(), closed, ignores_window=True) is None
    assert decide(action(), closed, ignores_window=True, paused="paused by ann") is ReasonCode.PAUSED
    watched = target(mode="observe", window={"start": "03:00", "end": "05:00"})
    assert decide(action(), watched, ignores_window=True) is ReasonCode.OBSERVE_ONLY
    assert decide(action(), tested=False) is ReasonCode.OBSERVE_ONLY
    assert decide(action(), target(allow_untested=True), tested=False) is None


def test_what_comes_after_waits_for_what_comes_before() -> None:
    first, second = action("a"), action("b")
    second = second.model_copy(update={"after": (first.id,)})
    planned = {first.id, second.id}
    assert decide(second, planned=planned) is ReasonCode.DEPENDENCY
    assert decide(second, planned=planned, done={first.id}) is None


def test_a_running_action_stops_when_the_window_closes_or_somebody_pauses() -> None:
    with pytest.raises(rules.StopError) as caught:
        rules.stop_if_closed(target(window={"start": "03:00", "end": "05:00"}), NOW, None)
    assert caught.value.code is ReasonCode.OUTSIDE_WINDOW
    with pytest.raises(rules.StopError) as caught:
        rules.stop_if_closed(target(), NOW, "paused by ann")
    assert caught.value.code is ReasonCode.PAUSED
    rules.stop_if_closed(target(), NOW, None)
    rules.stop_if_closed(target(window={"start": "03:00", "end": "05:00"}), NOW, None, ignores_window=True)


def plan(*actions: Action) -> Plan:
    observation = values.observation(
        target="a", engine="postgres", job="data_retention", identity="i", version="15", at=NOW, frames={}
    )
    return Plan.make(observation, actions)


def test_a_gate_stops_the_subject_that_failed_and_no_other() -> None:
    failure = GateFailure(expectation="e", summary="no privilege", stops="subject", subjects=("a",))
    gate = GateResult(suite="s", stage="before", success=False, evaluated=1, failed=(failure,))
    stopped = rules.stopped_by_gate(plan(action("a"), action("b")), gate)
    assert [a.blocked is not None for a in stopped.actions] == [True, False]
    assert stopped.actions[0].blocked == (ReasonCode.GATE_FAILED, "no privilege")


def test_a_gate_on_the_server_stops_everything() -> None:
    failure = GateFailure(expectation="e", summary="a replica", stops="target")
    gate = GateResult(suite="s", stage="before", success=False, evaluated=1, failed=(failure,))
    assert all(a.blocked for a in rules.stopped_by_gate(plan(action("a"), action("b")), gate).actions)


def test_the_plan_id_binds_to_server_objects_and_estimates() -> None:
    same = plan(action("a", rows=10)).plan_id
    assert plan(action("a", rows=10)).plan_id == same
    assert plan(action("a", rows=11)).plan_id != same  # a grown plan needs a new approval
    assert plan(action("b", rows=10)).plan_id != same
    other = values.observation(
        target="a", engine="postgres", job="data_retention", identity="j", version="15", at=NOW, frames={}
    )
    assert Plan.make(other, [action("a", rows=10)]).plan_id != same  # a restored copy is another server


def test_the_part_that_waits_keeps_what_depends_on_it_and_its_id() -> None:
    free, waiting = action("a"), action("b", requires=APPROVAL)
    then = action("c", after=(waiting.id,))
    whole = plan(free, waiting, then)
    part = rules.awaiting_part(whole)
    assert part.plan_id == whole.plan_id
    assert [a.subject for a in part.actions] == ["b", "c"]


def test_observe_only_leaves_nothing_for_a_person() -> None:
    assert not rules.observe_only(plan(action(requires=APPROVAL))).awaiting


def test_where_nothing_is_changed_a_right_to_change_is_for_later_and_one_to_read_is_missing() -> None:
    def lacks(status: FindingStatus) -> Plan:
        found = Finding(check="privileges", subject="t", status=status, severity=Severity.ERROR, summary="s")
        blocked = action("t").model_copy(update={"blocked": (ReasonCode.NOT_SUPPORTED, "s")})
        return rules.observe_only(plan(blocked).model_copy(update={"findings": (found,)}))

    def ends(seen: Plan) -> tuple[str, int]:
        report = TargetReport(
            target="a", engine="postgres", status=TargetStatus.OK, actions=seen.actions, findings=seen.findings
        )
        report = report.model_copy(update={"status": rules.conclude(report)})
        at = RunReport(run_id="r", job="data_retention", at=NOW, targets=(report,))
        return report.status.value, rules.exit_status(at)

    later, unread = lacks(FindingStatus.FINDING), lacks(FindingStatus.NOT_AVAILABLE)
    assert later.actions[0].blocked[0] is ReasonCode.OBSERVE_ONLY  # type: ignore[index]
    assert unread.actions[0].blocked == (ReasonCode.NOT_SUPPORTED, "s")
    assert ends(later) == ("observed", 0)
    assert ends(unread) == ("partial", 3)


def outcome(status: str, code: ReasonCode | None = None) -> Outcome:
    return Outcome(action_id="x", status=OutcomeStatus(status), reason_code=code)


def finding(severity: Severity, status: FindingStatus = FindingStatus.FINDING) -> Finding:
    return Finding(check="c", subject="t", status=status, severity=severity, summary="s")


FAILED_AFTER = GateResult(
    suite="s",
    stage="after",
    success=False,
    evaluated=1,
    failed=(GateFailure(expectation="e", summary="gap", stops="subject", subjects=("t",)),),
)


@pytest.mark.parametrize(
    ("outcomes", "findings", "gates", "status", "exit_status"),
    [
        ([], [], [], "nothing_to_do", 0),
        ([outcome("done")], [], [], "ok", 0),
        ([outcome("done"), outcome("skipped", ReasonCode.NEEDS_BACKUP)], [], [], "ok", 0),
        ([outcome("done"), outcome("skipped", ReasonCode.NEEDS_APPROVAL)], [], [], "awaiting_approval", 0),
        ([outcome("skipped", ReasonCode.OVER_LIMIT)], [], [], "awaiting_approval", 0),
        ([outcome("done"), outcome("skipped", ReasonCode.LOCK_NOT_OBTAINED)], [], [], "partial", 3),
        ([outcome("done"), outcome("failed", ReasonCode.LOCK_NOT_OBTAINED)], [], [], "partial", 3),
        ([outcome("done"), outcome("skipped", ReasonCode.OVERLOADED)], [], [], "partial", 3),
        ([outcome("skipped", ReasonCode.OVERLOADED)], [], [], "failed", 3),
        ([outcome("done"), outcome("failed", ReasonCode.ERROR)], [], [], "partial", 1),
        ([outcome("failed", ReasonCode.ERROR)], [], [], "failed", 1),
        ([outcome("done")], [finding(Severity.ERROR)], [], "partial", 1),
        ([outcome("done")], [finding(Severity.WARNING)], [], "ok", 0),
        ([], [finding(Severity.WARNING, FindingStatus.NOT_AVAILABLE)], [], "partial", 3),
        ([outcome("done")], [finding(Severity.WARNING, FindingStatus.NOT_AVAILABLE)], [], "partial", 3),
        ([], [finding(Severity.INFO, FindingStatus.NOT_AVAILABLE)], [], "nothing_to_do", 0),
        ([outcome("done")], [], [FAILED_AFTER], "partial", 1),
    ],
)
def test_how_a_target_ends(
    outcomes: list[Outcome], findings: list[Finding], gates: list[GateResult], status: str, exit_status: int
) -> None:
    report = TargetReport(
        target="a",
        engine="postgres",
        status=TargetStatus.OK,
        outcomes=tuple(outcomes),
        findings=tuple(findings),
        gates=tuple(gates),
    )
    concluded = report.model_copy(update={"status": rules.conclude(report)})
    assert concluded.status.value == status
    run = RunReport(run_id="r", job="data_retention", at=NOW, targets=(concluded,))
    assert rules.exit_status(run) == exit_status


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([ReasonCode.PAUSED], "paused"),
        ([None, ReasonCode.PAUSED], "paused"),
        ([ReasonCode.OBSERVE_ONLY, ReasonCode.NOT_SUPPORTED], "observed"),
        ([ReasonCode.OUTSIDE_WINDOW], "planned"),
        ([ReasonCode.NEEDS_BACKUP], "planned"),
        ([ReasonCode.NOT_SUPPORTED, ReasonCode.DEPENDENCY], "not_supported"),
        ([ReasonCode.INTERRUPTED], "failed"),
    ],
)
def test_a_target_of_which_nothing_was_done_is_not_called_done(codes: list[ReasonCode | None], status: str) -> None:
    outcomes = tuple(outcome("skipped" if code else "done", code) for code in codes)
    report = TargetReport(
        target="a", engine="postgres", status=TargetStatus.OK, actions=(action("t"),), outcomes=outcomes
    )
    assert rules.conclude(report) == status


@pytest.mark.parametrize(
    ("planned", "status"),
    [
        (action("t"), "planned"),
        (action("t", requires=APPROVAL), "awaiting_approval"),
        (action("t", blocked=(ReasonCode.OBSERVE_ONLY, "")), "observed"),
        (action("t", blocked=(ReasonCode.NOT_SUPPORTED, "")), "not_supported"),
    ],
)
def test_a_plan_only_run_is_not_called_done(planned: Action, status: str) -> None:
    report = TargetReport(target="a", engine="postgres", status=TargetStatus.OK, actions=(planned,))
    assert rules.conclude(report) == status


def test_a_gate_that_misses_only_what_could_not_be_done_now_is_incomplete_not_wrong() -> None:
    one, other = action("t"), action("u")
    held = Outcome(action_id=one.id, status=OutcomeStatus.SKIPPED, reason_code=ReasonCode.LOCK_NOT_OBTAINED)
    done = Outcome(action_id=other.id, status=OutcomeStatus.DONE)
    missed = FAILED_AFTER.failed[0]

    def status(*failures: GateFailure, stage: str = "after") -> int:
        gate = FAILED_AFTER.model_copy(update={"failed": failures, "stage": stage})
        report = TargetReport(
            target="a",
            engine="postgres",
            status=TargetStatus.PARTIAL,
            actions=(one, other),
            outcomes=(held, done),
            gates=(gate,),
        )
        return rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(report,)))

    assert status(missed) == 3
    assert status(missed, stage="before") == 1
    assert status(missed.model_copy(update={"subjects": ("t", "u")})) == 1
    assert status(missed.model_copy(update={"subjects": ()})) == 1
    assert status(missed.model_copy(update={"stops": "target"})) == 1


@pytest.mark.parametrize(
    ("code", "expected"), [(ReasonCode.LEASE_BUSY, 3), (ReasonCode.LEASE_LOST, 3), (ReasonCode.CANCELLED, 1)]
)
def test_a_lease_that_is_busy_or_lost_leaves_the_run_incomplete(code: ReasonCode, expected: int) -> None:
    report = TargetReport(
        target="a", engine="postgres", status=TargetStatus.FAILED, outcomes=(outcome("failed", code),), error="why"
    )
    assert rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(report,))) == expected


def test_an_undo_is_not_done_beside_a_backup() -> None:
    assert rules.inverse(action()).not_during == ("backup",)


def test_an_error_is_none_the_milder_for_an_action_that_was_left_beside_a_backup() -> None:
    left = outcome("skipped", ReasonCode.LEASE_BUSY).model_copy(update={"message": "it is being backed up"})
    report = TargetReport(target="a", engine="postgres", status=TargetStatus.PARTIAL, outcomes=(left,))
    assert rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(report,))) == 3
    failed = report.model_copy(update={"status": TargetStatus.FAILED, "error": "boom"})
    assert rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(failed,))) == 1
    lost = failed.model_copy(update={"error": left.message})
    assert rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(lost,))) == 3


def test_a_failure_outweighs_an_unreachable_target() -> None:
    gone = TargetReport(target="a", engine="postgres", status=TargetStatus.UNREACHABLE, error="no server")
    broken = TargetReport(target="b", engine="postgres", status=TargetStatus.FAILED, error="boom")
    assert rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(gone,))) == 3
    assert rules.exit_status(RunReport(run_id="r", job="j", at=NOW, targets=(gone, broken))) == 1
