"""What a job that judges another one is told of its last runs: how they ended, what was left and why, how long."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.harness.values import Clock
from upkeep.ledger import Ledger
from upkeep.model import Action, Observation, Outcome, OutcomeStatus, Plan, ReasonCode, ServerFacts, TargetStatus

JOB, TARGET = "data_retention", "pipeline"


def plan(clock: Clock, *subjects: str) -> Plan:
    facts = ServerFacts(identity="i", version="15", tested=True, replica=False, role="r", clock=clock())
    seen = Observation(target=TARGET, engine="postgres", job=JOB, at=clock(), server=facts, frames={})
    actions = [
        Action.make(
            kind="delete_rows",
            subject=subject,
            args={},
            statements=(),
            reason="due",
            destructive=True,
            precondition="none",
        )
        for subject in subjects
    ]
    return Plan.make(seen, actions, [])


def run(ledger: Ledger, clock: Clock, seconds: float, *outcomes: Outcome, made: Plan | None = None, **how: bool) -> str:
    run_id = ledger.start_run(JOB, clock(), trigger="cli", actor="ada", options=dict(how))
    ledger.start_target(run_id, TARGET, "postgres")
    if made is not None:
        ledger.save_plan(run_id, made)
    for outcome in outcomes:
        ledger.record(run_id, TARGET, outcome)
    clock.ahead += timedelta(seconds=seconds)
    ledger.finish_target(run_id, TARGET, TargetStatus.OK, at=clock(), error=None)
    return run_id


def test_the_last_runs_with_what_was_left(ledger: Ledger, clock: Clock) -> None:
    assert ledger.memory(TARGET, "other", {"endings"}, [JOB]).endings == []
    made = plan(clock, "public.a", "public.b", "public.c")
    a, b, _ = made.actions
    first = run(ledger, clock, 60, made=plan(clock))
    left = Outcome(
        action_id=a.id,
        status=OutcomeStatus.SKIPPED,
        reason_code=ReasonCode.NEEDS_APPROVAL,
        message="waits for a person",
    )
    second = run(ledger, clock, 600, left, Outcome(action_id=b.id, status=OutcomeStatus.DONE, rows=5), made=made)
    run(ledger, clock, 5, made=made, plan_only=True)  # looked only: ended nothing
    newest, oldest = ledger.memory(TARGET, "other", {"endings"}, [JOB]).endings
    assert (newest["run_id"], oldest["run_id"]) == (second, first)
    assert oldest["outcomes"] == []
    assert oldest["findings"] == []
    assert newest["outcomes"] == [
        {
            "subject": "public.a",
            "kind": "delete_rows",
            "status": "skipped",
            "reason": "needs_approval",
            "message": "waits for a person",
        },
        {"subject": "public.b", "kind": "delete_rows", "status": "done", "reason": None, "message": None},
    ]
    assert abs(datetime.fromisoformat(newest["at"]) - clock() + timedelta(seconds=5)) < timedelta(seconds=5)
    assert 500 < newest["usual_seconds"] <= 600
    assert ledger.memory("another", "other", {"endings"}, [JOB]).endings == []
