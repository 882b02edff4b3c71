"""Every job on every engine keeps the contract of `upkeep.jobs.contract`, on the real server.

The pairs come from the table of jobs; each brings a case of its own (`tests.harness.contract`), and one without fails.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.harness.contract import (
    NAME,
    PLACES,
    Case,
    Place,
    again,
    case_of,
    columns_of,
    fleet_of,
    no_io,
    pairs,
    same,
    strangers,
    target,
    unnoticed,
    wishes,
)
from tests.harness.jobs import look, sources, undo
from upkeep import connections, engines, gates
from upkeep.errors import NotSupportedError
from upkeep.fleet import Fleet, Target
from upkeep.jobs import rooms, spec
from upkeep.jobs.contract import Job, Open, Work, go_on
from upkeep.ledger import Ledger, codec
from upkeep.model import (
    Action,
    Backup,
    Finding,
    Json,
    Memory,
    Observation,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    Request,
    TargetReport,
    TargetStatus,
)
from upkeep.run.runner import Runner

UNCHANGED = (ReasonCode.STATE_CHANGED, ReasonCode.NOT_SUPPORTED)
MARKS: dict[str, list[pytest.MarkDecorator]] = {"tidb": [pytest.mark.tidb]}


def each(found: Sequence[tuple[str, str]]) -> list[Any]:
    return [pytest.param((job, engine), id=f"{job}-{engine}", marks=MARKS.get(engine, [])) for job, engine in found]


@dataclass
class Bed:
    """A pair, its case, and the fresh database that the case has filled."""

    name: str
    job: Job[Any]
    engine: str
    case: Case
    place: Place
    notes: list[Json] = field(default_factory=list)
    made: list[Backup] = field(default_factory=list)

    def session(self) -> Any:
        address = connections.parse("target", self.place.uri)
        return engines.engine(self.engine).open(address, application="upkeep contract")

    def target(self, *, wrong: bool = False, more: str = "") -> Target:
        return target(self.case, self.engine, wrong=wrong, more=more)

    def sources(self) -> Open:
        return sources(fleet_of(self.case, self.engine))

    def look(self, *, wrong: bool = False, more: str = "") -> Observation:
        """Observe in a session of its own, which is closed when this returns."""
        with self.session() as opened:
            what = self.target(wrong=wrong, more=more)
            known = Memory(backups=(*self.made, *(self.case.remembered if wrong else ())))
            asked, open_ = self.request(wrong=wrong), self.sources()
            return look(self.name, opened, what, self.case.at, known, request=asked, open=open_)

    def request(self, *, wrong: bool = False) -> Request:
        return spec.require(self.name).asks({**self.case.asked, **(self.case.asked_wrong if wrong else {})})

    def plan(self, observation: Observation, *, wrong: bool = False) -> Plan:
        return self.job.plan(observation, self.target(wrong=wrong), self.request(wrong=wrong))

    def planned(self, *, wrong: bool = False) -> tuple[Observation, Plan]:
        observation = self.look(wrong=wrong)
        return observation, self.plan(observation, wrong=wrong)

    def apply(self, session: Any, action: Action, observation: Observation) -> Outcome:
        notes, open_ = self.notes.append, self.sources()
        work = Work(session, self.target(), action, observation, go_on, lambda _: None, notes, open=open_)
        outcome = self.job.apply(work)
        self.made += [Backup(NAME, artefact, "run") for artefact in outcome.artefacts]
        return outcome

    def apply_all(self, plan: Plan, observation: Observation) -> list[Outcome]:
        with self.session() as session:
            return [self.apply(session, action, observation) for action in plan.actions]

    def whole(self) -> list[str]:
        """Return the picture of the database, and of what lies beside it."""
        files = sorted(map(str, self.case.beside.rglob("*"))) if self.case.beside else []
        return [*self.place.picture(), *files]

    def picture(self) -> list[str]:
        """Return the picture without what the case says that may be left of an action taken back."""
        return [re.sub(self.case.left, "", part) if self.case.left else part for part in self.place.picture()]


acting = pytest.mark.parametrize(
    "bed",
    each([(job, engine) for job, engine in pairs() if not spec.require(job).looks_only]),
    indirect=True,
)
"""For what only jobs have that act."""


@pytest.fixture(params=each(pairs()))
def bed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    job, engine = request.param
    case, found = case_of(job, engine), rooms.job(job, engine)
    assert found is not None
    if case.others:
        monkeypatch.setenv("AIRFLOW_CONN_SOURCE", request.getfixturevalue("postgres_server").uri())
    with PLACES[engine](request.getfixturevalue(f"{engine}_server")) as place:
        case.make(place.db)
        yield Bed(job, found, engine, case, place)


# -- looking -----------------------------------------------------------------------------------------


def test_observe_changes_nothing(bed: Bed) -> None:
    """The picture proves that nothing changed; the watch, that nothing was even tried (how: see each engine's place).

    Where changes may be made, a job may ask the server whether it takes any, by a write that finds nothing to change
    (MongoDB, Redis). With ``mode: observe`` it sends none at all, and comes to the same plan.
    """
    before = bed.whole()
    free = bed.look(wrong=True)
    same(before, bed.whole())
    with bed.place.watched() as writes:
        watched = bed.look(wrong=True, more="mode: observe")
    assert writes == []
    same(before, bed.whole())
    alike(bed, *(bed.plan(seen, wrong=True) for seen in (free, watched)))


def test_values_go_to_json_and_back(bed: Bed) -> None:
    observation, plan = bed.planned(wrong=True)
    assert plan.findings, "a case has something wrong, of which a finding speaks"
    assert again(again(observation)) == again(observation)
    assert again(observation).model_dump_json() == observation.model_dump_json()
    assert Observation(**codec.unpack(codec.pack(observation.model_dump()))) == observation
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    for action in plan.actions:
        assert Action.model_validate_json(action.model_dump_json()) == action
    for finding in plan.findings:
        assert Finding.model_validate_json(finding.model_dump_json()) == finding
    observation, plan = bed.planned()
    for outcome in bed.apply_all(plan, observation):
        assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome
    if bed.job.measures is not None:
        measured = bed.job.measures(bed.look(), bed.target())
        assert measured, "a case has something that is measured"
        assert json.loads(json.dumps(measured)) == measured


# -- planning ----------------------------------------------------------------------------------------


def test_plan_is_pure_and_stable(bed: Bed) -> None:
    observation, plan = bed.planned(wrong=True)
    text = observation.model_dump_json()
    with time_machine.travel(datetime(2031, 5, 5, tzinfo=UTC), tick=False), no_io():
        later = bed.plan(observation, wrong=True)
    assert later == plan
    assert observation.model_dump_json() == text
    assert bed.plan(again(observation), wrong=True) == plan
    _, second = bed.planned(wrong=True)
    alike(bed, plan, second)
    if spec.require(bed.name).looks_only:
        assert plan.actions == ()
        assert {f.check for f in plan.findings}, "what was looked at is told, whether well or not"


def alike(bed: Bed, one: Plan, other: Plan) -> None:
    """Assert that two looks at an unchanged database lead to the same plan."""
    assert [a.intent for a in one.actions] == [a.intent for a in other.actions]
    steady = [[a.id for a in plan.actions if a.kind not in bed.case.by_clock] for plan in (one, other)]
    assert steady[0] == steady[1]
    assert one.plan_id == other.plan_id or bed.case.by_clock


@acting
def test_actions_are_told_apart(bed: Bed) -> None:
    _, plan = bed.planned()
    assert {action.kind for action in plan.actions} == bed.case.kinds
    ids = [action.id for action in plan.actions]
    assert len({*ids}) == len(ids)
    intents = [action.intent for action in plan.actions if action.destructive]
    assert all(intents)
    assert len({*intents}) == len(intents)
    for number, action in enumerate(plan.actions):
        assert {*action.after} <= {*ids[:number]}, "what must be done first is planned, and stands before"
        assert action.reason
        assert action.precondition
        assert action.statements or not action.destructive
        # a dump sees what is taken away under it; Redis writes its own from a fork
        assert "backup" in action.not_during or not action.destructive or bed.engine == "redis"


# -- gates -------------------------------------------------------------------------------------------


@acting
def test_frames_fit_the_suites(bed: Bed) -> None:
    wanted, name = bed.target(), bed.name
    observation, plan = bed.planned()
    before = bed.job.frames(observation, wanted, "before", None, ())
    _fit(bed, "before", before)
    assert gates.complete(name, bed.engine, "before", before)
    assert gates.evaluate(name, bed.engine, "before", before).failed == ()
    assert unnoticed(name, bed.engine, "before", before) == set()

    _fit(bed, "after", bed.job.frames(observation, wanted, "after", None, ()))
    claimed = [_claimed(action) for action in plan.actions]
    nothing_done = bed.job.frames(observation, wanted, "after", plan, claimed)
    _fit(bed, "after", nothing_done)
    assert not gates.evaluate(name, bed.engine, "after", nothing_done).success, "said to be done, and it is not"

    outcomes = bed.apply_all(plan, observation)
    after = bed.job.frames(bed.look(), wanted, "after", plan, outcomes)
    _fit(bed, "after", after)
    assert after["outcomes"]
    assert gates.complete(name, bed.engine, "after", after)
    assert gates.evaluate(name, bed.engine, "after", after).failed == ()
    assert unnoticed(name, bed.engine, "after", after) == set()


def _claimed(action: Action) -> Outcome:
    """Return what an action would say that did nothing."""
    evidence = {"cut_off": action.args["cut_off"]} if "cut_off" in action.args else {}
    return Outcome(action_id=action.id, status=OutcomeStatus.DONE, evidence=evidence)


@acting
def test_what_is_wrong_has_frames_and_stops_itself_only(bed: Bed) -> None:
    observation, plan = bed.planned(wrong=True)
    frames = bed.job.frames(observation, bed.target(wrong=True), "before", None, ())
    _fit(bed, "before", frames)
    _, right = bed.planned()
    result = gates.evaluate(bed.name, bed.engine, "before", frames)
    assert not result.stops_target
    assert not result.stopped_subjects & {action.subject for action in right.actions}
    assert {*wishes(right)} <= {*wishes(plan)}
    assert {f.subject for f in plan.findings} - {f.subject for f in right.findings} or result.stopped_subjects


def _fit(bed: Bed, stage: str, frames: Any) -> None:
    suite = gates.load(bed.name, stage, bed.engine)
    assert {*suite.frames} <= {*frames}
    for name, checks in suite.frames.items():
        needed = {"subject"}.union(*(columns_of(check) for check in checks))
        assert frames[name] or name in suite.may_be_empty, name
        for row in frames[name]:
            assert needed <= {*row}, (name, needed - {*row})
            assert row["subject"]


# -- doing and taking back ---------------------------------------------------------------------------


@pytest.mark.versions
@acting
def test_applying_twice_is_harmless(bed: Bed) -> None:
    observation, plan = bed.planned()
    with bed.session() as session:
        for action in plan.actions:
            first = bed.apply(session, action, observation)
            assert first.status is OutcomeStatus.DONE, (action.kind, action.detail, first)
            picture = bed.place.picture()
            second = bed.apply(session, action, observation)
            assert second.status is OutcomeStatus.DONE or second.reason_code in UNCHANGED, (action.kind, second)
            assert not second.evidence.get("rows_deleted"), (action.kind, second)
            same(picture, bed.place.picture(), action.kind)


@pytest.mark.versions
@acting
def test_undo_takes_back_or_says_why_not(bed: Bed) -> None:
    """Each action alone: done, taken back, taken back once more; what others wait for is then done again."""
    observation, plan = bed.planned()
    undone: set[str] = set()
    for place in _by_place(plan):
        action = _by_place(plan)[place]
        before = bed.picture()
        with bed.session() as session:
            outcome = bed.apply(session, action, observation)
            assert outcome.status is OutcomeStatus.DONE, (place, outcome)
            back = _taken_back(bed, session, action, outcome)
            if back.status is not OutcomeStatus.DONE:
                continue
            undone.add(action.kind)
            same(before, bed.picture(), place)
            _taken_back(bed, session, action, outcome)
            same(before, bed.picture(), place)
        observation, plan = bed.planned()  # what was taken back is planned again, with what waits for it
        twin = _by_place(plan)[place]
        if any(twin.id in a.after for a in plan.actions):
            with bed.session() as session:
                assert bed.apply(session, twin, observation).status is OutcomeStatus.DONE, place
    assert undone == bed.case.undone


def _by_place(plan: Plan) -> dict[tuple[str, str, int], Action]:
    """Return the actions by kind, subject, and how many alike come after; what went for ever stood before."""
    after: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, str, int], Action] = {}
    for action in reversed(plan.actions):
        found[action.kind, action.subject, after[action.kind, action.subject]] = action
        after[action.kind, action.subject] += 1
    return dict(reversed(found.items()))


def _taken_back(bed: Bed, session: Any, action: Action, outcome: Outcome) -> Outcome:
    """Undo; what is not taken back has a message, and was not promised or only on a condition."""
    back = undo(bed.job, session, action, outcome)
    assert back.action_id == action.id
    if back.status is not OutcomeStatus.DONE:
        assert back.message
        assert back.reason_code
        promise = action.undo or "none"
        assert promise.startswith("none") or "while" in promise, (action.kind, promise, back)
    return back


# -- the run around it -------------------------------------------------------------------------------


@pytest.fixture
def ledger(control_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    opened = Ledger.open(connections.resolve(connections.CONTROL), migrate=True)
    yield opened
    opened.close()


def run(bed: Bed, ledger: Ledger, more: str = "", *, approve: bool = False) -> TargetReport:
    runner = Runner(fleet_of(bed.case, bed.engine, more=more), ledger)
    run_id = runner.start(bed.name, bed.case.at, trigger="test", actor="test", request=bed.request())
    return runner.run_target(run_id, NAME, apply=True, approve=approve, actor="test")


@acting
def test_an_untested_version_is_only_observed(bed: Bed, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TARGET", bed.place.uri)
    monkeypatch.setattr(f"upkeep.{bed.engine}.session.TESTED_VERSIONS", ())
    before = bed.whole()
    observed = run(bed, ledger)
    assert observed.status is TargetStatus.OBSERVED, observed
    assert {o.reason_code for o in observed.outcomes} == {ReasonCode.OBSERVE_ONLY}
    assert {a.kind for a in observed.actions} == bed.case.kinds
    same(before, bed.whole())
    allowed = run(bed, ledger, "allow_untested: true", approve=True)
    assert any(o.status is OutcomeStatus.DONE for o in allowed.outcomes), allowed
    assert bed.whole() != before


@pytest.mark.parametrize(("job", "engine"), strangers())
def test_a_job_that_an_engine_does_not_know_is_not_supported(job: str, engine: str, ledger: Ledger) -> None:
    declared = Target(name=NAME, engine=engine, connection="target")
    runner = Runner(Fleet(version=1, targets={NAME: declared}), ledger)
    with pytest.raises(NotSupportedError, match=f"{job} is not available on {engine}"):
        runner.job(job, declared)
    run_id = ledger.start_run(job, datetime.now(UTC), trigger="test", actor="test", options={})
    ledger.start_target(run_id, NAME, engine)
    assert runner.run_target(run_id, NAME, apply=True).status is TargetStatus.NOT_SUPPORTED
