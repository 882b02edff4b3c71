"""What collections are like that grew for years: odd ids, other collations, clustered, found by two policies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.binary import UuidRepresentation
from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from local.servers import MongoServer
from tests.harness.jobs import Runs
from tests.harness.mongo import AT, Place, fresh_place, run, target
from upkeep import connections
from upkeep.model import FindingStatus, Severity
from upkeep.mongo import elections
from upkeep.mongo.data_retention import batches
from upkeep.mongo.data_retention.measurements import Pair
from upkeep.mongo.engine import ENGINE
from upkeep.mongo.session import MongoSession

JOB = "data_retention"
OLD, NEW = AT - timedelta(days=40), AT - timedelta(days=1)
DELETE = "events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}"
ARCHIVE = "events: {retain: {by: at, for: 30 days, then: archive, into: kept, requires: nothing}}"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SHAPE = "timeseries: {time: at, meta: meta, granularity: minutes}"
SERIES = f"m: {{{SHAPE}, retain: {{for: 90 days, then: archive, into: kept, requires: approval}}}}"


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        made.client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        yield made
        made.client.admin.command("setParameter", 1, ttlMonitorEnabled=True)


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


def fill(place: Place, name: str = "events", old: int = 30) -> None:
    place.db[name].insert_many(
        [{"_id": n, "at": OLD} for n in range(old)] + [{"_id": 900 + n, "at": NEW} for n in range(9)]
    )
    place.db[name].create_index("at", name="by_age")


# -- which collections -------------------------------------------------------------------------------


def test_a_name_in_full_wins_over_globs_and_a_glob_never_means_an_archive(session: MongoSession, place: Place) -> None:
    for name in ("events", "events_old", "other"):
        fill(place, name)
    policy = f"""
'*': {{retain: {{by: at, for: 1 day, then: delete, requires: nothing}}}}
'events*': {{retain: {{by: at, for: 2 days, then: delete, requires: nothing}}}}
{ARCHIVE}"""
    done = run(session, target(policy), JOB)
    assert done.well
    assert sorted((a.kind, a.subject) for a in done.plan.actions) == [
        ("archive_rows", "events"),
        ("create_archive", "events"),
        ("delete_rows", "events_old"),
        ("delete_rows", "other"),
    ]
    again = run(session, target(policy), JOB)
    assert [a.subject for a in again.plan.actions] == []
    assert again.finding("missing").subject == "events*"
    assert place.db.kept.count_documents({}) == 30


def test_two_policies_do_not_both_correct_a_collection(session: MongoSession, place: Place) -> None:
    policy = """
'ev*': {indexes: [{keys: {a: 1}, name: i}], corrections: apply}
events: {indexes: [{keys: {b: 1}, name: i}], corrections: apply}"""
    place.db.create_collection("events")
    place.db.create_collection("evening")
    run(session, target(policy), "partition_creation")
    assert place.indexes("events")["i"]["key"] == [("b", 1)]
    assert place.indexes("evening")["i"]["key"] == [("a", 1)]
    assert run(session, target(policy), "partition_creation").plan.actions == ()


# -- ids, collations, clustered ----------------------------------------------------------------------


def odd_ids() -> list[Any]:
    some = uuid.UUID(int=7)
    return [
        *(None, True, 1, Int64(2**40), 2.5, float("nan"), float("-inf"), Decimal128("3.10"), "", "a", "A", "é"),
        *(Binary(b"\0\xff"), Binary(b"\0", 5), Binary.from_uuid(some), ObjectId(), Code("x"), {}, {"a": 1, "b": [1]}),
        *({"b": [1], "a": 1}, {"$type": "date"}, datetime(2020, 1, 1, tzinfo=UTC), DatetimeMS(-(2**60))),
        *(Binary.from_uuid(some, UuidRepresentation.JAVA_LEGACY), Timestamp(5, 6), MinKey(), MaxKey()),
    ]


@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
@pytest.mark.parametrize("index", [True, False])
def test_ids_of_every_type(session: MongoSession, place: Place, policy: str, *, index: bool) -> None:
    raw = session.raw("events")
    for one in odd_ids():
        try:
            raw.insert_one({"_id": one, "at": OLD, "x": 1.5})  # type: ignore[arg-type]
        except OperationFailure:  # the server refuses a few
            assert one == {"$type": "date"}
    if index:
        place.db.events.create_index("at")
    before = sorted(bytes(d.raw) for d in raw.find())
    assert len(before) >= 26
    done = run(session, target(policy, "limits: {share: 100 %}"), JOB)
    assert done.well
    assert place.db.events.count_documents({}) == 0
    if policy == ARCHIVE:
        assert sorted(bytes(d.raw) for d in session.raw("kept").find()) == before


@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
@pytest.mark.parametrize("index", [True, False])
def test_long_ids_of_one_age_fit_into_a_command(
    session: MongoSession, place: Place, policy: str, *, index: bool
) -> None:
    """Twenty megabytes of ids: a delete by them all at once is larger than the server takes."""
    place.db.events.insert_many([{"_id": f"{n:04d}" + "x" * 20_000, "at": OLD} for n in range(1_000)])
    place.db.events.insert_one({"at": NEW})
    if index:
        place.db.events.create_index("at")
    done = run(session, target(policy, "limits: {share: 100 %}"), JOB)
    assert done.well
    assert place.db.events.count_documents({}) == 1
    assert place.db.kept.count_documents({}) == (1_000 if policy == ARCHIVE else 0)


def test_a_transaction_that_the_cache_has_no_room_for_is_made_smaller(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says write conflict, again and again, as it does when another writes the same documents."""
    place.db.events.insert_many([{"_id": n, "at": OLD, "text": "x" * 1_000} for n in range(500)])
    real, tried = batches.Sweep._within, []

    def within(sweep: Any, own: Any, low: Any, *, compare: bool) -> Any:
        tried.append(sweep.room)
        if sweep.room > 100_000:
            raise OperationFailure("WriteConflict", 112, {"errorLabels": ["TransientTransactionError"], "code": 112})
        return real(sweep, own, low, compare=compare)

    monkeypatch.setattr(batches.Sweep, "_within", within)
    monkeypatch.setattr(elections, "AGAIN_SECONDS", 0.0)
    assert run(session, target(ARCHIVE, "limits: {share: 100 %}"), JOB).well
    assert place.db.kept.count_documents({}) == 500
    assert tried[:3] == [8 * 2**20, 4 * 2**20, 2 * 2**20]


