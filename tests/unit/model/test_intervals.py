"""Calendar arithmetic: examples of both directions of every kind of clock change, and properties."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upkeep.model.intervals import Duration, floor, following, shift

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # clocks changed at midnight: 00:00 did not exist
    "America/Havana",  # midnight twice
    "Australia/Lord_Howe",  # half an hour
    "Asia/Kathmandu",  # +05:45
    "Pacific/Apia",  # skipped 2011-12-30
    "Africa/Monrovia",  # odd seconds before 1972
]
EVERY = ["15 minutes", "1 hour", "6 hours", "12 hours", "5 hours", "1 day", "1 week", "10 days", "1 month", "1 quarter"]
EVERY += ["1 year", "5 months"]

moments = st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(ZONES).map(ZoneInfo)
everies = st.sampled_from(EVERY).map(Duration.parse)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "every", "zone", "start", "end"),
    [
        ("2024-02-29 12:00", "1 month", "UTC", "2024-02-01 00:00", "2024-03-01 00:00"),
        ("2024-02-29 12:00", "1 quarter", "UTC", "2024-01-01 00:00", "2024-04-01 00:00"),
        ("2024-12-31 23:59", "1 quarter", "UTC", "2024-10-01 00:00", "2025-01-01 00:00"),
        ("2024-12-31 23:59", "1 year", "UTC", "2024-01-01 00:00", "2025-01-01 00:00"),
        # ISO weeks begin on Monday; 2021-01-03 is a Sunday of week 53 of 2020
        ("2021-01-03 23:00", "1 week", "UTC", "2020-12-28 00:00", "2021-01-04 00:00"),
        ("2021-01-03 23:00", "1 week", "Europe/Berlin", "2021-01-03 23:00", "2021-01-10 23:00"),
        # clocks forward: a day of 23 hours, a month of 30 days and 23 hours
        ("2024-03-31 12:00", "1 day", "Europe/Berlin", "2024-03-30 23:00", "2024-03-31 22:00"),
        ("2024-03-31 12:00", "1 month", "Europe/Berlin", "2024-02-29 23:00", "2024-03-31 22:00"),
        ("2024-03-31 00:30", "6 hours", "Europe/Berlin", "2024-03-30 23:00", "2024-03-31 05:00"),
        ("2024-03-31 21:30", "6 hours", "Europe/Berlin", "2024-03-31 17:00", "2024-03-31 22:00"),
        ("2024-03-31 01:30", "1 hour", "Europe/Berlin", "2024-03-31 01:00", "2024-03-31 02:00"),
        # clocks back: 25 hours; each of the two hours 02:00 is one hour (pg_partman#334 had none for one of them)
        ("2024-10-27 12:00", "1 day", "Europe/Berlin", "2024-10-26 22:00", "2024-10-27 23:00"),
        ("2024-10-27 00:30", "1 hour", "Europe/Berlin", "2024-10-27 00:00", "2024-10-27 01:00"),
        ("2024-10-27 01:30", "1 hour", "Europe/Berlin", "2024-10-27 01:00", "2024-10-27 02:00"),
        ("2024-10-27 22:30", "6 hours", "Europe/Berlin", "2024-10-27 16:00", "2024-10-27 23:00"),
        # midnight that did not exist
        ("2018-11-04 12:00", "1 day", "America/Sao_Paulo", "2018-11-04 03:00", "2018-11-05 02:00"),
        # the day that Samoa skipped
        ("2011-12-30 09:00", "1 day", "Pacific/Apia", "2011-12-29 10:00", "2011-12-30 10:00"),
        ("2011-12-30 11:00", "1 day", "Pacific/Apia", "2011-12-30 10:00", "2011-12-31 10:00"),
        # does not divide a day
        ("1970-01-01 07:00", "5 hours", "Europe/Berlin", "1970-01-01 05:00", "1970-01-01 10:00"),
    ],
)
def test_periods(moment: str, every: str, zone: str, start: str, end: str) -> None:
    place = (utc(moment), Duration.parse(every), ZoneInfo(zone))
    assert (floor(*place), following(*place)) == (utc(start), utc(end))


@given(moments, everies, zones)
@settings(max_examples=600, deadline=None)
def test_periods_are_contiguous_and_hold_their_moment(moment: datetime, every: Duration, zone: ZoneInfo) -> None:
    start, end = floor(moment, every, zone), following(moment, every, zone)
    assert start <= moment < end
    assert floor(start, every, zone) == start
    assert following(start, every, zone) == end
    assert floor(end, every, zone) == end
    assert floor(end - timedelta(microseconds=1), every, zone) == start


@given(moments, everies, zones)
@settings(max_examples=200, deadline=None)
def test_periods_begin_at_midnight_or_a_whole_step_after_it(moment: datetime, every: Duration, zone: ZoneInfo) -> None:
    start = floor(moment, every, zone)
    if every.days or every.months:
        assert (start - timedelta(microseconds=1)).astimezone(zone).date() < start.astimezone(zone).date()
    elif 86400 % every.seconds == 0:
        midnight = floor(start, Duration(days=1), zone)
        assert (start - midnight) % timedelta(seconds=every.seconds) == timedelta(0)


@pytest.mark.parametrize(
    ("moment", "by", "zone", "times", "there"),
    [
        ("2024-01-31 12:00", "1 month", "UTC", 1, "2024-02-29 12:00"),
        ("2024-03-31 12:00", "1 month", "UTC", -1, "2024-02-29 12:00"),
        ("2024-02-29 12:00", "1 year", "UTC", 1, "2025-02-28 12:00"),
        ("2024-01-15 00:00", "1 month", "UTC", -13, "2022-12-15 00:00"),
        # 02:30 does not exist on 31 March in Berlin: read by the offset before the change, 03:30 summer time
        ("2024-03-30 01:30", "1 day", "Europe/Berlin", 1, "2024-03-31 01:30"),
        # noon stays noon
        ("2024-03-30 11:00", "1 day", "Europe/Berlin", 1, "2024-03-31 10:00"),
        ("2024-10-26 10:00", "1 day", "Europe/Berlin", 1, "2024-10-27 11:00"),
        ("2024-10-26 10:00", "24 hours", "Europe/Berlin", 1, "2024-10-27 10:00"),
        # from the second 02:30 to the next day's only one
        ("2024-10-27 01:30", "1 day", "Europe/Berlin", 1, "2024-10-28 01:30"),
    ],
)
def test_shift(moment: str, by: str, zone: str, times: int, there: str) -> None:
    assert shift(utc(moment), Duration.parse(by), ZoneInfo(zone), times) == utc(there)


@given(moments, everies, zones, st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_shift_back_is_earlier_and_forth_is_later(moment: datetime, by: Duration, zone: ZoneInfo, times: int) -> None:
    slack = timedelta(hours=24)  # a clock change, and the day that Samoa skipped
    assert shift(moment, by, zone, times) >= moment - slack + times * by.approximate * 0.8
    assert shift(moment, by, zone, -times) <= moment + slack - times * by.approximate * 0.8


@pytest.mark.parametrize("text", ["", "soon", "1", "month", "1 fortnight", "0 days", "-1 day", "1 day x"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)


@pytest.mark.parametrize(
    "text", ["1 second", "26 hours", "30 days", "1 month", "1 month 2 days 3 seconds", "14 days", "90000 seconds"]
)
def test_duration_reads_what_it_prints(text: str) -> None:
    duration = Duration.parse(text)
    assert Duration.parse(str(duration)) == duration


def test_mixed_lengths_have_no_grid() -> None:
    with pytest.raises(ValueError, match="mixes"):
        floor(utc("2024-01-01"), Duration.parse("1 month 1 day"), ZoneInfo("UTC"))
