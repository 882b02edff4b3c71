"""Partition creation on a real MongoDB server: created when missing, reported when different, corrected on request."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.errors import WriteError

from local.servers import MongoServer
from tests.harness.jobs import Runs, undo
from tests.harness.mongo import AT, Place, fresh_place, run, target
from upkeep.jobs import rooms
from upkeep.model import Severity
from upkeep.mongo.session import MongoSession

JOB = "partition_creation"
METRICS = """
metrics:
  timeseries: {time: at, meta: meta, granularity: minutes}
  indexes: [{keys: {meta.asset: 1, at: -1}, name: asset_time}]
"""


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


@pytest.fixture
def validator(tmp_path: Path) -> Path:
    path = tmp_path / "v.json"
    path.write_text(json.dumps({"$jsonSchema": {"bsonType": "object", "required": ["kind"]}}))
    return path


def assets(validator: Path, corrections: str = "report") -> str:
    return f"""
assets:
  validator: {validator}
  corrections: {corrections}
  indexes:
    - {{keys: {{hostname: 1}}, name: by_host, unique: true, collation: {{locale: en, strength: 2}}}}
    - {{keys: {{parent: 1}}, name: by_parent, sparse: true}}
    - {{keys: {{b: 1, a: -1}}, name: ordered, partial: {{a: {{$gt: 5}}}}}}
    - {{keys: {{notes: text, about: text}}, name: words}}
"""


def test_what_is_missing_is_created_and_then_there_is_nothing_to_do(
    session: MongoSession, place: Place, validator: Path
) -> None:
    wanted = target(METRICS + assets(validator))
    first = run(session, wanted, JOB)
    assert first.before.success, first.before.failed
    assert first.kinds == ["create_collection", "create_index", "create_collection", *["create_index"] * 4]
    assert set(first.ends) == {"done"}
    assert first.after is not None
    assert first.after.success, first.after.failed
    assert place.options("metrics")["timeseries"]["granularity"] == "minutes"
    assert place.indexes("metrics")["asset_time"]["key"] == [("meta.asset", 1), ("at", -1)]
    assert place.indexes("assets")["ordered"]["key"] == [("b", 1), ("a", -1)]
    assert place.indexes("assets")["by_host"]["unique"] is True
    with pytest.raises(WriteError):
        place.db.assets.insert_one({"hostname": "a"})
    again = run(session, wanted, JOB)
    assert again.kinds == []
    assert again.checks == []


def test_differences_are_reported_with_the_exact_command_and_left_alone(
    session: MongoSession, place: Place, validator: Path
) -> None:
    place.db.create_collection("metrics", timeseries={"timeField": "at", "metaField": "meta"})
    place.db.assets.insert_many([{"hostname": "a", "kind": 1}, {"hostname": "b"}])
    place.db.assets.create_index("parent", name="other_name", sparse=True)
    place.db.assets.create_index("mine", name="mine")
    place.db.assets.create_index("hostname", name="by_host")
    done = run(session, target(METRICS + assets(validator)), JOB)
    assert set(done.checks) == {"granularity", "validator", "index_name", "index_conflict", "undeclared_index"}
    assert '"granularity": "minutes"' in (done.finding("granularity").remedy or "")
    assert (done.finding("validator").remedy or "").startswith('db.runCommand({"collMod": "assets", "validator"')
    assert done.finding("validator").evidence["documents_refused"] == 1
    assert 'dropIndex("by_host")' in (done.finding("index_conflict").remedy or "")
    assert done.finding("undeclared_index").severity is Severity.INFO
    assert done.finding("index_conflict").severity is Severity.ERROR
    assert done.finding("index_name").severity is Severity.WARNING
    assert done.kinds == ["create_index"] * 3  # ours on metrics, ordered, words
    assert done.after is not None
    assert done.after.success, done.after.failed
    assert "validator" not in place.options("assets")


def test_corrections_are_made_where_the_policy_says_so_and_taken_back(
    session: MongoSession, place: Place, validator: Path
) -> None:
    place.db.create_collection("metrics", timeseries={"timeField": "at", "metaField": "meta"})
    place.db.create_collection("assets")
    place.db.assets.create_index("parent", name="by_parent", sparse=True, hidden=True)
    wanted = target(METRICS.replace("minutes}", "hours}\n  corrections: apply") + assets(validator, "apply"))
    first = run(session, wanted, JOB)
    assert sorted(k for k in first.kinds if k != "create_index") == [
        *("modify_validator", "raise_granularity", "unhide_index"),
    ]
    assert set(first.ends) == {"done"}
    assert place.options("metrics")["timeseries"]["granularity"] == "minutes"  # one step at a time
    assert "hidden" not in place.indexes("assets")["by_parent"]
    assert run(session, wanted, JOB).kinds == ["raise_granularity"]
    assert place.options("metrics")["timeseries"]["granularity"] == "hours"
    assert run(session, wanted, JOB).kinds == []
    job = rooms.job(JOB, "mongo")
    assert job is not None
    undone = [undo(job, session, a, first.outcome(a)) for a in reversed(first.plan.actions)]
    by_kind = {a.kind: o for a, o in zip(reversed(first.plan.actions), undone, strict=True)}
    assert by_kind["raise_granularity"].reason_code == "not_supported"
    assert by_kind["modify_validator"].status == "done"
    assert place.options("assets").get("validator", {}) == {}
    assert list(place.indexes("assets")) == ["_id_", "by_parent"]


def test_what_the_server_cannot_change_stops_that_collection_alone(session: MongoSession, place: Place) -> None:
    place.db.create_collection("metrics")
    place.db.create_collection("downward", timeseries={"timeField": "at", "granularity": "hours"})
    place.db.command("create", "seen", viewOn="metrics", pipeline=[])
    more = """