@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_collations_of_collection_and_index(session: MongoSession, place: Place, policy: str) -> None:
    place.db.create_collection("events", collation={"locale": "en", "strength": 2})
    place.db.events.insert_many([{"_id": f"{'aA'[n % 2]}{n}", "at": OLD if n % 3 else NEW} for n in range(60)])
    place.db.events.create_index("at", collation={"locale": "fr"})
    assert run(session, target(policy), JOB).well
    assert place.db.events.count_documents({}) == 20
    assert place.db.kept.count_documents({}) == (40 if policy == ARCHIVE else 0)


def test_an_archive_that_takes_two_ids_for_one_stops_the_work(session: MongoSession, place: Place) -> None:
    place.db.create_collection("kept", collation={"locale": "en", "strength": 2})
    place.db.events.insert_many([{"_id": "a", "at": OLD}, {"_id": "A", "at": OLD}, {"_id": "b", "at": NEW}])
    done = run(session, target(ARCHIVE, "limits: {share: 100 %}"), JOB)
    assert done.ends == ["error"]
    assert "_id_" in (done.outcome("archive_rows").message or "")
    assert place.db.events.count_documents({}) == 3
    assert place.db.kept.count_documents({}) == 0


@pytest.mark.since(mongo="6.0")
@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_a_clustered_collection(session: MongoSession, place: Place, policy: str) -> None:
    place.db.create_collection("events", clusteredIndex={"key": {"_id": 1}, "unique": True})
    fill(place)
    assert run(session, target(policy), JOB).well
    assert place.db.events.count_documents({}) == 9


@pytest.mark.since(mongo="6.0")
def test_a_clustered_collection_that_expires_by_itself_waits_for_nobody(session: MongoSession, place: Place) -> None:
    clustered: Any = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}, "expireAfterSeconds": 10**9}
    place.db.create_collection("events", **clustered)
    fill(place)
    done = run(session, target(ARCHIVE), JOB)
    assert done.outcomes == []
    remedy = done.finding("expiry_before_archive").remedy or ""
    place.db.command(*_typed(remedy))
    place.db.create_collection("kept", **clustered)
    done = run(session, target(ARCHIVE), JOB)
    assert done.outcomes == []
    place.db.command(*_typed(done.finding("archive_expires").remedy or ""))
    assert run(session, target(ARCHIVE), JOB).well
    place.db.command("collMod", "events", expireAfterSeconds=10**9)
    assert done.finding("archive_expires").severity is Severity.ERROR
    found = run(session, target(DELETE), JOB, apply=False).finding("expiry_elsewhere")
    assert "clustered" in found.summary


def _typed(remedy: str) -> Any:
    """Return the command in a remedy as a person would type it."""
    import json  # noqa: PLC0415
    import re  # noqa: PLC0415

    match = re.search(r"runCommand\((\{.*?\})\)", remedy)
    assert match is not None, remedy
    command = json.loads(re.sub(r"(\w+):", r'"\1":', match[1]))
    return [command]


# -- the connection ----------------------------------------------------------------------------------


