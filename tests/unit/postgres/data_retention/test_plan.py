"""Retention decides on values alone: cut-offs, what fits an archive, limits, late arrivals."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.jobs import on
from tests.harness.retention_views import RELATION, UTC_ZONE, policy, view
from upkeep.fleet import Limits, Target
from upkeep.jobs.data_retention.cutoff import cut_off, kept_from
from upkeep.jobs.data_retention.limits import over_limit
from upkeep.jobs.data_retention.marker import (
    NEVER,
    kept_until,
    read_marker,
    read_otherwise,
    required,
    terms,
    write_marker,
)
from upkeep.jobs.partition_creation.axis import Axis
from upkeep.model.intervals import Duration
from upkeep.postgres.catalog import Relation
from upkeep.postgres.data_retention.archive_table import drift, fits
from upkeep.postgres.data_retention.checks import archive_gap
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.data_retention.frames import visible
from upkeep.postgres.data_retention.plan import going
from upkeep.postgres.data_retention.view import Leaf
from upkeep.postgres.names import column_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("length", "axis", "at", "expected"),
    [
        ("1 month", Axis("timestamptz", UTC_ZONE), "2024-03-31 12:00", "2024-02-29 12:00:00+00:00"),
        ("1 month", Axis("timestamptz", UTC_ZONE), "2023-03-31 12:00", "2023-02-28 12:00:00+00:00"),
        ("30 days", Axis("timestamptz", UTC_ZONE), "2024-03-31 12:00", "2024-03-01 12:00:00+00:00"),
        # a calendar month in Berlin over the change to summer time is an hour shorter
        ("1 month", Axis("timestamptz", BERLIN), "2024-04-20 10:00", "2024-03-20 12:00:00+01:00"),
        ("1 month", Axis("timestamp", BERLIN), "2024-04-20 10:00", "2024-03-20 12:00:00"),
        # a date counts until its day is over
        ("1 day", Axis("date", UTC_ZONE), "2024-03-31 12:00", "2024-03-30"),
        ("1 day", Axis("date", BERLIN), "2024-03-30 23:30", "2024-03-30"),
        # 02:30 on 27 October is shown twice: rows after 01:30 may be the younger
        ("1 hour", Axis("timestamp", BERLIN), "2024-10-27 01:30", "2024-10-27 01:30:00"),
        ("1 hour", Axis("timestamp", BERLIN), "2024-10-27 02:30", "2024-10-27 02:30:00"),
        ("1 hour", Axis("timestamp", BERLIN), "2024-10-27 03:30", "2024-10-27 03:30:00"),
        # epochs, down to what the column can say
        ("1 day", Axis("int8", UTC_ZONE, "seconds"), "2024-03-31 12:00:00.9", "1711800000"),
        ("1 day", Axis("int8", UTC_ZONE, "milliseconds"), "2024-03-31 12:00:00.9", "1711800000900"),
        ("9000 years", Axis("timestamptz", UTC_ZONE), "2024-03-31 12:00", "0002-01-01 00:00:00+00:00"),
    ],
)
def test_cut_off(length: str, axis: Axis, at: str, expected: str) -> None:
    assert axis.write(cut_off(policy(length), axis, on(at), on("2100-01-01"))) == expected


@pytest.mark.parametrize("precision", ["row", "partition"])
def test_what_is_created_is_kept_by_todays_retention(precision: str) -> None:
    rule = policy("30 days", precision=precision)
    axis = Axis("timestamp", BERLIN)
    assert axis.write(kept_from(rule, axis, on("2024-03-31 12:00"))) == "2024-03-01 14:00:00"
    utc = policy("30 days", precision=precision, timezone="UTC")
    assert axis.write(kept_from(utc, axis, on("2024-03-31 12:00"))) == "2024-03-01 12:00:00"


@given(
    at=st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)),  # noqa: DTZ001 - made aware below
    now=st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)),  # noqa: DTZ001
    months=st.integers(1, 30),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
    type_=st.sampled_from(["timestamptz", "timestamp", "date"]),
)
def test_no_run_deletes_more_than_todays(at: datetime, now: datetime, months: int, zone: str, type_: str) -> None:
    axis = Axis(type_, ZoneInfo(zone))
    rule = policy(f"{months} months", timezone=zone)
    at, now = at.replace(tzinfo=UTC), now.replace(tzinfo=UTC)
    assert cut_off(rule, axis, at, now) <= cut_off(rule, axis, now, now)
    if at <= now:
        assert cut_off(rule, axis, at, now) == cut_off(rule, axis, at, at)


@pytest.mark.parametrize(
    ("source", "archive", "expected"),
    [
        ("integer", "integer", True),
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("character varying(20)", "character varying(20)", True),
        ("character varying(20)", "character varying(19)", False),
        ("character varying(20)", "character varying", True),
        ("character varying", "character varying(20)", False),
        ("character varying(20)", "text", True),
        ("text", "character varying", False),
        ("numeric(10,2)", "numeric(12,2)", True),
        ("numeric(10,2)", "numeric(12,4)", True),
        ("numeric(10,2)", "numeric(11,4)", False),
        ("numeric(10,2)", "numeric", True),
        ("numeric", "numeric(10,2)", False),
        ("timestamp with time zone", "timestamp without time zone", False),
        ("timestamp(3) without time zone", "timestamp without time zone", False),
        ("real", "double precision", True),
        ("double precision", "real", False),
        ("jsonb", "json", False),
    ],
)
def test_fits(source: str, archive: str, expected: bool) -> None:
    assert fits(source, archive) is expected


@pytest.mark.parametrize(
    ("limits", "rows", "total", "expected"),
    [
        ({}, 80, 100, None),
        ({}, 81, 100, "81%"),
        ({}, 0, 0, None),
        ({}, 5, 0, "100%"),
        ({"share": "100 %"}, 100, 100, None),
        ({"rows": 50}, 50, 1000, None),
        ({"rows": 50}, 51, 1000, "the limit is 50"),
    ],
)
def test_over_limit(limits: dict[str, Any], rows: int, total: int, expected: str | None) -> None:
    target = Target(engine="postgres", connection="c", limits=Limits.model_validate(limits))
    found = over_limit(rows, total, target)
    assert (found is None) if expected is None else (expected in str(found))


@pytest.mark.parametrize(
    ("writer", "snapshot", "expected"),
    [
        (99, "100:105:101,103", True),
        (100, "100:105:101,103", True),
        (101, "100:105:101,103", False),
        (102, "100:105:101,103", True),
        (105, "100:105:101,103", False),
        (4294967400, "4294967390:4294967395:", False),
        (7, "", True),
    ],
)
def test_late_arrivals(writer: int, snapshot: str, expected: bool) -> None:
    assert visible(writer, snapshot) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("at", "at"), (' "Mixed Case" ', "Mixed Case"), ('"a""b"', 'a"b'), ("timestamp", "timestamp")],
)
def test_a_column_as_the_owner_writes_it(text: str, expected: str) -> None:
    assert column_of(text) == expected


def test_markers() -> None:
    marker = {"detached_from": 'public."Ü"', "at": "2024-01-01T00:00:00+00:00"}
    assert read_marker(write_marker(marker)) == marker
    for comment in (None, "", "upkeep", "upkeep: nothing", 'upkeep: {"a": 1}', 'upkeep: ["detached_from"]'):
        assert read_marker(comment) is None


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (None, "nothing", ("nothing", None)),
        ("nothing", "nothing", ("nothing", None)),
        ("approval", "nothing", ("approval", None)),
        ("nothing", "approval", ("approval", None)),
        ("approval", {"backup": "1 day"}, ("backup", 86_400)),
        ({"backup": "1 day"}, "nothing", ("backup", 86_400)),
        ({"backup": "1 day"}, {"backup": "1 hour"}, ("backup", 3600)),
        ({"backup": "1 hour"}, {"backup": "1 day"}, ("backup", 3600)),
    ],
)
def test_the_stricter_requirement_of_then_and_now_counts(then: Any, now: Any, expected: tuple[str, Any]) -> None:
    marker = {} if then is None else terms(policy(requires=then), "at", None)
    found = required(marker, policy(requires=now))
    assert (found.kind, found.backup_age_seconds) == expected


@pytest.mark.parametrize(
    ("marker", "grace", "expected"),
    [
        ({"drop_after": "2024-03-08T00:00:00+00:00"}, "1 day", "2024-03-08"),  # of an older version
        ({"at": "2024-03-01T00:00:00+00:00", "drop_after": "2024-03-08T00:00:00+00:00"}, "7 days", "2024-03-08"),
        ({"at": "2024-03-01T00:00:00+00:00", "drop_after": "2024-03-08T00:00:00+00:00"}, "1 day", "2024-03-08"),
        ({"at": "2024-03-01T00:00:00+00:00", "drop_after": "2024-03-08T00:00:00+00:00"}, "1 month", "2024-04-01"),
        ({"at": "2024-03-01T00:00:00+00:00", "drop_after": "2024-03-08T00:00:00+00:00"}, "9000 years", None),
        (
            {"at": "2024-03-01T00:00:00+00:00", "drop_after": "2024-03-02T00:00:00+00:00", "grace": "7 days"},
            "7 days",
            "2024-03-02",
        ),
        (
            {"at": "2024-03-01T00:00:00+00:00", "drop_after": "2024-03-02T00:00:00+00:00", "grace": "1 day"},
            "7 days",
            "2024-03-08",
        ),
        ({}, "1 day", None),
        ({"drop_after": "tomorrow"}, "1 day", None),
    ],
)
def test_a_detached_table_is_kept_until_the_later_date(
    marker: dict[str, Any], grace: str, expected: str | None
) -> None:
    assert kept_until(marker, policy(grace=grace)) == (NEVER if expected is None else on(expected))


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (("at", Axis("timestamptz", UTC_ZONE)), ("at", Axis("timestamptz", UTC_ZONE)), []),
        (("at", Axis("timestamptz", UTC_ZONE)), ("made", Axis("timestamptz", UTC_ZONE)), ["retain.by"]),
        (("at", Axis("timestamp", UTC_ZONE)), ("at", Axis("timestamp", BERLIN)), ["retain.timezone"]),
        (("at", Axis("int8", UTC_ZONE, "seconds")), ("at", Axis("int8", UTC_ZONE, "milliseconds")), ["retain.unit"]),
        (("at", Axis("date", UTC_ZONE)), ("at", Axis("date", UTC_ZONE, "seconds")), []),  # counts nothing
    ],
)
def test_bounds_are_read_as_they_were(then: tuple[str, Axis], now: tuple[str, Axis], expected: list[str]) -> None:
    assert read_otherwise(terms(policy(), *then), terms(policy(), *now)) == expected
    assert read_otherwise({}, terms(policy(), *now)) == []


def test_no_statement_without_a_cut_off() -> None:
    with pytest.raises(ValueError, match="cut-off"):
        Doomed(1, "s", "t", "at", "timestamptz", "")
    with pytest.raises(ValueError, match="cut-off"):
        Doomed(1, "s", "t", "at", "timestamptz; drop", "2024-01-01")


@pytest.mark.parametrize(
    ("months", "referenced", "expected"),
    [
        ((3, 4, 5, 6), {}, [3, 4]),
        ((1, 4, 6), {}, [1, 4]),  # a gap stops nothing (anchors B11)
        ((3, 4), {}, [3]),  # never the last partition
        ((4,), {}, []),
        ((5, 6), {}, []),  # May holds younger rows (anchors B10)
        ((3, 4, 5), {3: "public.c"}, [4]),
        ((3, 4, 5), {4: None}, [3]),  # could not look: it stays
        ((3, 4), {3: "public.c"}, [4]),
    ],
)
def test_which_partitions_go(months: tuple[int, ...], referenced: dict[int, str | None], expected: list[int]) -> None:
    assert [p.partition.oid for p in going(view(*months, referenced_pieces=referenced))] == expected


def test_each_parent_keeps_its_last_partition() -> None:
    first, other = view(3, 4), view(1, 2, 6)
    below = Relation(**{**RELATION, "oid": 2, "name": "logs_b"})
    pieces = [*first.pieces, *(replace(p, parent=below) for p in other.pieces)]
    assert [p.partition.oid for p in going(replace(first, pieces=pieces))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("2024-01-01", "2025-01-01")], None),
        ([("2024-01-01", "2024-04-01"), ("2024-04-01", "2024-06-01")], None),
        ([("2024-01-01", "2024-04-01"), ("2024-04-02", "2024-06-01")], "2024-04-01"),
        ([("2024-04-01", "2024-06-01")], "2024-03-01"),
        ([], "2024-03-01"),
    ],
)
def test_a_gap_in_a_partitioned_archive(spans: list[tuple[str, str]], expected: str | None) -> None:
    axis = Axis("timestamptz", UTC_ZONE)
    ranges = [(axis.of(on(low)), axis.of(on(high))) for low, high in spans]
    found = archive_gap(view(3, 4, 6, policy=policy(then="archive", into="old"), archive_bounds=ranges))
    assert (found or "")[:10] == (expected or "")


def test_leaves_of_partitions_that_begin_later_are_left_alone() -> None:
    leaves = [leaf(month) for month in (4, 5, 6)]
    found = view(4, 5, 6, leaves=leaves, policy=policy(precision="row")).row_leaves()
    assert [one.oid for one in found] == [4, 5]


def leaf(month: int) -> Leaf:
    known: dict[str, Any] = {"detach_pending": False, "pages": 1, "rows": 10.0, "ordered": True, "brin": False}
    known["autovacuum_off"] = False
    return Leaf(oid=month, schema="public", name=f"logs_{month}", kind="r", path=(1, month), **known)


def column(name: str, type_: str = "text", **other: Any) -> dict[str, Any]:
    plain = {"name": name, "type": type_, "base": type_, "not_null": False, "default": False}
    return {**plain, "identity": "", "generated": "", **other}


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        ([column("a"), column("b", "integer")], []),
        ([column("b", "bigint"), column("a")], []),  # the order does not matter
        ([column("a")], ["alter table public.old add column b integer"]),
        ([column("a"), column("b", "smallint")], ["alter table public.old alter column b type integer"]),
        ([column("a", not_null=True), column("b", "integer")], ["alter table public.old alter column a drop not null"]),
        ([column("a"), column("b", "integer"), column("c", not_null=True, default=True)], []),
        (
            [column("a"), column("b", "integer"), column("C d", not_null=True)],
            ['alter table public.old alter column "C d" drop not null'],
        ),
    ],
)
def test_drift(archive: list[dict[str, Any]], expected: list[str]) -> None:
    old = Relation(**{**RELATION, "oid": 2, "name": "old", "kind": "r"})
    source = Relation(**{**RELATION, "kind": "r"})
    found = drift([column("a"), column("b", "integer")], old, {"columns": archive}, source=source)
    assert [d.remedy for d in found] == expected


def test_the_policy_reads_as_the_owner_wrote_it() -> None:
    assert policy("1 year 6 months").for_ == Duration(months=18)
