"""How the databases are, from what is known of them: tables of examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness import values
from upkeep.jobs.spec import JobSpec
from upkeep.ledger import ApprovalState, Ending, LastLook, OpenIssue, Pause, PendingPlan, Trouble
from upkeep.model import Action, Finding, Issue, Plan, Requirement, Severity, fingerprint
from upkeep.run import fleet_view, schedule
from upkeep.run.fleet_facts import DagFacts, Declared, Facts
from upkeep.run.schedule import Pace

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
KEEP = JobSpec(name="keep", engines=frozenset(), policy_keys=(), description="", cron="0 2 * * *")
LOOK = JobSpec(name="look", engines=frozenset(), policy_keys=(), description="", cron="*/5 * * * *", looks_only=True)
SHOP = Declared("shop", "postgres", observed=False, jobs=("keep", "look"))
BOOKS = Declared("books", "postgres", observed=False, jobs=("keep",))


def hours(number: float) -> datetime:
    return NOW - timedelta(hours=number)


def ending(status: str | None, ago: float = 6, *, target: str = "shop", job: str = "keep", **more: Any) -> Ending:
    at = hours(ago)
    known = {"approved": False, "error": None, "run_ended": True, "finished_at": at, "run_id": f"r-{target}-{ago}"}
    return Ending(**{"target": target, "job": job, "status": status, "started_at": at, **known, **more})


def look(status: str = "ok", minutes: float = 3, **more: Any) -> LastLook:
    known: dict[str, Any] = {"target": "shop", "job": "look", "run_id": "look", "headroom": None}
    return LastLook(at=NOW - timedelta(minutes=minutes), status=status, **{**known, **more})


def issue(severity: Severity, ago: float = 1, *, subject: str = "a", acknowledged: bool = False) -> OpenIssue:
    finding = Finding.of("check", subject, severity, "is wrong", "mend it")
    known = finding.model_dump(include={"check", "subject", "status", "severity", "summary", "remedy", "evidence"})
    found = Issue(
        fingerprint=fingerprint("shop", "look", finding),
        target="shop",
        job="look",
        first_seen=hours(ago),
        first_run="r",
        **known,
    )
    return OpenIssue(found, NOW, acknowledged=acknowledged)


def waiting(state: ApprovalState = ApprovalState.AWAITING) -> PendingPlan:
    drop = Action.make(
        kind="drop",
        subject="t",
        args={},
        statements=(),
        reason="",
        destructive=True,
        precondition="",
        rows=7,
        requires=Requirement(kind="approval"),
    )
    seen = values.observation(
        target="shop", engine="postgres", job="keep", identity="i", version="15", at=NOW, frames={}
    )
    return PendingPlan(Plan.make(seen, [drop], []), "r", hours(6), state)


RUNS, PAUSED = DagFacts(paused=False, next_at=NOW), DagFacts(paused=True, next_at=NOW)
FINE = (ending("ok"), ending("nothing_to_do", target="books"))


def facts(**more: Any) -> Facts:
    known: dict[str, Any] = {"endings": FINE, "looks": (look(),)}
    return Facts(NOW, (SHOP, BOOKS), (KEEP, LOOK), **{**known, **more})


WELL = "Nothing needs you; nothing was lost; next night at 02:00 UTC"


@pytest.mark.parametrize(
    ("more", "sentence", "status"),
    [
        ({}, WELL, 0),
        ({"endings": (), "looks": ()}, "Nothing is known yet: no job has run; next night at 02:00 UTC", 3),
        ({"pending": (waiting(),)}, "One thing needs you; nothing was lost; next night at 02:00 UTC", 0),
        ({"pending": (waiting(ApprovalState.GRANTED),)}, WELL, 0),
        # nothing is said to be well, or not lost, that nobody has looked at
        (
            {"endings": FINE[:1]},
            "Nothing needs you; keep (on 1 database) has never run; next night at 02:00 UTC",
            3,
        ),
        ({"looks": ()}, "Nothing needs you; look has never run; nothing was lost; next night at 02:00 UTC", 3),
        (
            {"endings": (ending(None, 1, run_ended=False), FINE[1])},
            "Nothing needs you; keep (on 1 database) is running; next night at 02:00 UTC",
            3,
        ),
        # the night that did not take place
        (
            {"endings": (ending("ok", 30), ending("ok", 30, target="books"))},
            "Nothing needs you; keep did not run when it was due; next night at 02:00 UTC",
            3,
        ),
        (
            {"endings": FINE[:1], "ever": {("books", "keep"): hours(24)}},  # a plan only, or a part
            "Nothing needs you; keep (on 1 database) has never run; next night",
            3,
        ),
        ({"endings": FINE[:1], "ever": {("books", "keep"): hours(24 * 50)}}, "One thing needs you; next night", 1),
        ({"endings": (ending("ok", 49), FINE[1])}, "One thing needs you; next night at 02:00 UTC", 1),
        ({"endings": (ending("failed"), FINE[1])}, "One thing needs you; next night at 02:00 UTC", 1),
        ({"endings": (ending(None), FINE[1])}, "One thing needs you; next night at 02:00 UTC", 1),
        ({"endings": (ending(None, 21, run_ended=False), FINE[1])}, "One thing needs you;", 1),
        (
            {"endings": (ending("unreachable", error="no answer"), FINE[1])},
            "Nothing needs you; one could not be finished or looked at; next night",
            3,
        ),
        ({"looks": (look("unhealthy"),)}, "One thing needs you; nothing was lost; next night", 1),
        ({"issues": (issue(Severity.ERROR),)}, "One thing needs you; nothing was lost; next night", 1),
        ({"issues": (issue(Severity.ERROR, acknowledged=True),)}, WELL, 0),
        ({"issues": (issue(Severity.WARNING),)}, WELL, 0),
        ({"targets": ()}, "Nothing is known: the fleet file declares nothing", 3),
        ({"targets": (), "jobs": (), "hidden": 2}, "None of this is yours to see", 3),
    ],
)
def test_the_sentence(more: Mapping[str, Any], sentence: str, status: int) -> None:
    known = replace(facts(), **more)
    view = fleet_view.view(known)
    assert view.verdict[0].startswith(sentence)
    assert view.exit_status == status


@pytest.mark.parametrize(
    ("endings", "status", "run"),
    [
        ((ending("awaiting_approval"), ending("ok", 1, approved=True)), "ok", 1),
        # an approved part hides nothing that went wrong in the night
        ((ending("partial"), ending("ok", 1, approved=True)), "partial", 6),
        ((ending("awaiting_approval"), ending("failed", 1, approved=True)), "failed", 1),
        ((ending("awaiting_approval"), ending("paused", 1, approved=True)), "awaiting_approval", 6),
        ((ending("ok", 6), ending("failed", 20, approved=True)), "ok", 6),
    ],
)
def test_what_was_approved_takes_the_place_of_the_waiting(endings: tuple[Ending, ...], status: str, run: float) -> None:
    view = fleet_view.view(facts(endings=(*endings, FINE[1])))
    cell = view.targets[0].cells[0]
    assert cell is not None
    assert (cell.status, cell.run_id) == (status, f"r-shop-{run}")


@pytest.mark.parametrize(
    ("cron", "ago", "pace"),
    [
        ("0 2 * * *", 6, Pace.ON_TIME),
        ("0 2 * * *", 5, Pace.ON_TIME),
        ("0 2 * * *", 30, Pace.LATE),
        ("0 2 * * *", 47, Pace.LATE),
        ("0 2 * * *", 49, Pace.STOPPED),
        ("0 7 * * *", 25, Pace.ON_TIME),  # due an hour ago: it may wait for its place
        ("*/5 * * * *", 0.1, Pace.ON_TIME),
        ("*/5 * * * *", 0.13, Pace.LATE),
        ("*/5 * * * *", 0.2, Pace.STOPPED),
        ("0 3 * * 0", 24 * 5, Pace.ON_TIME),
        ("0 3 * * 0", 24 * 15, Pace.STOPPED),
        (None, 24 * 99, Pace.UNSCHEDULED),
        ("0 2 * * *", None, Pace.NEVER),
    ],
)
def test_the_pace(cron: str | None, ago: float | None, pace: Pace) -> None:
    assert schedule.pace(cron, None if ago is None else hours(ago), NOW) is pace


def test_what_nobody_has_started_is_not_missed() -> None:
    by_hand = JobSpec(name="hand", engines=frozenset(), policy_keys=(), description="")
    shop = replace(SHOP, jobs=(*SHOP.jobs, "hand"))
    view = fleet_view.view(replace(facts(), targets=(shop, BOOKS), jobs=(KEEP, LOOK, by_hand)))
    assert view.verdict == (WELL, "good")
    (cell,) = [c for c in view.targets[0].cells if c and c.job == "hand"]
    assert (cell.word, cell.tone, cell.hint) == ("never", "quiet", "runs when somebody starts it")
    assert view.targets[0].verdict == "well"


def test_a_look_is_as_old_as_the_last_one() -> None:
    """The run that found something else is the one to read; the age is that of the newest look."""
    written = ending("ok", 20, job="look")
    (cell,) = [c for c in fleet_view.view(facts(endings=(*FINE, written))).targets[0].cells if c and c.job == "look"]
    assert (cell.word, cell.run_id, cell.age) == ("healthy", "r-shop-20", timedelta(minutes=3))
    view = fleet_view.view(facts(endings=(*FINE, written), looks=()))
    assert [need.title for need in view.needs] == [
        "look has stopped: it has not run on shop since 2026-11-26 12:00 UTC"
    ]
    cell = view.targets[0].cells[1]
    assert cell is not None
    assert (cell.word, cell.tone, cell.hint) == (
        "stopped",
        "bad",
        "ended as healthy at 2026-11-26 12:00 UTC, and has not run since",
    )


def test_troubles_say_why_and_what_is_incomplete_is_told_apart() -> None:
    gate = Trouble("r-shop-6", "shop", "gate", "after", "rows are missing", None, 2)
    busy = Trouble("r-shop-6", "shop", "action", "drop t", "somebody holds it", "lock_not_obtained", 1)
    known = facts(endings=(ending("partial", error=""), FINE[1]))
    (need,) = fleet_view.view(replace(known, troubles=(gate, busy))).needs
    assert (need.kind, need.tone) == ("trouble", "bad")
    assert need.details == ("gate after: rows are missing (and 1 more)", "drop t: somebody holds it")
    view = fleet_view.view(replace(known, troubles=(busy,)))
    assert [need.kind for need in view.needs] == ["incomplete"]
    assert view.targets[0].verdict == "incomplete"
    both = (ending("unreachable", error="no answer"), ending("unreachable", 0.01, job="look", error="no answer"))
    (need,) = fleet_view.view(facts(endings=(*both, FINE[1]), looks=())).needs[-1:]
    assert need.title == "shop, keep, look: unreachable"
    assert need.runs == {"keep": "r-shop-6", "look": "r-shop-0.01"}


def test_findings_are_told_new_first() -> None:
    found = (
        issue(Severity.WARNING, 60, subject="old"),
        issue(Severity.CRITICAL, 50, subject="grave"),
        issue(Severity.WARNING, 2, subject="new"),
        issue(Severity.INFO, 1, subject="small"),
        issue(Severity.ERROR, 9, subject="known", acknowledged=True),
    )
    view = fleet_view.view(facts(issues=found))
    names = {
        name: [entry.issue.subject for entry in getattr(view, name)]
        for name in ("new", "standing", "minor", "acknowledged")
    }
    assert names == {"new": ["new"], "standing": ["grave", "old"], "minor": ["small"], "acknowledged": ["known"]}
    assert view.targets[0].findings == {"CRITICAL": 1, "WARNING": 2, "INFO": 1}


def test_what_holds_changes_back() -> None:
    pauses = (Pause(None, "otto", "", hours(1)), Pause("books", "anna", "moving", hours(30)))
    watched = replace(SHOP, observed=True)
    view = fleet_view.view(replace(facts(pauses=pauses, changed={"shop": hours(99)}), targets=(watched, BOOKS)))
    assert "the whole fleet was paused by otto" in view.paused
    assert view.targets[1].notes == ("paused by anna since 2026-11-26 02:00 UTC: moving",)
    assert view.targets[0].notes == (
        "only observed: the fleet file says mode: observe; nothing was changed since 2026-11-23 05:00 UTC",
    )


def test_how_far_partitions_reach() -> None:
    until = {"a": {"until": "2027-01-01T00:00:00+00:00"}, "b": {"until": "2026-12-07T08:00:00+00:00"}}
    odd = {"c": {"until": "soon"}, "d": {}, "e": {"until": "2026-01-01T00:00:00"}, "f": 3}
    view = fleet_view.view(facts(looks=(look(), look(job="keep", headroom=until | odd))))
    shop, books = view.document()["targets"]
    assert shop["headroom_days"] == 10.0
    assert "headroom_days" not in books


@pytest.mark.parametrize(
    ("dags", "end", "note"),
    [
        (
            {"keep": RUNS, "look": RUNS},
            "at 08:00 UTC",
            "",
        ),
        (
            {"keep": PAUSED, "look": RUNS},
            "nothing starts keep",
            "its DAG is paused in Airflow: nothing starts it",
        ),
        (
            {"look": RUNS},
            "nothing starts keep",
            "Airflow has no such DAG: nothing starts it",
        ),
        ({}, "nothing is scheduled", "Airflow has no such DAG: nothing starts it"),
    ],
)
def test_what_airflow_knows_counts_more_than_the_table(dags: dict[str, DagFacts], end: str, note: str) -> None:
    view = fleet_view.view(facts(dags=dags))
    assert view.verdict[0].endswith(end)
    (keep,) = [coming for coming in view.coming if coming.job == "keep"]
    assert keep.note == note


def test_of_many_databases_those_that_are_well_are_folded() -> None:
    many = tuple(replace(BOOKS, name=f"t{n}") for n in range(30))
    endings = tuple(ending("failed" if n == 7 else "ok", target=f"t{n}") for n in range(30))
    view = fleet_view.view(replace(facts(endings=endings, looks=()), targets=many))
    assert ([t.name for t in view.shown], len(view.folded)) == (["t7"], 29)
    assert [t["verdict"] for t in view.document()["targets"]].count("well") == 29
