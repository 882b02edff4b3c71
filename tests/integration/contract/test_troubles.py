"""Each trouble becomes the same outcome on every engine: status, reason, exit status – the table of docs/troubles.md.

Provoked on the real servers (`tests.harness.troubles`), in a whole run: between the plan and the carrying out, or in
the middle of it. An engine that cannot have a trouble says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness import troubles
from tests.harness.contract import NAME, PLACES, Place, fleet_of
from tests.harness.troubles import TROUBLES, End, Scene, Way
from upkeep import connections
from upkeep.cli.base import CANCELLED
from upkeep.errors import CancelledError
from upkeep.fleet import Target
from upkeep.jobs.contract import Job, Work
from upkeep.ledger import Ledger
from upkeep.model import Outcome, ReasonCode, RunReport
from upkeep.run import rules, undoing
from upkeep.run.runner import Runner

JOB = "data_retention"
MARKS: dict[str, list[pytest.MarkDecorator]] = {"tidb": [pytest.mark.tidb]}
POSSIBLE = [
    pytest.param(name, engine, id=f"{name}-{engine}", marks=MARKS.get(engine, []))
    for engine in troubles.engines()
    for name, way in troubles.ways(engine).items()
    if isinstance(way, Way)
]


@pytest.mark.parametrize("engine", troubles.engines())
def test_each_engine_knows_a_way_to_each_trouble_or_says_why_not(engine: str) -> None:
    ways = troubles.ways(engine)
    assert [*ways] == [*TROUBLES]
    assert all(way for way in ways.values())


def test_the_table_in_the_docs_is_this_one() -> None:
    text = (Path(__file__).parents[3] / "docs" / "troubles.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]+\| (\w+), `(\w+)` \| (\d+) \|", text, re.MULTILINE)
    documented = {End(status, code, int(exit_status)) for status, code, exit_status in rows}
    assert {*TROUBLES.values()} <= documented
    assert sorted(code for _, code, _ in rows) == sorted(ReasonCode)


@pytest.fixture
def ledger(control_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    opened = Ledger.open(connections.resolve(connections.CONTROL), migrate=True)
    yield opened
    opened.close()


@pytest.mark.parametrize(("name", "engine"), POSSIBLE)
def test_a_trouble_is_the_same_outcome_everywhere(
    name: str, engine: str, ledger: Ledger, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = troubles.ways(engine)[name]
    assert isinstance(way, Way)
    with ExitStack() as opened:
        server = opened.enter_context(way.server()) if way.server else request.getfixturevalue(f"{engine}_server")
        place = opened.enter_context(PLACES[engine](server))
        way.make(place.db)
        monkeypatch.setenv("AIRFLOW_CONN_TARGET", opened.enter_context(way.user(place)))
        runner = Runner(fleet_of(way.case, engine), ledger)
        struck = hinder(way, place, runner, monkeypatch)
        report, exit_status = carried_out(runner, way, undo=name == "no way back")
    (target,) = report.targets
    assert struck, target
    outcome = next(o for o in target.outcomes if o.action_id == target.actions[0].id)
    ended = End(outcome.status.value, str(outcome.reason_code), exit_status)
    assert ended == TROUBLES[name], (outcome.message, target)
    assert outcome.message


def hinder(way: Way, place: Place, runner: Runner, patch: pytest.MonkeyPatch) -> list[str]:
    """Let the trouble come when the job carries out its first action; return what was carried out."""
    struck: list[str] = []
    original = runner.job

    def apply(job: Job[Any], work: Work[Any]) -> Outcome:
        struck.append(work.action.kind)
        with way.strike(Scene(place, work, runner, patch)) if len(struck) == 1 else nullcontext():
            return job.apply(work)

    def job(name: str, target: Target) -> Job[Any]:
        found = original(name, target)
        return replace(found, apply=partial(apply, found))

    patch.setattr(runner, "job", job)
    return struck


def carried_out(runner: Runner, way: Way, *, undo: bool) -> tuple[RunReport, int]:
    run_id = runner.start(JOB, way.case.at, trigger="test", actor="test")
    try:
        runner.run_target(run_id, NAME, apply=True)
    except CancelledError:
        return runner.report(run_id), CANCELLED
    report = undoing.undo(runner, run_id, actor="test") if undo else runner.report(run_id)
    return report, rules.exit_status(report)