def test_what_is_looked_at_comes_from_the_primary_whatever_the_connection_prefers(place: Place) -> None:
    address = connections.parse(
        "test", f"{place.uri}&readPreference=secondary&maxStalenessSeconds=120&readPreferenceTags=dc:x&w=1"
    )
    with ENGINE.open(address, application="test") as opened:
        assert opened.database.read_preference == ReadPreference.PRIMARY
        assert opened.database["m"].read_preference == ReadPreference.PRIMARY
        assert Pair(opened, "m", "at", "kept")._collection("m").read_preference == ReadPreference.PRIMARY


@pytest.mark.since(mongo="6.0")  # before, measurements that are archived first are refused, and no expiry is set
def test_every_change_waits_for_a_majority(session: MongoSession, place: Place) -> None:
    place.db.command("profile", 2)
    run(session, target(SERIES.replace("approval", "nothing")), "partition_creation")
    run(session, target(SERIES.replace("approval", "nothing")), JOB, at=NOW)
    place.db.command("profile", 0)
    done = list(place.db["system.profile"].find({"op": "command"}))
    for name in ("create", "collMod"):
        (command,) = [d["command"] for d in done if name in d["command"]]
        assert command["writeConcern"]["w"] == "majority"


# -- measurements ------------------------------------------------------------------------------------


def series(place: Place, days: int = 120) -> None:
    place.db.create_collection("m", timeseries={"timeField": "at", "metaField": "meta", "granularity": "minutes"})
    documents = [
        {"at": NOW - DAY / 2 * n - DAY / 4, "meta": {"asset": f"a{n % 3}"}, "value": n * 0.37, "more": {"x": 1.25 * n}}
        for n in range(days * 2)
    ]
    place.db.m.insert_many(documents, ordered=False)


@pytest.mark.since(mongo="6.0")
def test_what_has_expired_already_does_not_suspend_the_expiry(session: MongoSession, place: Place) -> None:
    """The server expires whole buckets, each in its own time: the archive then holds more than is still there."""
    series(place)
    assert set(run(session, target(SERIES), JOB, at=NOW).ends) == {"done"}
    assert run(session, target(SERIES), JOB, at=NOW).kinds == []
    place.db.m.delete_many({"meta": {"asset": "a1"}})  # as the server does: whole buckets, not the oldest first
    done = run(session, target(SERIES), JOB, at=NOW)
    assert done.kinds == []
    assert "expiry_before_archive" not in done.checks
    place.db.m.insert_one({"at": NOW - 95 * DAY, "meta": {"asset": "a2"}, "value": 1})
    done = run(session, target(SERIES), JOB, at=NOW)
    assert done.kinds == ["archive_measurements"]
    assert run(session, target(SERIES), JOB, at=NOW).kinds == []
    place.db.m.insert_one({"at": NOW - 118 * DAY, "meta": {"asset": "a2"}, "value": 2})  # due to expire any minute
    done = run(session, target(SERIES), JOB, at=NOW)
    assert done.kinds == ["suspend_expiry", "archive_measurements", "set_expiry"]
    assert run(session, target(SERIES), JOB, at=NOW).kinds == []


@pytest.mark.since(mongo="6.0")
@pytest.mark.parametrize("change", [{"$set": {"more.x": -1}}, {"$unset": {"value": 1}}, {"$set": {"new": None}}])
def test_a_changed_copy_is_found_also_after_some_have_expired(
    session: MongoSession, place: Place, change: dict[str, Any]
) -> None:
    series(place)
    run(session, target(SERIES), JOB, at=NOW)
    place.db.m.delete_many({"meta": {"asset": "a1"}})
    (oldest,) = place.db.kept.find({"meta.asset": "a2"}).sort("at").limit(1)
    place.db.kept.update_one({"_id": oldest["_id"]}, change)
    done = run(session, target(SERIES), JOB, at=NOW)
    assert "expiry_before_archive" in done.checks
    assert done.outcome("archive_measurements").reason_code == "conservation_violated"


@pytest.mark.since(mongo="6.0")
def test_measurements_without_an_id(session: MongoSession, place: Place) -> None:
    series(place, days=100)
    document = {"at": NOW - 95 * DAY, "meta": {"asset": "a1"}, "value": 1}
    place.db.command("insert", "m", documents=[document, document, {**document, "value": 2}])
    done = run(session, target(SERIES), JOB, at=NOW)
    assert done.well
    assert place.db.kept.count_documents({}) == place.db.m.count_documents({"at": {"$lt": NOW - 90 * DAY}})
    assert run(session, target(SERIES), JOB, at=NOW).kinds == []


def test_whether_the_server_expires_at_all_is_said_to_be_unknown_when_it_is(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    series(place, days=2)
    monkeypatch.setattr(MongoSession, "ask", lambda *_, **__: None)
    observed = Runs(JOB, target(SERIES)).observe(session, NOW)
    assert observed.frames["server"][0]["ttl_monitor"] is None
    found = run(session, target(SERIES), JOB, at=NOW, apply=False).finding("expiry_monitor")
    assert found.status is FindingStatus.NOT_AVAILABLE
