"""Numbers that are no times in the unit declared, and types that end: what both jobs do about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.harness import postgres as help_
from tests.harness.jobs import all_done, on
from tests.harness.postgres import attached, count, creation, retention
from upkeep.model import Finding, Severity
from upkeep.postgres.engine import ENGINE
from upkeep.postgres.partition_creation import JOB

AT = on("2024-06-15 12:00")
FACTORS = {"seconds": 1, "milliseconds": 1000, "microseconds": 1_000_000}
RETAIN = "retain: {for: 1 year, then: delete, requires: nothing%s}"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def epoch(year: int, unit: str) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * FACTORS[unit]


def yearly(db: psycopg.Connection[Any], unit: str, *more: str, years: range = range(2022, 2026)) -> None:
    """Make a table with a partition a year, a row in each."""
    db.execute("create table public.t (id bigint, at bigint not null) partition by range (at)")
    for year in years:
        low, high = epoch(year, unit), epoch(year + 1, unit)
        db.execute(f"create table public.t_{year} partition of public.t for values from ({low}) to ({high})")
        db.execute(f"insert into public.t values ({year}, {low + 7})")
    for statement in more:
        db.execute(statement)


def both(database: str, policy: str, retain: str = "") -> tuple[list[Any], list[Any], list[Finding]]:
    """Plan both jobs; return their actions, and the errors that each found."""
    what = help_.target({"public.t": f"{policy}\n{RETAIN % retain}"})
    with help_.session(database) as session:
        created, deleted = creation(what).plan(session, AT), retention(what).plan(session, AT)
    errors = [f for p in (created, deleted) for f in p.findings if f.severity is Severity.ERROR]
    return list(created.actions), list(deleted.actions), errors


@pytest.mark.parametrize(
    ("there", "declared"),
    [("seconds", "milliseconds"), ("milliseconds", "microseconds"), ("milliseconds", "seconds")],
)
@pytest.mark.parametrize(
    "more",
    [
        (),
        ("create table t_rest partition of t default",),
        ("create table t_first partition of t for values from (minvalue) to (0)",),
        ("create table t_last partition of t for values from (9000000000000000000) to (maxvalue)",),
    ],
)
def test_bounds_in_another_unit(
    database: str, db: psycopg.Connection[Any], there: str, declared: str, more: tuple[str, ...]
) -> None:
    yearly(db, there, *more)
    known = attached(db, "public.t")
    policy = f"partition: {{by: at, every: 1 year, ahead: 1, unit: {declared}}}"
    for retain in ("", ", precision: row"):
        created, deleted, errors = both(database, policy, retain)
        assert (created, deleted) == ([], [])
        assert len(errors) == 2, errors
        assert all(f"the values fit {there}" in f.summary for f in errors)
    assert (attached(db, "public.t"), count(db, "public.t")) == (known, 4)


def test_the_right_unit_goes_on(database: str, db: psycopg.Connection[Any]) -> None:
    zero = f"create table t_0 partition of t for values from (0) to ({epoch(2022, 'milliseconds')})"
    yearly(db, "milliseconds", zero, "create table t_min partition of t for values from (minvalue) to (0)")
    policy = "partition: {by: at, every: 1 year, ahead: 2, unit: milliseconds}"
    created, deleted, errors = both(database, policy)
    assert [a.args["lower"] for a in created] == [str(epoch(2026, "milliseconds"))]
    assert [a.detail.split(",")[0] for a in deleted] == ["public.t_min", "public.t_0", "public.t_2022"]
    assert errors == []
    rows = both(database, policy, ", precision: row")[1]
    assert (rows[0].kind, rows[0].rows) == ("delete_rows", 2)


@pytest.mark.parametrize("partitioned", ["", "partition by hash (id)", "partition by range (at)"])
def test_values_in_another_unit_where_no_bound_tells(
    database: str, db: psycopg.Connection[Any], partitioned: str
) -> None:
    db.execute(f"create table public.t (id bigint not null, at bigint) {partitioned}")
    if "hash" in partitioned:
        db.execute("create table t_0 partition of t for values with (modulus 1, remainder 0)")
    elif partitioned:
        db.execute("create table t_0 partition of t default")
    db.execute("insert into t select n, 1704067200 + n from generate_series(1, 300) n")
    db.execute("insert into t values (0, null), (0, 0)")
    db.execute("create index on t (at)")
    policy = "retain: {by: at, for: 30 days, then: delete, precision: row, unit: %s, requires: nothing}"
    with help_.session(database) as session:
        for wrong in ("milliseconds", "microseconds"):
            planned = retention(help_.target({"public.t": policy % wrong})).plan(session, AT)
            assert planned.actions == ()
            assert [f.severity for f in planned.findings if "the values fit seconds" in f.summary] == [Severity.ERROR]
        right = retention(help_.target({"public.t": policy % "seconds"})).plan(session, AT)
        assert [(a.kind, a.rows) for a in right.actions if a.kind == "delete_rows"] == [("delete_rows", 301)]
        if "range" in partitioned or not partitioned:
            level = "partition: {by: at, every: 1 year, ahead: 1, unit: milliseconds}"
            made = creation(help_.target({"public.t": level})).plan(session, AT)
            assert made.actions == ()
            assert any("fit seconds" in f.summary or "NULL" in f.summary for f in made.findings)
    assert count(db, "t") == 302


def test_rows_of_another_unit_in_a_default_partition_are_told(database: str, db: psycopg.Connection[Any]) -> None:
    yearly(db, "milliseconds", "create table t_rest partition of t default", "insert into t values (1, 1704067200)")
    what = help_.target({"public.t": "partition: {by: at, every: 1 year, ahead: 1, unit: milliseconds}"})
    with help_.session(database) as session:
        (said,) = [f for f in creation(what).plan(session, AT).findings if f.check == "default_rows"]
    assert "the values fit seconds" in said.summary


def test_a_plain_table_in_another_unit_is_not_converted(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (id bigint, at bigint not null)")
    db.execute("insert into t select n, 1704067200 + n from generate_series(1, 30) n")
    level = "partition: {by: at, every: 1 year, ahead: 1, unit: %s}"
    with help_.session(database) as session:
        for unit in ("milliseconds", "microseconds"):
            planned = creation(help_.target({"public.t": level % unit})).plan(session, AT)
            assert planned.actions == ()
            said = [f.summary for f in planned.findings if f.severity is Severity.ERROR]
            assert len(said) == 1
            assert "the values fit seconds" in said[0]
        right = creation(help_.target({"public.t": level % "seconds"})).plan(session, AT)
        assert [a.kind for a in right.actions] == ["convert_table"]


def test_sub_partitions_in_another_unit(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (region text, at bigint not null) partition by list (region)")
    db.execute("create table t_eu partition of t for values in ('eu') partition by range (at)")
    low, high = epoch(2022, "seconds"), epoch(2023, "seconds")
    db.execute(f"create table t_eu_2022 partition of t_eu for values from ({low}) to ({high})")
    level = "{by: at, every: 1 year, ahead: 1, unit: milliseconds}"
    policy = f"partition: {{by: region, list: {{eu: [eu], us: [us]}}, subpartition: {level}}}"
    created, deleted, errors = both(database, policy, ", by: at")
    assert (created, deleted) == ([], [])
    assert len(errors) == 2
    assert all("the values fit seconds" in f.summary for f in errors)


def test_empty_tables_and_ids_are_not_judged(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (at bigint not null) partition by range (at)")
    db.execute("create table public.ids (id bigint primary key) partition by range (id)")
    db.execute("create table ids_0 partition of ids for values from (1) to (1000)")
    levels = {"public.t": "partition: {by: at, every: 1 year, ahead: 0, unit: milliseconds}"}
    levels["public.ids"] = "partition: {by: id, every: 1000, ahead: 1}"
    with help_.session(database) as session:
        planned, outcomes = creation(help_.target(levels)).run(session, AT)
    assert all_done(outcomes)
    assert [a.subject for a in planned.actions] == ["public.t", "public.ids"]


END = 2**31 - 1


@pytest.mark.parametrize("default", [False, True])
def test_seconds_end_where_an_integer_does(database: str, db: psycopg.Connection[Any], *, default: bool) -> None:
    db.execute("create table public.t (id bigint, at integer not null) partition by range (at)")
    low, high = epoch(2035, "seconds"), epoch(2036, "seconds")
    db.execute(f"create table t_2035 partition of t for values from ({low}) to ({high})")
    if default:
        db.execute("create table t_rest partition of t default")
        db.execute("insert into t values (1, %s), (2, %s)", [END, high])
    what = help_.target({"public.t": "partition: {by: at, every: 1 year, ahead: 9, unit: seconds}"})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, on("2035-05-01"))
        assert all_done(outcomes), outcomes
        assert [f.severity for f in planned.findings if f.check == "type_end"] == [Severity.WARNING]
        text = next(f.summary for f in planned.findings if f.check == "type_end")
        assert "2038-01-19" in text
        assert "994 days" in text
        assert creation(what).plan(session, on("2035-05-01")).actions == ()
        after = JOB.frames(creation(what).observe(session, on("2035-05-01")), what, "after", planned, outcomes)
    assert (after["tables"][0]["ahead_missing"], after["tables"][0]["gaps"]) == (0, 0)
    db.execute("insert into t values (3, %s), (4, %s)", [END, END - 1])  # every value has a home
    known = help_.bounds(db, "public.t")
    assert [b for b in known if b != "DEFAULT"][-1] == f"{epoch(2037, 'seconds')}..MAXVALUE"
    if default:
        assert count(db, "t_rest") == 0


@pytest.mark.parametrize(
    ("at", "severity"),
    [("2024-06-15", Severity.INFO), ("2037-06-01", Severity.WARNING), ("2038-02-01", Severity.ERROR)],
)
def test_the_end_is_announced(database: str, db: psycopg.Connection[Any], at: str, severity: Severity) -> None:
    db.execute("create table public.t (at integer not null) partition by range (at)")
    db.execute("create table public.big (at bigint not null) partition by range (at)")
    level = "partition: {by: at, every: 1 month, ahead: 0, unit: seconds}"
    with help_.session(database) as session:
        what = help_.target({"public.t": level, "public.big": level})
        planned, outcomes = creation(what).run(session, on(at))
    assert all_done(outcomes)
    assert [(f.subject, f.severity) for f in planned.findings if f.check == "type_end"] == [("public.t", severity)]


def test_ids_end_where_a_smallint_does(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (id smallint primary key) partition by range (id)")
    db.execute("create table t_0 partition of t for values from (20000) to (30000)")
    db.execute("insert into t values (29000)")
    what = help_.target({"public.t": "partition: {by: id, every: 10000, ahead: 5, from: -32000}"})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session)
        assert all_done(outcomes), outcomes
        assert [f.severity for f in planned.findings if f.check == "type_end"] == [Severity.WARNING]
        assert creation(what).plan(session).actions == ()
    db.execute("insert into t values (32767), (-32768), (0)")
    known = help_.bounds(db, "public.t")
    assert "30000..MAXVALUE" in known
    assert "MINVALUE..-30000" in known


def test_a_plain_table_is_converted_up_to_its_types_end(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (id smallint primary key, msg text)")
    db.execute("insert into t select n, 'x' from generate_series(1, 12000) n")
    what = help_.target({"public.t": "partition: {by: id, every: 10000, ahead: 3}"})
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        planned = JOB.plan(observation, what)
        assert [(a.kind, a.args["upper"]) for a in planned.actions] == [("convert_table", "MAXVALUE")]
        outcome = creation(what).apply(session, planned.actions[0], observation)
    assert outcome.status == "done", outcome
    db.execute("insert into t values (32767)")
    assert help_.bounds(db, "public.t") == ["0..MAXVALUE"]


def test_a_conversion_says_that_the_type_ends_before_it_cannot_be_altered(
    database: str, db: psycopg.Connection[Any]
) -> None:
    db.execute("create table public.t (id bigint, at integer not null)")
    db.execute("insert into t select n, 1704067200 + n from generate_series(1, 30) n")
    what = help_.target({"public.t": "partition: {by: at, every: 1 year, ahead: 1, unit: seconds}"})
    with help_.session(database) as session:
        planned = creation(what).plan(session, AT)
    assert [a.kind for a in planned.actions] == ["convert_table"]
    (end,) = [f for f in planned.findings if f.check == "type_end"]
    assert "2038-01-19" in end.summary
    assert "bigint" in (end.remedy or "")


def test_a_partition_without_an_end_is_no_headroom(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (at timestamptz not null) partition by range (at)")
    db.execute("create table t_0 partition of t for values from ('2024-01-01+00') to ('2024-02-01+00')")
    what = help_.target({"public.t": "partition: {by: at, every: 1 month, ahead: 1}"})
    with help_.session(database) as session:
        assert "endless_partition" not in {f.check for f in creation(what).plan(session, AT).findings}
        db.execute("create table t_1 partition of t for values from ('2024-02-01+00') to (maxvalue)")
        planned = creation(what).plan(session, AT)
    assert planned.actions == ()
    (said,) = [f for f in planned.findings if f.check == "endless_partition"]
    assert (said.severity, "from 2024-02-01 to MAXVALUE" in said.summary) == (Severity.WARNING, True)


def test_headroom_ends_with_the_calendar(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (at timestamptz not null) partition by range (at)")
    level = "partition: {by: at, every: 1000 years, ahead: 10000, max_creations: 5}"
    with help_.session(database) as session:
        planned, outcomes = creation(help_.target({"public.t": level})).run(session, AT)
    assert all_done(outcomes)
    assert len(planned.actions) == 5


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("create view public.t as select now() as at", "a view"),
        ("create materialized view public.t as select now() as at", "a materialized view"),
        ("create sequence public.t", "a sequence"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(
    database: str, db: psycopg.Connection[Any], definition: str, says: str
) -> None:
    db.execute(definition)
    for policy in ("partition: {by: at, every: 1 month, ahead: 2}", "partition: {by: at, modulus: 4}"):
        created, deleted, errors = both(database, policy, ", by: at, precision: row")
        assert created == deleted == []
        assert len(errors) == 2
        assert all(says in f.summary for f in errors), errors
    with help_.session(database) as session:
        checked = ENGINE.check(session, help_.target({"public.t": policy}))
    (found,) = [f for f in checked if f.subject == "public.t"]
    assert (found.severity, found.summary) == (Severity.ERROR, f"it is {says}, not a table")
