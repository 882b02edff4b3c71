"""What is missing of the desired set: tables of examples."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upkeep.jobs.partition_creation.layout import Layout, Span, Wish, layout, reach
from upkeep.model.intervals import Duration
from upkeep.postgres.bounds import HIGHEST, LOWEST, Axis

UTC_AXIS = Axis("timestamptz", ZoneInfo("UTC"))
BERLIN = Axis("timestamptz", ZoneInfo("Europe/Berlin"))
BERLIN_WALL = Axis("timestamp", ZoneInfo("Europe/Berlin"))


def on(axis: Axis, text: str) -> int:
    if text in ("-", "+"):
        return LOWEST if text == "-" else HIGHEST
    return axis.read(text)


def spans(axis: Axis, text: str) -> list[Span]:
    return [Span(*(on(axis, end.strip()) for end in one.split(".."))) for one in text.split(";") if one.strip()]


def plan(axis: Axis, existing: str, at: str, every: str, ahead: int, **wish: str | int) -> Layout:
    known = {k: on(axis, v) if isinstance(v, str) else v for k, v in wish.items()}
    return layout(spans(axis, existing), Wish(every=Duration.parse(every), ahead=ahead, at=on(axis, at), **known), axis)


@pytest.mark.parametrize(
    ("every", "at", "expected"),
    [
        ("1 hour", "2024-02-29 23:30", "2024-02-29 23:00..2024-03-01; 2024-03-01..2024-03-01 01:00"),
        ("1 day", "2024-02-29 23:30", "2024-02-29..2024-03-01; 2024-03-01..2024-03-02"),
        ("1 week", "2024-02-29 23:30", "2024-02-26..2024-03-04; 2024-03-04..2024-03-11"),
        ("1 month", "2024-02-29 23:30", "2024-02-01..2024-03-01; 2024-03-01..2024-04-01"),
        ("1 quarter", "2024-02-29 23:30", "2024-01-01..2024-04-01; 2024-04-01..2024-07-01"),
        ("1 year", "2024-02-29 23:30", "2024-01-01..2025-01-01; 2025-01-01..2026-01-01"),
        ("36 hours", "2024-02-29 23:30", "2024-02-29..2024-03-01 12:00; 2024-03-01 12:00..2024-03-03"),
    ],
)
def test_first_partitions(every: str, at: str, expected: str) -> None:
    assert list(plan(UTC_AXIS, "", at, every, 1).missing) == spans(UTC_AXIS, expected)


@pytest.mark.parametrize(
    ("existing", "wish", "expected", "ahead_missing", "gaps"),
    [
        # all there
        ("2024-01-01..2024-02-01; 2024-02-01..2024-03-01; 2024-03-01..2024-04-01", {}, "", 0, 0),
        # headroom missing
        ("2024-01-01..2024-02-01; 2024-02-01..2024-03-01", {}, "2024-03-01..2024-04-01", 1, 0),
        # missed runs are caught up
        (
            "2023-11-01..2023-12-01",
            {},
            "2024-02-01..2024-03-01; 2024-03-01..2024-04-01; 2024-01-01..2024-02-01; 2023-12-01..2024-01-01",
            2,
            1,
        ),
        # a gap is filled, after what is urgent
        ("2023-12-01..2024-01-01; 2024-02-01..2024-04-01", {}, "2024-01-01..2024-02-01", 0, 1),
        # … unless `from` says otherwise
        ("2023-12-01..2024-01-01; 2024-02-01..2024-04-01", {"since": "2024-02-01"}, "", 0, 0),
        # … or today's retention would remove it (a backfill with a past `at`)
        ("2023-12-01..2024-01-01; 2024-02-01..2024-04-01", {"keep_after": "2024-02-01"}, "", 0, 0),
        (
            "2023-11-01..2023-12-01; 2024-02-01..2024-04-01",
            {"keep_after": "2024-01-15"},
            "2024-01-01..2024-02-01",
            0,
            1,
        ),
        # `from` before the first partition
        ("2024-02-01..2024-04-01", {"since": "2024-01-01"}, "2024-01-01..2024-02-01", 0, 1),
        # nothing older than the first partition otherwise
        ("2024-02-01..2024-04-01", {}, "", 0, 0),
        # a partition far in the future is neither a guide nor a gap to fill (pg_partman#213, #296)
        ("2024-02-01..2024-03-01; 3000-01-01..3000-02-01", {}, "2024-03-01..2024-04-01", 1, 0),
        ("3000-01-01..3000-02-01", {}, "2024-02-01..2024-03-01; 2024-03-01..2024-04-01", 2, 1),
        # open ends
        ("-..2024-02-01; 2024-02-01..2024-03-01", {}, "2024-03-01..2024-04-01", 1, 0),
        ("2024-02-01..+", {}, "", 0, 0),
        ("-..2023-01-01; 2024-02-01..2024-04-01", {"limit": 2}, "more", 0, 1),
        # an irregular bound is continued from its upper end
        ("2024-02-01..2024-03-10 07:00", {}, "2024-03-10 07:00..2024-04-01", 1, 0),
        # … without a sliver: joined with what follows, or lengthened by a period at the end
        ("2024-01-10..2024-02-28 23:00", {}, "2024-02-28 23:00..2024-04-01", 2, 1),
        ("2024-02-01..2024-03-31 22:00", {}, "2024-03-31 22:00..2024-05-01", 1, 0),
        ("2024-02-01..2024-03-31 22:00; 2024-04-02..2024-05-02", {}, "2024-03-31 22:00..2024-04-02", 1, 0),
        # a gap shorter than a period stays what it is
        ("2024-01-01..2024-02-01; 2024-02-01 01:00..2024-04-01", {}, "2024-02-01..2024-02-01 01:00", 1, 1),
    ],
)
def test_months(existing: str, wish: dict[str, str], expected: str, ahead_missing: int, gaps: int) -> None:
    found = plan(UTC_AXIS, existing, "2024-02-15", "1 month", 1, **wish)
    if expected == "more":
        assert found.more
    else:
        assert list(found.missing) == spans(UTC_AXIS, expected)
    assert (found.ahead_missing, found.gaps, found.overlaps) == (ahead_missing, gaps, 0)


def test_the_current_partition_on_both_sides_of_clock_changes() -> None:
    # pg_partman#334: for one hour there was no partition
    missing = plan(BERLIN, "", "2024-10-27 00:30+00", "1 hour", 3).missing
    assert [BERLIN.write(s.lower) for s in missing] == [
        "2024-10-27 02:00:00+02:00",
        "2024-10-27 02:00:00+01:00",
        "2024-10-27 03:00:00+01:00",
        "2024-10-27 04:00:00+01:00",
    ]
    missing = plan(BERLIN, "", "2024-03-30 23:30+00", "1 day", 1).missing
    assert [BERLIN.write(s.lower) for s in missing] == ["2024-03-31 00:00:00+01:00", "2024-04-01 00:00:00+02:00"]
    assert BERLIN.write(missing[-1].upper) == "2024-04-02 00:00:00+02:00"


def test_a_column_without_zone_follows_the_wall_clock() -> None:
    at = datetime(2024, 3, 31, 22, 30, tzinfo=UTC)  # 1 April 00:30 in Berlin
    found = layout([], Wish(every=Duration.parse("1 month"), ahead=0, at=BERLIN_WALL.of(at)), BERLIN_WALL)
    assert [(BERLIN_WALL.write(s.lower), BERLIN_WALL.write(s.upper)) for s in found.missing] == [
        ("2024-04-01 00:00:00", "2024-05-01 00:00:00")
    ]


def test_bounds_made_for_another_zone_are_continued() -> None:
    # months of UTC under a policy for Berlin: the next one starts where the last ended, an hour late
    found = plan(BERLIN, "2024-01-01 00:00+00..2024-02-01 00:00+00", "2024-01-15", "1 month", 1)
    assert list(found.missing) == spans(BERLIN, "2024-02-01 00:00+00..2024-02-29 23:00+00")


def test_plain_ids() -> None:
    axis = Axis("int8", ZoneInfo("UTC"), "id")
    found = layout([Span(0, 100), Span(100, 200)], Wish(every=100, ahead=2, at=150), axis)
    assert found.missing == (Span(200, 300), Span(300, 400))


@pytest.mark.parametrize(
    ("existing", "at", "ahead", "expected", "ahead_missing"),
    [
        ("2036-01-01..2037-01-01", "2036-05-01", 0, "", 0),
        # the last period is joined with the rest that the type has, or made of it alone
        ("2036-01-01..2037-01-01", "2036-05-01", 3, "2037-01-01..end", 2),
        ("2036-01-01..2037-01-01; 2037-01-01..2038-01-01", "2036-05-01", 3, "2038-01-01..end", 1),
        ("2036-01-01..2037-01-01; 2037-01-01..+", "2036-05-01", 3, "", 0),
        # the clock has passed it
        ("2037-01-01..2038-01-01", "2039-05-01", 3, "2038-01-01..end", 0),
        ("", "2038-01-10", 3, "2038-01-01..end", 1),
    ],
)
def test_partitions_end_where_the_type_does(
    existing: str, at: str, ahead: int, expected: str, ahead_missing: int
) -> None:
    axis = Axis("int4", ZoneInfo("UTC"), "seconds", 2**31 - 1)
    days = Axis("timestamptz", ZoneInfo("UTC"))
    assert axis.end is not None

    def there(text: str) -> list[Span]:
        return [Span(s.lower, axis.end or 0 if s.upper == HIGHEST else s.upper) for s in spans(days, text)]

    wish = Wish(every=Duration.parse("1 year"), ahead=ahead, at=days.read(at))
    found = layout(spans(days, existing), wish, axis)
    assert list(found.missing) == there(expected.replace("end", "+"))
    assert found.ahead_missing == ahead_missing
    assert layout([*spans(days, existing), *found.missing], wish, axis).missing == ()


def test_ids_end_where_their_type_does() -> None:
    axis = Axis("int2", ZoneInfo("UTC"), "id", 2**15 - 1)
    found = layout([Span(0, 30_000)], Wish(every=10_000, ahead=3, at=29_000), axis)
    assert found.missing == (Span(30_000, 32_768),)
    assert axis.write(found.missing[0].upper) == "MAXVALUE"


def test_a_wrong_interval_does_not_make_thousands() -> None:
    found = plan(UTC_AXIS, "1970-01-01..1970-01-02", "2024-02-15", "1 hour", 3, limit=50)
    assert found.more
    assert len(found.missing) < 60
    assert found.missing[0].lower == on(UTC_AXIS, "2024-02-15")


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), max_size=12),
    st.integers(0, 300),
    st.integers(0, 6),
    st.one_of(st.none(), st.integers(-50, 300)),
    st.one_of(st.none(), st.integers(0, 300)),
)
@settings(max_examples=600, deadline=None)
def test_missing_neither_overlaps_nor_leaves_holes(
    raw: list[tuple[int, int]], at: int, ahead: int, since: int | None, keep_after: int | None
) -> None:
    axis = Axis("int8", ZoneInfo("UTC"), "id")
    existing: list[Span] = []
    for lower, size in sorted(raw):
        if not existing or lower >= existing[-1].upper:
            existing.append(Span(lower, lower + size))
    wish = Wish(every=10, ahead=ahead, at=at, since=since, keep_after=keep_after, limit=1000)
    found = layout(existing, wish, axis)
    after = layout([*existing, *found.missing], wish, axis)
    assert after.overlaps == 0
    assert after.missing == ()
    if keep_after is None:
        assert (after.ahead_missing, after.gaps) == (0, 0)
    else:
        assert all(s.upper > keep_after for s in found.missing)


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("", "2024-02-01"),
        ("2024-01-01..2024-02-01", "2024-02-01"),
        ("2024-01-01..2024-03-01; 2024-03-01..2024-04-01", "2024-04-01"),
        # what lies behind a hole is of no use
        ("2024-02-01..2024-03-01; 2024-04-01..2030-01-01", "2024-03-01"),
        ("2024-02-01..2024-03-01; 2024-01-01..2024-05-01", "2024-05-01"),
        ("-..2024-03-01; 2024-03-01..+", "+"),
    ],
)
def test_how_far_the_partitions_reach(existing: str, expected: str) -> None:
    found = reach(on(UTC_AXIS, "2024-02-01"), spans(UTC_AXIS, existing))
    assert found == on(UTC_AXIS, expected)
