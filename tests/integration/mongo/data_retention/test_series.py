"""Retention of time-series collections on a real server: archived exactly, expired only after that."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.servers import MongoServer
from tests.harness.jobs import Runs, undo
from tests.harness.mongo import Place, fresh_place, run, target
from upkeep.jobs import rooms
from upkeep.jobs.errors import ConservationError
from upkeep.model import Severity
from upkeep.mongo import ddl
from upkeep.mongo.data_retention import apply, measurements, view
from upkeep.mongo.data_retention.measurements import Pair
from upkeep.mongo.session import MongoSession

JOB = "data_retention"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SHAPE = "timeseries: {time: at, meta: meta, granularity: minutes}"
DELETE = f"m: {{{SHAPE}, retain: {{for: 90 days, then: delete, requires: nothing}}}}"
ARCHIVE = f"m: {{{SHAPE}, retain: {{for: 90 days, then: archive, into: kept, requires: nothing}}}}"
NINETY = 90 * 86_400
WITH_GRACE = 97 * 86_400


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        # buckets far in the past must not be expired by the server while a test looks
        made.client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        made.client.admin.command("setParameter", 1, ttlMonitorSleepSecs=1)  # heeded after the sleep of a minute
        yield made
        made.client.admin.command("setParameter", 1, ttlMonitorEnabled=True)


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "RANGE_ROWS", 10)
    monkeypatch.setattr(measurements, "TOO_MANY", 1)


def fill(place: Place, days: int = 120, *, expire: int | None = None, per_day: int = 2) -> int:
    options: dict[str, Any] = {} if expire is None else {"expireAfterSeconds": expire}
    place.db.create_collection(
        "m", timeseries={"timeField": "at", "metaField": "meta", "granularity": "minutes"}, **options
    )
    step = DAY / per_day
    documents = [
        {"at": NOW - step * n - step / 2, "meta": {"asset": f"a{n % 3}"}, "value": n * 0.37, "tags": ["x", {"y": n}]}
        for n in range(days * per_day)
    ]
    place.db.m.insert_many(documents, ordered=False)
    return sum(d["at"] < NOW - 90 * DAY for d in documents)


def expiry(place: Place) -> int | None:
    value = place.options("m").get("expireAfterSeconds")
    return None if value is None else int(value)


def contents(place: Place, *, source: bool) -> list[str]:
    """Return what is stored, without generated ids, sorted: equal lists are equal bags of measurements."""
    documents = list((place.db.m if source else place.db.kept).find({"at": {"$lt": NOW - 90 * DAY}}))
    for document in documents:
        document["_id"] = document["_id"] if source else document["_id"]["id"]
    return sorted(repr(sorted(d.items())) for d in documents)


def test_a_server_that_cannot_compare_archives_nothing_and_expires_nothing(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "SORTS_FIELDS", (6, 99))  # as if it were MongoDB 5.0, which `make test-versions` has
    due = fill(place, expire=WITH_GRACE)
    for kinds in (["suspend_expiry", "archive_measurements", "set_expiry"], ["archive_measurements", "set_expiry"]):
        done = run(session, target(ARCHIVE), JOB, at=NOW)
        assert [a.kind for a in done.plan.actions if a.kind != "create_archive"] == kinds
        said = {f.check: f.summary for f in done.plan.findings if f.severity == Severity.ERROR}
        assert "nothing is archived or expires" in said["version"]
        assert "suspend_expiry" not in kinds or "cannot be compared: it is suspended" in said["expiry_before_archive"]
        assert expiry(place) is None
        assert "kept" not in place.db.list_collection_names()
    assert place.db.m.count_documents({"at": {"$lt": NOW - 90 * DAY}}) == due


# -- deleting ----------------------------------------------------------------------------------------


def test_the_server_is_told_to_expire(session: MongoSession, place: Place) -> None:
    due = fill(place)
    done = run(session, target(DELETE), JOB, at=NOW)
    assert done.well
    (action,) = done.plan.actions
    assert action.destructive
    assert action.rows == due
    assert "before 7.0 deletes measurements only by their meta field" in action.reason
    assert expiry(place) == NINETY
    assert run(session, target(DELETE), JOB, at=NOW).kinds == []


def test_enabling_and_shortening_wait_for_a_person_and_lengthening_does_not(
    session: MongoSession, place: Place
) -> None:
    asked = target(DELETE.replace("requires: nothing", "requires: approval"))
    fill(place)
    for now, kind, waits in ((None, "set", True), (NINETY * 2, "set", True), (NINETY // 2, "lengthen", False)):
        place.db.command("collMod", "m", expireAfterSeconds="off" if now is None else now)
        (action,) = run(session, asked, JOB, at=NOW, apply=False).plan.actions
        assert action.kind == f"{kind}_expiry"
        assert (action.needs_person, action.destructive) == (waits, waits)


def test_a_shorter_expiry_than_the_policys_is_an_error_and_lengthened(session: MongoSession, place: Place) -> None:
    fill(place, expire=86_400)
    done = run(session, target(DELETE), JOB, at=NOW)
    assert done.well
    assert done.finding("expiry_too_short").severity is Severity.ERROR
    assert expiry(place) == NINETY


def test_an_expiry_of_zero_is_critical(session: MongoSession, place: Place) -> None:
    fill(place)
    place.db.command("collMod", "m", expireAfterSeconds=float("nan"))  # what 6.0.5 makes of it
    assert expiry(place) == 0
    done = run(session, target(DELETE), JOB, at=NOW)
    assert done.finding("expiry_value").severity is Severity.CRITICAL
    assert expiry(place) == NINETY


def test_months_and_years_are_never_shorter_than_the_calendar(session: MongoSession, place: Place) -> None:
    fill(place, days=2)
    run(session, target(DELETE.replace("90 days", "1 year 2 months")), JOB, at=NOW)
    assert expiry(place) == (366 + 62) * 86_400


def test_what_the_server_does_not_do_is_said(session: MongoSession, place: Place) -> None:
    fill(place, expire=NINETY)
    done = run(session, target(DELETE), JOB, at=NOW)
    assert done.kinds == []
    assert done.finding("expiry_monitor").severity is Severity.ERROR
    assert done.finding("expiry_overdue").status == "insufficient_evidence"
    place.db.m.insert_one({"at": datetime(1960, 1, 1, tzinfo=UTC), "meta": {}})
    checks = run(session, target(DELETE), JOB, at=NOW).checks
    assert "expiry_unsafe_times" in checks
    assert "expiry_overdue" not in checks


def test_undo_restores_what_deletes_less_and_refuses_what_deletes_more(session: MongoSession, place: Place) -> None:
    fill(place, expire=NINETY * 2)
    job = rooms.job(JOB, "mongo")
    assert job is not None
    done = run(session, target(DELETE), JOB, at=NOW)
    (action,) = done.plan.actions
    assert undo(job, session, action, done.outcome(action)).status == "done"
    assert expiry(place) == NINETY * 2
    assert undo(job, session, action, done.outcome(action)).reason_code == "not_supported"  # changed since
    place.db.command("collMod", "m", expireAfterSeconds=100)
    done = run(session, target(DELETE), JOB, at=NOW)
    (action,) = done.plan.actions
    refused = undo(job, session, action, done.outcome(action))
    assert "would delete more" in (refused.message or "")
    assert expiry(place) == NINETY


# -- archiving ---------------------------------------------------------------------------------------


@pytest.mark.since(mongo="6.0")
def test_archived_first_then_expired_a_grace_later(session: MongoSession, place: Place, small_ranges: None) -> None:
    due = fill(place)
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.well
    assert done.kinds == ["create_archive", "archive_measurements", "set_expiry"]
    assert set(done.ends) == {"done"}
    evidence = done.outcome("archive_measurements").evidence
    assert evidence["rows_copied"] == evidence["rows_archived"] == due
    assert evidence["hash_source"] == evidence["hash_archive"]
    assert len(done.notes) == evidence["copied_ranges"] > 3
    assert sum(note["rows"] for note in done.notes) == due
    assert contents(place, source=True) == contents(place, source=False)
    assert expiry(place) == WITH_GRACE
    assert run(session, target(ARCHIVE), JOB, at=NOW).kinds == []


@pytest.mark.since(mongo="6.0")
def test_equal_measurements_are_all_kept_and_ids_that_are_not_unique_too(session: MongoSession, place: Place) -> None:
    """In such a collection ``_id`` is not unique: a plain $merge made one document of two."""
    fill(place)
    at = NOW - 100 * DAY
    same = {"_id": 7, "at": at, "meta": {"asset": "a"}, "value": 1.5}
    more = [same, same, {**same, "value": 1.25}, {**same, "value": 1}, {**same, "meta": {"asset": "b"}}]
    more += [{**same, "other": None}, {**same, "at": at + timedelta(milliseconds=1)}]
    for document in more:
        place.db.m.insert_one(dict(document))
    assert run(session, target(ARCHIVE), JOB, at=NOW).well
    assert place.db.kept.count_documents({"_id.id": 7}) == len(more)
    assert contents(place, source=True) == contents(place, source=False)


@pytest.mark.since(mongo="6.0")
def test_copied_again_nothing_is_doubled_and_late_arrivals_are_added(
    session: MongoSession, place: Place, small_ranges: None
) -> None:
    fill(place)
    run(session, target(ARCHIVE), JOB, at=NOW, only=["create_archive", "archive_measurements"])
    late = {"at": NOW - 95 * DAY, "meta": {"asset": "a1"}, "value": 3.0}
    place.db.m.insert_one(late)
    place.db.kept.delete_one({})  # what a killed run did not come to
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.well
    assert done.outcome("archive_measurements").evidence["copied_ranges"] == 2
    assert contents(place, source=True) == contents(place, source=False)


@pytest.mark.since(mongo="6.0")
def test_equal_counts_of_other_measurements_are_not_taken_for_archived(session: MongoSession, place: Place) -> None:
    fill(place)
    run(session, target(ARCHIVE), JOB, at=NOW)
    place.db.kept.delete_one({"at": {"$lt": NOW - 91 * DAY}})
    place.db.kept.insert_one({"_id": {"at": NOW - 100 * DAY, "id": 1, "hash": 1, "n": 0}, "at": NOW - 100 * DAY})
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.outcome("archive_measurements").status == "done"  # one missing was copied, the stranger stays
    assert place.db.kept.count_documents({}) == place.db.m.count_documents({"at": {"$lt": NOW - 90 * DAY}}) + 1


@pytest.mark.since(mongo="6.0")
def test_a_changed_copy_in_the_archive_stops_the_expiry(session: MongoSession, place: Place) -> None:
    fill(place)
    run(session, target(ARCHIVE), JOB, at=NOW, only=["create_archive", "archive_measurements"])
    place.db.kept.update_one({}, {"$set": {"value": -1}})
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.ends == ["conservation_violated", "none"]
    assert expiry(place) is None


@pytest.mark.since(mongo="6.0")
def test_measurements_that_cannot_be_told_apart_stop_the_archive(session: MongoSession, place: Place) -> None:
    if place.db.client.server_info()["versionArray"][:3] >= [6, 0, 27]:
        pytest.skip("numbers that differ in their last digit only are told apart there")
    fill(place)
    at = NOW - 100 * DAY
    place.db.m.insert_one({"_id": 1, "at": at, "value": 0.1 + 0.2})
    place.db.m.insert_one({"_id": 1, "at": at, "value": 0.3})
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert "cannot be told apart" in (done.outcome("archive_measurements").message or "")
    assert expiry(place) is None


@pytest.mark.since(mongo="6.0")
def test_an_expiry_that_would_delete_before_the_archive_is_suspended_until_it_is_there(
    session: MongoSession, place: Place
) -> None:
    fill(place, expire=WITH_GRACE)
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.well
    assert done.kinds == ["suspend_expiry", "create_archive", "archive_measurements", "set_expiry"]
    assert set(done.ends) == {"done"}
    assert done.finding("expiry_before_archive").severity is Severity.ERROR
    assert expiry(place) == WITH_GRACE
    assert [a.destructive for a in done.plan.actions] == [False, False, False, True]


@pytest.mark.since(mongo="6.0")
def test_expiry_is_not_set_when_something_is_missing_in_the_archive_at_that_moment(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place)
    real = apply._archive

    def archive(work: Any, progress: Any) -> None:
        real(work, progress)
        place.db.m.insert_one({"at": NOW - 119 * DAY, "meta": {"asset": "late"}, "value": 1})

    monkeypatch.setitem(apply._KINDS, "archive_measurements", archive)  # type: ignore[arg-type]
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.ends == ["done", "done", "state_changed"]
    assert "would be deleted before the archive has them" in (done.outcome("set_expiry").message or "")
    assert expiry(place) is None


@pytest.mark.since(mongo="6.0")
def test_an_approval_sets_the_longer_expiry_of_today(session: MongoSession, place: Place) -> None:
    fill(place)
    runs, longer = Runs(JOB, target(DELETE)), Runs(JOB, target(DELETE.replace("90 days", "100 days")))
    (action,) = runs.plan(session, NOW).actions
    (today,) = longer.plan(session, NOW).actions
    assert (today.intent, today.reach) == (action.intent, -100.0 * 86_400)
    assert action.reach == -NINETY
    (other,) = (a for a in run(session, target(ARCHIVE), JOB, at=NOW, apply=False).plan.actions if a.destructive)
    assert other.intent != action.intent
    narrowed = action.model_copy(update={"args": {**action.args, "seconds": today.args["seconds"]}})
    outcome = longer.apply(session, narrowed, longer.observe(session, NOW))
    assert outcome.status == "done"
    assert expiry(place) == 100 * 86_400
    applied = runs.plan(session, NOW).model_copy(update={"actions": (action,)})
    frames = longer.after(session, applied, [outcome])
    assert frames["tables"][0]["due_remaining"] == 0


@pytest.mark.since(mongo="6.0")
def test_a_past_date_archives_too_little_for_an_expiry(session: MongoSession, place: Place) -> None:
    fill(place)
    done = run(session, target(ARCHIVE), JOB, at=NOW - 20 * DAY)
    assert "would delete before the archive" in done.finding("expiry_before_archive").summary
    assert done.outcomes == []


@pytest.mark.since(mongo="6.0")
def test_what_has_expired_meanwhile_stays_in_the_archive(
    session: MongoSession, place: Place, small_ranges: None
) -> None:
    due = fill(place)
    run(session, target(ARCHIVE), JOB, at=NOW)
    place.db.m.delete_many({"meta": {"asset": "a1"}})  # as the server does: whole buckets
    place.db.m.insert_one({"at": NOW - 95 * DAY, "meta": {"asset": "a2"}, "value": 1})
    done = run(session, target(ARCHIVE), JOB, at=NOW)
    assert done.outcome("archive_measurements").status == "done"
    assert place.db.kept.count_documents({}) == due + 1


@pytest.mark.since(mongo="6.0")
def test_expiry_really_deletes_only_what_is_archived(session: MongoSession, place: Place) -> None:
    due = fill(place)
    run(session, target(ARCHIVE), JOB, at=NOW)
    place.client.admin.command("setParameter", 1, ttlMonitorEnabled=True)
    for _ in range(900):
        oldest = Pair(session, "m", "at", "kept").oldest()
        assert oldest is not None
        if oldest > NOW - 99 * DAY:
            break
        ddl.immediately(0.1)
    else:
        pytest.fail("nothing expired")
    left = {d["at"] for d in place.db.m.find()}
    assert all(at < NOW - 90 * DAY for at in {NOW - DAY / 2 * n - DAY / 4 for n in range(240)} - left)
    assert place.db.kept.count_documents({}) == due


def test_ranges_touch_cover_and_are_bounded(session: MongoSession, place: Place, small_ranges: None) -> None:
    fill(place, per_day=1)
    at = NOW - 100 * DAY
    place.db.m.insert_many([{"at": at, "meta": {}, "n": n} for n in range(50)])  # cannot be divided
    pair = Pair(session, "m", "at", "kept")
    work: Any = type("Work", (), {"checkpoint": lambda *_, **__: None, "sleep": lambda *_: None})()
    low = pair.oldest()
    assert low is not None
    found = list(measurements.ranges(work, pair, low, NOW))
    counts = [measurements._count(pair, first, last) for first, last in found]
    assert sum(counts) == place.db.m.count_documents({})
    assert sorted(counts)[-2] <= 10
    assert all(b[0] >= a[1] for a, b in itertools.pairwise(found))


def test_other_meanings_are_refused(session: MongoSession, place: Place) -> None:
    fill(place, days=2)
    other = target("m: {retain: {by: value, for: 90 days, then: delete, requires: nothing}}")
    assert "expires by nothing else" in run(session, other, JOB, at=NOW).finding("age_field").summary
    backup = target("m: {retain: {by: at, for: 90 days, then: delete, requires: {backup: 1 day}}}")
    assert "would not wait for a backup" in run(session, backup, JOB, at=NOW).finding("expiry_before_backup").summary
    long = target(DELETE.replace("90 days", "70 years"))
    assert "68 years" in run(session, long, JOB, at=NOW).finding("expiry_value").summary
    place.db.m.drop()
    place.db.m.insert_one({"at": NOW})
    assert run(session, target(DELETE), JOB, at=NOW).finding("kind").severity is Severity.ERROR


@pytest.mark.since(mongo="6.0")
def test_a_conflict_that_never_ends_is_said(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place)
    pair = Pair(session, "m", "at", "kept")
    monkeypatch.setattr(Pair, "copy", lambda *_, **__: None)
    with pytest.raises(ConservationError, match="compare the two"):
        measurements._range(pair, NOW - 120 * DAY, NOW)
