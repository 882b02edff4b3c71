"""What documents hold where their age should be: no date, a list, a number, dates that are no times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import DatetimeMS, Decimal128, Int64, ObjectId, Timestamp

from local.servers import MongoServer
from tests.harness.jobs import Run
from tests.harness.mongo import AT, Place, fresh_place, run, target
from upkeep.model import Severity
from upkeep.mongo.data_retention import age_facts
from upkeep.mongo.session import MongoSession

JOB = "data_retention"
OLD, NEW = AT - timedelta(days=40), AT - timedelta(days=1)
DELETE = "events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}"
ALL = "limits: {share: 100 %}"


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


def keep(place: Place, *values: Any, index: dict[str, Any] | None = None) -> None:
    place.db.events.insert_many([{"at": value} for value in values])
    if index is not None:
        place.db.events.create_index("at", **index)


@pytest.mark.parametrize("index", [None, {}, {"sparse": True}])
def test_what_has_no_date_is_counted_by_what_it_has(
    session: MongoSession, place: Place, index: dict[str, Any] | None
) -> None:
    keep(place, OLD, NEW, None, "2024-01-01T00:00:00Z", 5, Int64(6), 1.5, True, ObjectId(), Timestamp(1, 1), {"x": 1})
    place.db.events.insert_many([{"n": n} for n in range(9)])
    if index is not None:
        place.db.events.create_index("at", **index)
    done = run(session, target(DELETE), JOB)
    finding = done.finding("undated")
    assert finding.severity is Severity.WARNING
    assert "18 documents (90.0%)" in finding.summary
    assert (
        finding.evidence["kinds"] | {"string": 1, "null": 1, "missing": 9, "timestamp": 1} == finding.evidence["kinds"]
    )
    assert "look like dates" in (finding.remedy or "")
    assert done.outcome("delete_rows").rows == 1
    assert "age_lists" not in done.checks


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [
        ([1_600_000_000, 1_700_000_000], "seconds"),
        ([1_600_000_000_000.0, Int64(1_700_000_000_000)], "milliseconds"),
        ([Decimal128("1600000000000000"), float("nan")], "microseconds"),
    ],
)
def test_numbers_where_dates_should_be_are_named_with_their_unit(
    session: MongoSession, place: Place, numbers: list[Any], unit: str
) -> None:
    keep(place, OLD, *numbers, index={})
    assert f"fit {unit} since 1970" in (run(session, target(DELETE), JOB).finding("undated").remedy or "")


@pytest.mark.parametrize("index", [None, {}])
@pytest.mark.parametrize("lists", [[[OLD]], [[OLD, NEW], []], [[NEW], [[OLD]], ["x"]]])
def test_lists_of_dates_are_mentioned(
    session: MongoSession, place: Place, lists: list[Any], index: dict[str, Any] | None
) -> None:
    keep(place, OLD, NEW, *lists, index=index)
    done = run(session, target(DELETE), JOB)
    finding = done.finding("age_lists")
    assert (finding.severity, finding.evidence["documents"]) == (Severity.WARNING, len(lists))
    assert "never due" in finding.summary
    assert "$max" in (finding.remedy or "")
    assert done.outcome("delete_rows").rows == 1
    assert place.db.events.count_documents({}) == 1 + len(lists)
    assert "undated" not in done.checks


def test_lists_on_the_way_to_the_age_are_mentioned(session: MongoSession, place: Place) -> None:
    place.db.events.insert_many([{"m": [{"at": OLD}]}, {"m": {"at": OLD}}, {"m": {"at": NEW}}])
    place.db.events.create_index("m.at")
    done = run(session, target(DELETE.replace("by: at", "by: m.at")), JOB)
    assert done.finding("age_lists").evidence["documents"] == 1


def test_nothing_but_lists_is_mentioned_too(session: MongoSession, place: Place) -> None:
    keep(place, [OLD], [OLD, OLD], index={})
    done = run(session, target(DELETE), JOB)
    assert done.finding("age_lists").evidence["documents"] == 2


def test_an_index_that_never_met_a_list_is_believed(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(place, OLD, NEW, index={})
    place.db.events.create_index([("at", 1), ("tags", 1)], name="other")
    place.db.events.insert_one({"at": NEW, "tags": ["x", "y"]})
    monkeypatch.setattr(age_facts, "LISTS_MS", 0)  # would be refused, if it were asked
    assert run(session, target(DELETE), JOB).checks == []


def test_so_many_lists_are_counted_and_no_more(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(place, OLD, *([[OLD]] * 50), index={})
    monkeypatch.setattr(age_facts, "MOST_LISTS", 10)
    finding = run(session, target(DELETE), JOB, apply=False).finding("age_lists")
    assert finding.summary.startswith("10 or more documents")


def test_lists_that_cannot_be_counted_are_some(
    session: MongoSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(place, OLD, *([[OLD]] * 50), index={})
    load = age_facts.pipelines.load
    # an array of two million numbers for each document: longer than the look may take
    slow = {"$expr": {"$gt": [{"$size": {"$range": [{"$strLenCP": {"$toString": "$_id"}}, 2_000_000]}}, 0]}}
    monkeypatch.setattr(age_facts, "LISTS_MS", 20)

    def slowly(name: str, **places: Any) -> Any:
        return slow if name == "lists" else load(name, **places)

    monkeypatch.setattr(age_facts.pipelines, "load", slowly)
    finding = run(session, target(DELETE), JOB, apply=False).finding("age_lists")
    assert finding.summary.startswith("some documents")


def since(number: float, factor: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number * factor)


NOW_SECONDS = datetime.now(UTC).timestamp()


@pytest.mark.parametrize("index", [None, {}])
def test_dates_made_of_seconds_are_no_times(session: MongoSession, place: Place, index: dict[str, Any] | None) -> None:
    """A writer that forgot to multiply: the rows of today lie in January 1970, and all would be due."""
    keep(place, *(since(NOW_SECONDS - 86_400 * n, 1) for n in range(20)), index=index)
    done = run(session, target(DELETE, ALL), JOB)
    finding = done.finding("ages_are_times")
    assert finding.severity is Severity.ERROR
    assert "the values fit seconds" in finding.summary
    assert done.outcomes == []
    assert place.db.events.count_documents({}) == 20


def test_dates_made_of_microseconds_are_no_times(session: MongoSession, place: Place) -> None:
    keep(place, DatetimeMS(1_700_000_000_000_000), datetime(9000, 1, 1, tzinfo=UTC), index={})
    finding = run(session, target(DELETE, ALL), JOB).finding("ages_are_times")
    assert "beyond the year 2200" in finding.summary
    assert "microseconds" in finding.summary


def test_some_dates_made_of_seconds_among_others_are_said(session: MongoSession, place: Place) -> None:
    keep(place, OLD, NEW, *(since(NOW_SECONDS - n, 1) for n in range(7)), index={})
    finding = run(session, target(DELETE), JOB, apply=False).finding("early_dates")
    assert (finding.severity, finding.evidence) == (Severity.WARNING, {"documents": 7})


def sentinel(place: Place) -> None:
    keep(place, datetime(1970, 1, 1, tzinfo=UTC), since(5, 1), OLD, NEW, index={})


def before_1970(place: Place) -> None:
    keep(place, datetime(1912, 6, 23, tzinfo=UTC), OLD, NEW, index={})


@pytest.mark.parametrize(("make", "rows"), [(sentinel, 3), (before_1970, 2)])
def test_a_few_odd_dates_spoil_nothing(
    session: MongoSession, place: Place, make: Callable[[Place], None], rows: int
) -> None:
    make(place)
    done = run(session, target(DELETE, ALL), JOB)
    assert done.outcome("delete_rows").rows == rows


def test_measurements_made_of_seconds_do_not_expire(session: MongoSession, place: Place) -> None:
    place.db.create_collection("m", timeseries={"timeField": "at"})
    place.db.m.insert_many([{"at": since(NOW_SECONDS - 60 * n, 1)} for n in range(5)])
    done: Run = run(session, target("m: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}"), JOB)
    assert "fit seconds" in done.finding("ages_are_times").summary
    assert done.outcomes == []
    assert "expireAfterSeconds" not in place.options("m")