downward: {timeseries: {time: at, granularity: seconds}, corrections: apply}
seen: {indexes: [{keys: {a: 1}, name: a}]}
fine: {indexes: [{keys: {a: 1}, name: a}]}
"""
    done = run(session, target(METRICS + more), JOB)
    assert done.before.stopped_subjects == {"metrics", "seen"}
    assert [f.check for f in done.plan.findings] == ["kind", "granularity", "kind"]
    assert {f.severity for f in done.plan.findings} == {Severity.ERROR}  # declared, and not to be had
    assert "it is a view" in done.plan.findings[-1].summary
    by_glob = run(session, target("'s*': {indexes: [{keys: {a: 1}, name: a}]}"), JOB)
    assert [f.check for f in by_glob.plan.findings] == ["missing"]  # a glob means no view
    assert [a.subject for a in done.plan.actions] == ["fine", "fine"]


def test_a_broken_validator_file_stops_its_collection_alone(
    session: MongoSession, place: Place, validator: Path
) -> None:
    wanted = target(assets(validator))
    validator.write_text("{oops")
    done = run(session, wanted, JOB)
    assert done.kinds == []
    assert done.finding("validator_file").severity is Severity.ERROR
    assert done.before.stopped_subjects == {"assets"}


def test_documents_that_break_a_unique_index_fail_that_index_without_their_values(
    session: MongoSession, place: Place
) -> None:
    place.db.people.insert_many([{"mail": "secret@example.com"}] * 1 + [{"mail": "secret@example.com", "_id": 1}])
    done = run(session, target("people: {indexes: [{keys: {mail: 1}, name: m, unique: true}]}"), JOB)
    outcome = done.outcome("create_index")
    assert outcome.status == "failed"
    assert "secret" not in str(outcome)
    assert "unique index m" in (outcome.message or "")
    assert done.after is not None
    assert done.after.stopped_subjects == {"people"}


def test_what_somebody_made_meanwhile_is_taken_as_it_is_or_left_alone(session: MongoSession, place: Place) -> None:
    wanted = target(METRICS)
    runs = Runs(JOB, wanted)
    observation = runs.observe(session, AT)
    create, index = runs.job.plan(observation, wanted).actions
    place.db.create_collection("metrics", timeseries={"timeField": "at", "metaField": "other"})

    assert runs.apply(session, create, observation).reason_code == "state_changed"
    place.db.metrics.drop()
    place.db.create_collection("metrics", timeseries={"timeField": "at", "metaField": "meta", "granularity": "minutes"})
    done = runs.apply(session, create, observation)
    assert (done.status, done.message) == ("done", "it is there already")
    assert undo(runs.job, session, create, done).reason_code == "not_supported"  # not ours
    assert runs.apply(session, index, observation).status == "done"
    assert runs.apply(session, index, observation).message == "it is there already"


def test_undo_drops_only_what_is_empty(session: MongoSession, place: Place) -> None:
    wanted = target("a: {indexes: [{keys: {x: 1}, name: x}]}\nb: {indexes: [{keys: {x: 1}, name: x}]}")
    done = run(session, wanted, JOB)
    place.db.b.insert_one({})
    job = rooms.job(JOB, "mongo")
    assert job is not None
    results = {
        a.subject: undo(job, session, a, done.outcome(a)) for a in done.plan.actions if a.kind == "create_collection"
    }
    assert results["a"].status == "done"
    assert results["b"].reason_code == "not_supported"
    assert place.db.list_collection_names() == ["b"]


def test_a_collection_held_by_others_is_given_up_and_no_writer_waits_long(
    session: MongoSession, place: Place, validator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.mongo.ddl.LOCK_MS", 200)
    place.db.assets.insert_one({"kind": 1})
    wanted = target(f"assets: {{validator: {validator}, corrections: apply}}")
    with place.client.start_session() as other, other.start_transaction():
        place.db.assets.insert_one({"kind": 2}, session=other)
        done = run(session, wanted, JOB)
    assert done.ends == ["lock_not_obtained"]
    assert run(session, wanted, JOB).ends == ["done"]


def test_a_hostile_name_is_a_name(session: MongoSession, place: Place) -> None:
    name = "a\"b'; drop.{x} ü"
    done = run(session, target(f"{json.dumps(name)}: {{indexes: [{{keys: {{x: 1}}, name: x}}]}}"), JOB)
    assert done.ends == ["done", "done"]
    assert place.db.list_collection_names() == [name]


def test_an_index_with_other_options_under_another_name_is_in_the_way(session: MongoSession, place: Place) -> None:
    place.db.seats.create_index("number", name="plain")
    done = run(session, target("seats: {indexes: [{keys: {number: 1}, name: only, unique: true}]}"), JOB)
    assert done.kinds == []
    found = done.finding("index_conflict")
    assert found.severity is Severity.ERROR
    assert 'dropIndex("plain")' in (found.remedy or "")
