"""A run in short: the line that says what came of it, what is told once, and how far an action has come."""

from __future__ import annotations

from typing import Any

import pytest

from upkeep import brief
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    Outcome,
    OutcomeStatus,
    ReasonCode,
    Requirement,
    Severity,
    TargetReport,
    TargetStatus,
)
from upkeep.run.progress import LOG_SECONDS, Meter

APPROVAL = Requirement(kind="approval")


def action(number: int = 1, kind: str = "delete_rows", **changes: Any) -> Action:
    about = {"kind": kind, "subject": "public.a", "args": {"n": number}, "statements": (), "rows": 100}
    about |= {"reason": f"older than {number} days", "destructive": True, "precondition": "", "detail": f"p{number}"}
    return Action.make(**{**about, **changes})


def ended(of: Action, code: ReasonCode | None = None, **parts: Any) -> Outcome:
    status = OutcomeStatus.DONE if code is None else OutcomeStatus.SKIPPED
    return Outcome(**{"action_id": of.id, "status": status, "reason_code": code, "seconds": 2.0, **parts})


def target(name: str, status: TargetStatus, *pairs: tuple[Action, Outcome | None], **parts: Any) -> TargetReport:
    outcomes = tuple(outcome for _, outcome in pairs if outcome)
    return TargetReport(
        target=name, engine="postgres", status=status, actions=tuple(a for a, _ in pairs), outcomes=outcomes, **parts
    )


ERROR = Finding.of("c", "s", Severity.ERROR, "bad")
ONE, TWO = action(1), action(2, requires=APPROVAL, rows=480_981)
HELD = "2 targets: 1 paused, 1 observed only; 100 rows are only observed, 981 deleted, 480 000 are held back by a pause"
SEEN = (ReasonCode.OBSERVE_ONLY, "mode: observe")
DETACH = action(3, "detach_partition", rows=None)


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ([], "0 targets"),
        ([target("a", TargetStatus.NOTHING_TO_DO)], "1 target: 1 nothing to do"),
        (
            [
                target("a", TargetStatus.OK, (ONE, ended(ONE, rows=118))),
                target("b", TargetStatus.OK),
                target("c", TargetStatus.PARTIAL, (TWO, ended(TWO, ReasonCode.NEEDS_APPROVAL)), findings=(ERROR,)),
            ],
            "3 targets: 1 partial, 2 done; 118 rows deleted, 480 981 wait for approval; 1 ERROR",
        ),
        (
            [
                target("a", TargetStatus.OBSERVED, (ONE.model_copy(update={"blocked": SEEN}), None)),
                target("b", TargetStatus.PAUSED, (TWO, ended(TWO, ReasonCode.PAUSED, rows=981))),
            ],
            HELD,
        ),
        (
            [target("a", TargetStatus.PLANNED, (ONE, None), (TWO, None), (DETACH, None))],
            "1 target: 1 planned only; 100 rows would be deleted, 480 981 wait for approval, 1 action planned",
        ),
        (
            [
                target(
                    "a", TargetStatus.FAILED, (ONE, ended(ONE, ReasonCode.ERROR, status=OutcomeStatus.FAILED, rows=7))
                )
            ],
            "1 target: 1 failed; 7 rows deleted, 1 action failed",
        ),
        (
            [
                target(
                    "a",
                    TargetStatus.OK,
                    (DETACH, ended(DETACH)),
                    findings=(ERROR.model_copy(update={"status": FindingStatus.OK}),),
                )
            ],
            "1 target: 1 done; 1 action done",
        ),
    ],
)
def test_the_line_that_says_what_came_of_it(targets: list[TargetReport], line: str) -> None:
    assert brief.line(targets) == line


def test_actions_that_are_alike_are_told_once() -> None:
    many = [action(n, "detach_partition", requires=APPROVAL) for n in range(1, 6)]
    waiting = [ended(a, ReasonCode.NEEDS_APPROVAL, seconds=0.0) for a in many]
    (alike,) = brief.fold(many, waiting)
    assert alike.detail == "5 partitions: p1 … p5"
    assert (alike.rows, alike.estimated) == (500, True)


def test_what_ended_otherwise_is_told_by_itself() -> None:
    many = [action(n) for n in range(1, 7)]
    outcomes = [ended(a, message=f"lock of table {n}", rows=n) for n, a in enumerate(many)]
    outcomes[3] = ended(many[3], ReasonCode.ERROR, status=OutcomeStatus.FAILED, message="no")
    groups = list(brief.fold(many, outcomes))
    assert [len(g.actions) for g in groups] == [3, 1, 1, 1]
    assert (groups[0].rows, groups[0].estimated, groups[0].seconds) == (0 + 1 + 2, False, 6.0)
    assert [g.detail for g in groups[1:]] == ["p4", "p5", "p6"]


@pytest.mark.parametrize(
    ("report", "healthy"),
    [
        (target("a", TargetStatus.OK, (ONE, ended(ONE))), True),
        (target("a", TargetStatus.NOTHING_TO_DO, findings=(Finding.of("c", "s", Severity.INFO, "x"),)), True),
        (target("a", TargetStatus.OK, (ONE, ended(ONE, ReasonCode.PAUSED))), False),
        (target("a", TargetStatus.NOTHING_TO_DO, findings=(Finding.of("c", "s", Severity.WARNING, "x"),)), False),
        (
            target(
                "a",
                TargetStatus.OK,
                findings=(Finding.of("c", "s", Severity.ERROR, "x", status=FindingStatus.NOT_AVAILABLE),),
            ),
            False,
        ),
        (target("a", TargetStatus.OBSERVED), False),
        (target("a", TargetStatus.PAUSED), False),
    ],
)
def test_nobody_needs_to_read_about_the_healthy(report: TargetReport, *, healthy: bool) -> None:
    assert brief.healthy(report) is healthy


def test_how_far_an_action_has_come() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    assert meter.tell("shop", "gate before: passed") == ("shop: gate before: passed", True)
    assert meter.tell("shop", "delete rows public.a", total=4000) == ("shop: delete rows public.a", True)
    now[0] = 2.0
    line = "shop: delete rows public.a: 1 000 of ~4 000 rows, 25 %, 500 rows/s"
    assert meter.tell("shop", "", rows=1000) == (line, False)
    assert meter.tell("shop", "waiting: a replica lags") == ("shop: waiting: a replica lags", True)
    now[0] = LOG_SECONDS
    line = "shop: delete rows public.a: 4 000 of ~4 000 rows, 100 %, 400 rows/s"
    assert meter.tell("shop", "3,000 entries deleted", rows=3000) == (line, True)
    assert meter.tell("shop", "", rows=1)[0].endswith("public.a: 4 001 rows, 400 rows/s")
    assert meter.tell("shop", "drop partition public.b", total=0)[1]
    assert meter.tell("shop", "", rows=5)[0] == "shop: drop partition public.b: 5 rows"


def test_the_log_of_a_fleet_tells_what_is_alike_now_and_then_and_what_fails_always() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    told = []
    for number in range(200):
        now[0] += 0.1
        messages = ("observed 7 rows", "planned 4 actions", "create partition public.a", "creating public.a_2026_11")
        told += [meter.tell(f"t{number}", message)[1] for message in messages]
    assert sum(told) == 4 * 4
    assert [meter.tell("t", m)[1] for m in ("gate before: FAILED", "gate before: FAILED", "failed: no")] == [True] * 3
    assert meter.tell("t", "database x is being changed by run y")[1]
    every = Meter(lambda: 0.0, alike_seconds=0)
    assert [every.tell("t", "observed 7 rows")[1] for _ in range(3)] == [True] * 3
