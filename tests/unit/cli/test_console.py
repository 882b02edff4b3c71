"""What people read on a terminal: short where all is well, plain text that can be copied."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from upkeep.cli import console
from upkeep.ledger import RunSummary
from upkeep.model import (
    Action,
    Finding,
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

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
INFO = Finding.of("disk", "server", Severity.INFO, "cannot be seen")


def actions(number: int, engine: str = "postgres", **changes: Any) -> tuple[Action, ...]:
    statement = {"postgres": "drop table x -- a comment", "redis": "XTRIM s MINID 1", "mongo": "db.runCommand({})"}
    about = {"kind": "drop_partition", "subject": "public.a", "statements": (f"{statement[engine]}\n",), "rows": 10}
    about |= {"reason": "old", "destructive": True, "precondition": "there"} | changes
    return tuple(Action.make(args={"n": n}, detail=f"public.a_{n}", **about) for n in range(number))


def done(found: tuple[Action, ...]) -> tuple[Outcome, ...]:
    return tuple(Outcome(action_id=a.id, status=OutcomeStatus.DONE, rows=10, seconds=0.5) for a in found)


def shown(*targets: TargetReport, width: int = 100, **options: Any) -> str:
    out = io.StringIO()
    run = RunReport(run_id="r1", job="data_retention", at=AT, targets=targets)
    console.report(Console(file=out, width=width, highlight=False), run, **options)
    return out.getvalue()


def healthy(number: int, *planned: Action) -> TargetReport:
    status = TargetStatus.OK if planned else TargetStatus.NOTHING_TO_DO
    gates = tuple(GateResult(suite="s", stage=stage, success=True, evaluated=9) for stage in ("before", "after"))
    about: dict[str, Any] = {"engine": "postgres", "gates": gates, "findings": (INFO,), "plan_id": "p"}
    return TargetReport(target=f"t{number:03}", status=status, actions=planned, outcomes=done(planned), **about)


def test_a_run_of_nothing_says_why() -> None:
    assert shown().splitlines()[1:] == ["0 targets", "no target of the fleet file declared anything for data retention"]


def test_two_hundred_targets_are_a_few_lines() -> None:
    idle = [healthy(n) for n in range(190)]
    busy = [healthy(n, *actions(12)) for n in range(190, 199)]
    failed = TargetReport(target="t199", engine="postgres", status=TargetStatus.UNREACHABLE, error="no answer")
    lines = shown(*idle, *busy, failed).splitlines()
    assert len(lines) < 40
    assert lines[0] == "data retention, run r1, as of 2026-11-20 02:00:00 UTC"
    assert lines[1] == "200 targets: 1 unreachable, 9 done, 190 nothing to do; 1 080 rows dropped"
    assert lines[3] == "t199 (postgres): unreachable"
    assert lines[-1] == "nothing to do: 190 targets (t000, t001, t002 … t189); 190 INFO: upkeep show r1 --all"
    assert "12 partitions: public.a_0 … public.a_11: 120 rows, 6.0 s" in shown(*busy, width=120)
    whole = shown(*idle, whole=True)
    assert whole.count("cannot be seen") == 190


def test_one_target_is_told_in_full() -> None:
    text = shown(healthy(1))
    assert "cannot be seen" in text
    assert "gate after: passed (9 expectations)" in text


@pytest.mark.parametrize(
    ("engine", "lines"),
    [
        ("postgres", ["-- t1: drop partition public.a public.a_0", "drop table x -- a comment", ";"]),
        ("redis", ["# t1: drop partition public.a public.a_0", "XTRIM s MINID 1"]),
        ("mongo", ["// t1: drop partition public.a public.a_0", "db.runCommand({});"]),
    ],
)
def test_statements_are_as_they_are_typed(engine: str, lines: list[str]) -> None:
    report = TargetReport(target="t1", engine=engine, status=TargetStatus.PLANNED, actions=actions(1, engine))
    assert shown(report, width=20, statements=True).splitlines()[-len(lines) :] == lines


def test_what_only_a_batch_knows_is_explained_once() -> None:
    planned = actions(2, statements=("delete from t where at >= {first}",))
    report = TargetReport(target="t1", engine="postgres", status=TargetStatus.PLANNED, actions=planned)
    assert shown(report, statements=True).count("-- A word in braces") == 1


def test_what_became_of_a_plan_is_said() -> None:
    fate = PlanState(state="rejected", planned_by="r0", by="anna", at=AT, reason="not today")
    about: dict[str, Any] = {"engine": "postgres", "status": TargetStatus.AWAITING_APPROVAL, "plan_id": "p1"}
    text = shown(TargetReport(target="t1", plan_state=fate, **about))
    assert "plan p1 rejected by anna at 2026-11-20 02:00:00 UTC: not today" in text


def test_what_only_explains_is_no_statement() -> None:
    planned = actions(1, statements=("-- completes the marker\n",))
    report = TargetReport(target="t1", engine="tidb", status=TargetStatus.PLANNED, actions=planned)
    assert shown(report, statements=True).splitlines()[-1] == "-- completes the marker"


@pytest.mark.parametrize("width", [1, 40, 80, 120])
def test_nothing_is_filled_up_drawn_around_or_steers_the_terminal(width: int) -> None:
    waiting = actions(1, requires=Requirement(kind="approval"), subject="public.\x1b[2J\x9bodd", reason="word " * 60)
    outcome = Outcome(action_id=waiting[0].id, status=OutcomeStatus.SKIPPED, reason_code=ReasonCode.NEEDS_APPROVAL)
    error = Finding.of("c", "a\x07b", Severity.ERROR, "x" * 200, "do this")
    report = TargetReport(
        target="t\x1b1",
        engine="postgres",
        status=TargetStatus.AWAITING_APPROVAL,
        plan_id="p1",
        actions=waiting,
        outcomes=(outcome,),
        findings=(error,),
        error="no\x1b[31m",
    )
    text = shown(report, width=width, statements=True)
    assert not set(text) & set("\x1b\x9b\x07│╭─")
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({}, "no target"),
        ({"a": "ok", "b": "not_finished"}, "a: done, b: not finished"),
        ({f"t{n}": "ok" for n in range(199)} | {"bad": "failed"}, "199 done, 1 failed (bad)"),
    ],
)
def test_a_run_is_a_line(states: dict[str, str], said: str) -> None:
    out = io.StringIO()
    run = RunSummary("r1", "data_retention", AT, "scheduled", "airflow", AT, None, states, {"plan_only": True})
    console.run_line(Console(file=out, width=40), run)
    assert out.getvalue() == f"r1  data_retention      scheduled by airflow, not finished  plan only; {said}\n"


def test_a_finding_says_since_when_and_what_was_put_right() -> None:
    def finding(subject: str, **life: Any) -> Finding:
        return Finding.of("c", subject, Severity.ERROR, "rows lie there", "move them").model_copy(update=life)

    since, until = AT.replace(day=3), AT.replace(day=28)
    known = {"state": "standing", "first_seen": since, "acknowledged_until": until}
    found = (
        finding("mended", state="mended", first_seen=since),
        finding("known", **known),
        finding("standing", state="standing", first_seen=since),
        finding("fresh", state="new", first_seen=AT),
    )
    text = shown(TargetReport(target="t", engine="postgres", status=TargetStatus.PARTIAL, findings=found))
    assert "1 target: 1 partial; 2 ERROR, 1 acknowledged, 1 put right" in text
    told = [line for line in text.splitlines() if "rows lie there" in line]
    assert told == [
        "  ERROR since 2026-11-03: standing rows lie there",
        "  ERROR fresh rows lie there",
        "  ERROR since 2026-11-03, acknowledged until 2026-11-28 02:00:00 UTC: known rows lie there",
        "  put right by this run; it was ERROR since 2026-11-03: mended rows lie there",
    ]
    assert text.count("→ move them") == 3
