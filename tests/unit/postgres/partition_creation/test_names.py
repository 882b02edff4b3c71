"""Names of new partitions: readable, never longer than PostgreSQL keeps, never the same twice."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upkeep.jobs.partition_creation.layout import Span
from upkeep.model.intervals import Duration
from upkeep.postgres.bounds import Axis
from upkeep.postgres.partition_creation.statements import child_names

UTC = Axis("timestamptz", ZoneInfo("UTC"))
BERLIN = Axis("timestamptz", ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("every", "lower", "axis", "name"),
    [
        ("1 year", "2024-01-01", UTC, "logs_2024"),
        ("1 quarter", "2024-04-01", UTC, "logs_2024_04"),
        ("1 month", "2024-01-01", UTC, "logs_2024_01"),
        ("1 month", "2024-03-31 22:00", BERLIN, "logs_2024_04"),
        ("1 week", "2024-01-01", UTC, "logs_2024_01_01"),
        ("1 day", "2024-02-29", UTC, "logs_2024_02_29"),
        ("6 hours", "2024-02-29 06:00", UTC, "logs_2024_02_29_06"),
        ("15 minutes", "2024-02-29 06:15", UTC, "logs_2024_02_29_06_15"),
        ("1 month", "2024-02-10 07:00", UTC, "logs_2024_02_10_07"),  # an irregular bound is named as it is
    ],
)
def test_names(every: str, lower: str, axis: Axis, name: str) -> None:
    start = axis.read(lower)
    assert child_names("logs", Span(start, start + 1), axis, Duration.parse(every))[0] == name


def test_the_hour_that_comes_twice_has_two_names() -> None:
    first, second = BERLIN.read("2024-10-27 00:00"), BERLIN.read("2024-10-27 01:00")
    hour = Duration(seconds=3600)
    one = child_names("logs", Span(first, second), BERLIN, hour)
    two = child_names("logs", Span(second, second + 1), BERLIN, hour)
    assert one[0] == two[0] == "logs_2024_10_27_02"
    assert set(one[1:]).isdisjoint(two[1:])


def test_ids_are_named_by_their_lower_bound() -> None:
    axis = Axis("int8", ZoneInfo("UTC"), "id")
    assert child_names("logs", Span(-1000, 0), axis, 1000)[0] == "logs_pm1000"
    assert child_names("logs", Span(1000, 2000), axis, 1000)[0] == "logs_p1000"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=63))
def test_never_too_long_never_the_same(parent: str) -> None:
    start = UTC.read("2024-02-29 06:15")
    found = child_names(parent, Span(start, start + 1), UTC, Duration(seconds=900))
    assert len(set(found)) == len(found)
    assert all(len(name.encode()) <= 63 for name in found)


def test_long_parents_that_begin_alike_stay_apart() -> None:
    start = UTC.read("2024-02-01")
    span, month = Span(start, start + 1), Duration(months=1)
    one = child_names("x" * 62 + "a", span, UTC, month)
    two = child_names("x" * 62 + "b", span, UTC, month)
    assert one[0] != two[0]
