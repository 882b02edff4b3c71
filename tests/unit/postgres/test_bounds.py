"""Bounds as the catalog prints them, and as we write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upkeep.jobs.partition_creation.axis import implausible
from upkeep.postgres.bounds import HIGHEST, LOWEST, Axis, UnknownBoundsError, read, texts

KATHMANDU = ZoneInfo("Asia/Kathmandu")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        (
            "FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00')",
            ("2024-01-01 00:00:00+00", "2024-02-01 00:00:00+00"),
        ),
        ("FOR VALUES FROM (MINVALUE) TO (10)", ("MINVALUE", "10")),
        ("FOR VALUES FROM ('-5') TO (MAXVALUE)", ("-5", "MAXVALUE")),
        ("FOR VALUES FROM ('it''s') TO ('z')", ("it's", "z")),
    ],
)
def test_texts(bounds: str, expected: tuple[str, str]) -> None:
    assert texts(bounds) == expected


@pytest.mark.parametrize(
    "bounds",
    [
        "DEFAULT",
        "FOR VALUES IN ('a', 'b')",
        "FOR VALUES WITH (modulus 4, remainder 0)",
        "FOR VALUES FROM (1, 2) TO (3, 4)",
        "FOR VALUES FROM ('a', MINVALUE) TO ('b', MINVALUE)",
    ],
)
def test_other_bounds_are_not_guessed(bounds: str) -> None:
    with pytest.raises(UnknownBoundsError):
        texts(bounds)


@pytest.mark.parametrize(
    ("type_", "unit", "text", "expected"),
    [
        ("timestamptz", None, "0044-03-15 00:00:00+00 BC", LOWEST),
        ("timestamptz", None, "-infinity", LOWEST),
        ("timestamptz", None, "infinity", HIGHEST),
        ("timestamptz", None, "12024-01-01 00:00:00+00", HIGHEST),
        ("date", None, "1970-01-02", 86_400_000_000),
        ("int8", "seconds", "-60", -60_000_000),
        ("int8", "milliseconds", "1500", 1_500_000),
        ("int8", "id", "1500", 1500),
        ("int8", "seconds", "9223372036854775807", 9223372036854775807 * 1_000_000),
    ],
)
def test_values(type_: str, unit: str | None, text: str, expected: int) -> None:
    assert Axis(type_, ZoneInfo("UTC"), unit).read(text) == expected


def test_what_is_no_value_is_said() -> None:
    with pytest.raises(UnknownBoundsError):
        read("FOR VALUES FROM ('a') TO ('b')", Axis("timestamptz", ZoneInfo("UTC")))


@pytest.mark.parametrize(
    ("axis", "written"),
    [
        (Axis("timestamptz", KATHMANDU), "2024-03-01 05:45:00+05:45"),
        (Axis("timestamp", KATHMANDU), "2024-03-01 05:45:00"),
        (Axis("date", KATHMANDU), "2024-03-01"),
        (Axis("int8", KATHMANDU, "seconds"), "1709251200"),
        (Axis("int8", KATHMANDU, "milliseconds"), "1709251200000"),
        (Axis("int8", KATHMANDU, "microseconds"), "1709251200000000"),
    ],
)
def test_written_with_offset_or_on_the_wall_clock(axis: Axis, written: str) -> None:
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    assert axis.write(axis.of(moment)) == written
    if axis.type != "date":
        assert axis.instant(axis.of(moment)) == moment


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["timestamptz", "timestamp", "int8"]),
)
def test_reads_what_it_writes(moment: datetime, type_: str) -> None:
    axis = Axis(type_, ZoneInfo("Europe/Berlin"), "microseconds" if type_ == "int8" else None)
    value = axis.of(moment)
    assert axis.read(axis.write(value)) == value


SECONDS, MILLIS, MICROS = 1_704_067_200, 1_704_067_200_000, 1_704_067_200_000_000  # 2024-01-01
MONTH = 2_678_400


@pytest.mark.parametrize(
    ("numbers", "unit", "fits"),
    [
        # the unit is right
        ([SECONDS, SECONDS + MONTH], "seconds", None),
        ([MILLIS], "milliseconds", None),
        ([MICROS], "microseconds", None),
        ([float(SECONDS)], "seconds", None),
        # a greater one was declared than is there: all in January 1970
        ([SECONDS, SECONDS + MONTH], "milliseconds", "seconds"),
        ([SECONDS], "microseconds", "seconds"),
        ([MILLIS, MILLIS + 1], "microseconds", "milliseconds"),
        ([1.5 * SECONDS], "milliseconds", "seconds"),
        # a smaller one: all beyond the year 2200
        ([MILLIS, MILLIS + 1], "seconds", "milliseconds"),
        ([MICROS], "seconds", "microseconds"),
        ([MICROS], "milliseconds", "microseconds"),
        ([MICROS * 1000], "microseconds", "nanoseconds"),
        # one likely time is enough: partitions from 1970, bounds "for ever", rows without a time
        ([0, SECONDS], "seconds", None),
        ([1, SECONDS], "seconds", None),
        ([SECONDS, 2**63 - 1], "seconds", None),
        ([-(2**63), SECONDS], "seconds", None),
        # … and they do not make the others likely
        ([0, SECONDS], "milliseconds", "seconds"),
        ([0, SECONDS, 2**63 - 1], "milliseconds", "seconds"),
        ([1, MILLIS], "seconds", "milliseconds"),
        # before 1970
        ([-SECONDS], "seconds", None),
        ([-SECONDS], "milliseconds", "seconds"),
        # nothing is known
        ([], "milliseconds", None),
        ([0], "milliseconds", None),
        ([float("inf"), float("nan")], "seconds", None),
        # no times at all
        ([1, 2, 3], "seconds", "no times since 1970 in any unit"),
        ([2**63 - 1], "seconds", "no times since 1970 in any unit"),
    ],
)
def test_numbers_that_are_no_times(numbers: list[float], unit: str, fits: str | None) -> None:
    found = implausible(numbers, unit)
    assert found is None if fits is None else found is not None and found.endswith(fits), found


def test_only_numbers_that_count_time_are_asked() -> None:
    early = [Axis("int8", KATHMANDU, "milliseconds").read(str(SECONDS)), LOWEST, HIGHEST]
    assert Axis("int8", KATHMANDU, "milliseconds").implausible(early)
    assert Axis("int8", KATHMANDU, "milliseconds").implausible([LOWEST, HIGHEST]) is None
    assert Axis("int8", KATHMANDU, "id").implausible([5]) is None
    assert Axis("timestamptz", KATHMANDU).implausible([5]) is None


def test_where_a_type_ends() -> None:
    axis = Axis("int4", KATHMANDU, "seconds", 2**31 - 1)
    assert axis.write(axis.read("2147483647")) == "2147483647"
    assert axis.end is not None
    assert axis.write(axis.end) == "MAXVALUE"
    assert Axis("int4", KATHMANDU, "seconds").end is None
