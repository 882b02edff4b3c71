"""Today's policy wins on MongoDB too: a plan that waited is held against today's fleet file and collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.servers import MongoServer
from tests.harness.command_line import Upkeep, closed_window, code
from tests.harness.mongo import Place, fresh_place
from upkeep.mongo import session

DELETE, ARCHIVE = "then: delete", "then: archive, into: kept"
FLEET = """\
version: 1
targets:
  shop:
    engine: mongo
    connection: shop_db
    mode: enforce
    collections:
      events: {retain: {by: at, for: 30 days, then: delete}}
      other: {retain: {by: at, for: 30 days, then: delete}}
"""
SERIES = FLEET.replace("events: {retain: {by: at, ", "m: {timeseries: {time: at, meta: meta}, retain: {")
NOW = datetime.now(UTC)
OLD, NEW = NOW - timedelta(days=40), NOW - timedelta(days=1)
DAY = 86_400


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        fill(made, "other", old=0)
        yield made


@pytest.fixture
def upkeep(place: Place, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", place.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    return Upkeep(tmp_path / "fleet.yaml", FLEET)


def fill(place: Place, name: str = "events", old: int = 50, age: datetime = OLD) -> None:
    documents = [{"_id": n, "at": age + timedelta(seconds=n), "seen": OLD} for n in range(old)]
    place.db[name].insert_many([*documents, *({"_id": 1000 + n, "at": NEW, "seen": OLD} for n in range(20))])
    place.db[name].create_index("at", name="by_age")


def fill_series(place: Place) -> None:
    place.db.create_collection("m", timeseries={"timeField": "at", "metaField": "meta", "granularity": "seconds"})
    place.db.m.insert_many([{"at": NOW - timedelta(days=n), "meta": n % 3, "n": n} for n in range(60)])


def expires(place: Place) -> Any:
    return place.options("m").get("expireAfterSeconds")


def count(place: Place, name: str = "events") -> int:
    return int(place.db[name].count_documents({}))


def nothing(place: Place) -> None:
    """Leave it as it is."""


def lives_on(place: Place) -> None:
    place.db.events.insert_many([{"at": OLD} for _ in range(100)] + [{"at": NEW} for _ in range(100)])
    place.db.events.create_index("seen")


@pytest.mark.parametrize("then", [DELETE, ARCHIVE])
@pytest.mark.parametrize(("change", "rows"), [(nothing, 50), (lives_on, 150)])
def test_an_unchanged_plan_goes_through_and_counts_once(
    place: Place, upkeep: Upkeep, then: str, change: Callable[[Place], None], rows: int
) -> None:
    fill(place)
    upkeep.text = FLEET.replace(DELETE, then, 1)
    plan_id = upkeep.plan()
    change(place)
    there = count(place)
    done = upkeep.approve(plan_id)
    assert (done["status"], code(done), done["exit"]) == ("ok", "done", 0)
    assert count(place) == there - rows
    assert count(place, "kept") == (rows if then == ARCHIVE else 0)
    assert upkeep("run", "data_retention", "--approve", plan_id).exit_code == 1


NOES = [
    pytest.param(("mode: enforce", "mode: observe"), "observe_only", id="observe"),
    pytest.param(("mode: enforce", closed_window()), "outside_window", id="window"),
    pytest.param(("30 days", "5 years"), "state_changed", id="longer"),
    pytest.param(("      events:", "      elsewhere:"), "state_changed", id="no policy"),
    pytest.param(("by: at", "by: seen"), "state_changed", id="another age"),
    pytest.param((DELETE, ARCHIVE), "state_changed", id="archive instead"),
    pytest.param((DELETE, f"{DELETE}, requires: {{backup: 1 day}}"), "needs_backup", id="backup"),
]


@pytest.mark.parametrize(("change", "reason"), NOES)
def test_a_no_of_todays_fleet_file_keeps_every_document(
    place: Place, upkeep: Upkeep, change: tuple[str, str], reason: str
) -> None:
    fill(place)
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace(*change, 1)
    assert code(upkeep.approve(plan_id)) == reason
    assert (count(place), count(place, "kept")) == (70, 0)


@pytest.mark.parametrize("into", ["into: stored", "into: kept"])
def test_another_archive_or_one_made_anew_takes_nothing(place: Place, upkeep: Upkeep, into: str) -> None:
    fill(place)
    place.db.kept.insert_one({"_id": "of last month"})
    upkeep.text = FLEET.replace(DELETE, ARCHIVE, 1)
    plan_id = upkeep.plan()
    upkeep.text = upkeep.text.replace("into: kept", into)
    if into == "into: kept":
        place.db.kept.drop()
        place.db.create_collection("kept")
    assert code(upkeep.approve(plan_id)) == "state_changed"
    assert count(place) == 70
    assert count(place, "kept") <= 1


def made_anew(place: Place) -> None:
    place.db.events.drop()
    fill(place)


def now_a_view(place: Place) -> None:
    place.db.events.rename("stored")
    place.db.command("create", "events", viewOn="stored", pipeline=[])


def now_a_series(place: Place) -> None:
    documents = list(place.db.events.find({}, {"_id": 0}))
    place.db.events.drop()
    place.db.create_collection("events", timeseries={"timeField": "at"})
    place.db.events.insert_many(documents)


def without_its_index(place: Place) -> None:
    place.db.events.drop_index("by_age")


def now_partial(place: Place) -> None:
    place.db.events.drop_index("by_age")
    place.db.events.create_index("at", name="by_age", partialFilterExpression={"seen": {"$exists": True}})


def expiring_by_itself(place: Place) -> None:
    place.db.events.create_index("seen", expireAfterSeconds=10**9)


def made_of_seconds(place: Place) -> None:
    place.db.events.update_many({}, [{"$set": {"at": {"$toDate": {"$divide": [{"$toLong": "$at"}, 1000]}}}}])


@pytest.mark.parametrize(
    "change",
    [made_anew, now_a_view, now_a_series, without_its_index, now_partial, expiring_by_itself, made_of_seconds],
)
def test_a_collection_that_is_another_by_now_keeps_every_document(
    place: Place, upkeep: Upkeep, change: Callable[[Place], None]
) -> None:
    fill(place)
    plan_id = upkeep.plan()
    change(place)
    assert code(upkeep.approve(plan_id)) in ("state_changed", "gate_failed", "not_supported")
    assert count(place) == 70


def test_a_longer_age_takes_only_what_both_take_and_a_shorter_one_no_more(place: Place, upkeep: Upkeep) -> None:
    fill(place)
    place.db.events.insert_many([{"at": NOW - timedelta(days=35)} for _ in range(10)])
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace("30 days", "38 days")
    assert code(upkeep.approve(plan_id)) == "done"
    assert count(place) == 30
    upkeep.text = FLEET
    plan_id = upkeep.plan()
    upkeep.text = FLEET.replace("30 days", "1 hour")
    assert code(upkeep.approve(plan_id)) == "done"
    assert count(place) == 20


@pytest.mark.parametrize(("more", "goes"), [(1_000, True), (1_500, False)])
@pytest.mark.parametrize("then", [DELETE, ARCHIVE])
def test_documents_that_arrive_later_are_counted(
    place: Place, upkeep: Upkeep, then: str, more: int, goes: bool
) -> None:
    fill(place)
    upkeep.text = FLEET.replace(DELETE, then, 1)
    plan_id = upkeep.plan()
    place.db.events.insert_many([{"at": OLD + timedelta(hours=1)} for _ in range(more)])
    done = upkeep.approve(plan_id)
    gone = 70 + more - count(place)
    assert (gone == 50 + more) is goes
    assert gone <= 50 + 1_000
    assert code(done) == ("done" if goes else "over_limit")


def test_an_untested_version_is_only_observed(place: Place, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place)
    upkeep.text = FLEET.replace(DELETE, f"{DELETE}, requires: nothing")
    monkeypatch.setattr(session, "TESTED_VERSIONS", ("4.4",))
    assert code(upkeep.run()) == "observe_only"
    assert count(place) == 70
    upkeep.text = upkeep.text.replace("mode: enforce", "allow_untested: true")
    assert code(upkeep.run()) == "done"
    assert count(place) == 20


# -- an expiry that the server carries out -----------------------------------------------------------


@pytest.mark.since(mongo="6.0")
@pytest.mark.parametrize("then", [DELETE, ARCHIVE])
def test_an_unchanged_expiry_goes_through(place: Place, upkeep: Upkeep, then: str) -> None:
    fill_series(place)
    upkeep.text = SERIES.replace(DELETE, then, 1)
    plan_id = upkeep.plan()
    place.db.m.insert_one({"at": NOW, "meta": 1})
    done = upkeep.approve(plan_id)
    assert (done["status"], code(done)) == ("ok", "done")
    assert expires(place) == (30 if then == DELETE else 37) * DAY


@pytest.mark.since(mongo="6.0")
@pytest.mark.parametrize(
    ("change", "reason", "seconds"),
    [
        pytest.param(("mode: enforce", "mode: observe"), "observe_only", None, id="observe"),
        pytest.param((DELETE, f"{ARCHIVE}"), "state_changed", None, id="archive instead"),
        pytest.param(("      m:", "      n:"), "state_changed", None, id="no policy"),
        pytest.param(("for: 30 days", "for: 2 years"), "done", 2 * 366 * DAY, id="longer"),
        pytest.param(("for: 30 days", "for: 10 days"), "done", 30 * DAY, id="shorter"),
    ],
)
def test_an_expiry_is_never_shorter_than_todays_policy(
    place: Place, upkeep: Upkeep, change: tuple[str, str], reason: str, seconds: int | None
) -> None:
    fill_series(place)
    upkeep.text = SERIES
    plan_id = upkeep.plan()
    upkeep.text = SERIES.replace(*change, 1)
    done = upkeep.approve(plan_id)
    assert (code(done), expires(place)) == (reason, seconds)


def test_measurements_that_came_later_are_counted_before_they_expire(place: Place, upkeep: Upkeep) -> None:
    fill_series(place)
    upkeep.text = SERIES
    plan_id = upkeep.plan()
    place.db.m.insert_many([{"at": OLD, "meta": n} for n in range(1_500)])
    assert (code(upkeep.approve(plan_id)), expires(place)) == ("over_limit", None)


@pytest.mark.parametrize(("late", "reason"), [(0, "done"), (1_500, "over_limit")])
def test_measurements_that_came_of_age_meanwhile_are_no_surprise(
    place: Place, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch, late: int, reason: str
) -> None:
    fill_series(place)
    place.db.m.insert_many([{"at": NOW - timedelta(days=25), "meta": n} for n in range(1_500)])
    upkeep.text = SERIES
    plan_id = upkeep.plan()
    if late:
        place.db.m.insert_many([{"at": OLD, "meta": n} for n in range(late)])
    monkeypatch.setattr(session.MongoSession, "now", lambda _: NOW + timedelta(days=9))
    assert (code(upkeep.approve(plan_id)), expires(place)) == (reason, 30 * DAY if reason == "done" else None)


def left_behind(target: Any) -> list[str]:
    return [f["summary"] for f in target["findings"] if f["check"] == "expiry_left"]


def test_an_expiry_whose_policy_is_gone_is_said(place: Place, upkeep: Upkeep) -> None:
    fill_series(place)
    upkeep.text = SERIES.replace(DELETE, f"{DELETE}, requires: nothing", 1)
    assert left_behind(upkeep.run()) == []
    upkeep.text = SERIES.replace("      m:", "      n:")
    (said,) = left_behind(upkeep.run())
    assert "set by Upkeep on" in said
    assert "goes on deleting" in said
    upkeep.text = SERIES
    assert left_behind(upkeep.run()) == []
    upkeep.text = SERIES.replace("      m:", "      n:")
    place.db.command("collMod", "m", expireAfterSeconds="off")  # somebody took it away: nothing is left of ours
    assert left_behind(upkeep.run()) == []


@pytest.mark.since(mongo="6.0")
def test_a_suspended_expiry_whose_policy_is_gone_is_said(place: Place, upkeep: Upkeep) -> None:
    fill_series(place)
    place.db.command("collMod", "m", expireAfterSeconds=37 * DAY)
    upkeep.text = SERIES.replace(DELETE, ARCHIVE, 1)
    waiting = upkeep.run()
    assert expires(place) is None, waiting
    upkeep.text = SERIES.replace("      m:", "      n:")
    (said,) = left_behind(upkeep.run())
    assert "suspended its expiry" in said
