"""New partitions are stored as their parent says and most siblings are; one odd sibling is reported, not copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.harness import postgres as help_
from tests.harness.jobs import Run, all_done, on
from tests.harness.postgres import creation
from upkeep.model import Finding, OutcomeStatus, Plan, ReasonCode

AT = on("2024-05-15")


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def logs(db: psycopg.Connection[Any], *months: int, kind: str = "") -> None:
    db.execute(f"create {kind} table public.logs (at timestamptz not null, msg text) partition by range (at)")
    for month in months:
        db.execute(
            f"create table public.logs_{month} partition of public.logs "
            f"for values from ('2024-{month:02}-01+00') to ('2024-{month + 1:02}-01+00')"
        )


def create(database: str) -> Run:
    with help_.session(database) as opened:
        return creation(help_.target({"public.logs": help_.MONTHLY})).run(opened, AT)


def found(plan: Plan, check: str) -> Finding:
    return next(f for f in plan.findings if f.check == check)


def made(db: psycopg.Connection[Any], column: str) -> list[Any]:
    new = r"relname like 'logs\_2024\_%' and relkind = 'r'"
    rows = db.execute(f"select {column} from pg_class where {new}").fetchall()
    assert len(rows) == 2
    return [row[0] for row in rows]


@pytest.mark.parametrize("months", [(5,), (4, 5), (3, 4, 5)])
def test_unlogged_is_not_spread(database: str, db: psycopg.Connection[Any], months: tuple[int, ...]) -> None:
    logs(db, *months)
    db.execute("alter table logs_5 set unlogged")
    planned, outcomes = create(database)
    assert all_done(outcomes)
    assert made(db, "relpersistence") == ["p", "p"]
    finding = found(planned, "unlogged_partition")
    assert finding.severity.value == "WARNING"
    assert "public.logs_5 is unlogged" in finding.summary
    assert finding.remedy == "alter table public.logs_5 set logged"
    again, _ = create(database)  # said while it is so, also where nothing is to be made
    assert again.actions == ()
    assert found(again, "unlogged_partition")


def test_an_unlogged_parent_has_unlogged_partitions(database: str, db: psycopg.Connection[Any]) -> None:
    help_.only(db, until=17)
    logs(db, 4, 5, kind="unlogged")
    planned, outcomes = create(database)
    assert all_done(outcomes)
    assert made(db, "relpersistence") == ["u", "u"]
    assert "unlogged_partition" not in [f.check for f in planned.findings]


@pytest.mark.parametrize("months", [(5,), (4, 5), (3, 4, 5)])
def test_autovacuum_off_is_not_spread(database: str, db: psycopg.Connection[Any], months: tuple[int, ...]) -> None:
    logs(db, *months)
    db.execute("alter table logs_5 set (autovacuum_enabled = false, autovacuum_vacuum_scale_factor = 0.2)")
    planned, outcomes = create(database)
    assert all_done(outcomes)
    assert not [one for one in made(db, "reloptions::text") if "autovacuum_enabled" in (one or "")]
    finding = found(planned, "sibling_options")
    assert finding.severity.value == "INFO"
    assert "public.logs_5 has autovacuum_enabled=false" in finding.summary


def test_what_most_have_is_given(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, 2, 3, 4, 5)
    for month in (2, 3, 4):
        db.execute(f"alter table logs_{month} set (fillfactor = 80, autovacuum_enabled = false)")
    db.execute("alter table logs_5 set (fillfactor = 40, toast.autovacuum_enabled = false)")
    planned, outcomes = create(database)
    assert all_done(outcomes)
    for options in made(db, "reloptions"):
        assert sorted(options) == ["autovacuum_enabled=false", "fillfactor=80"]
    assert "logs_5 has fillfactor=40, toast.autovacuum_enabled=false" in found(planned, "sibling_options").summary


def test_another_access_method_of_one(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create access method heap2 type table handler heap_tableam_handler")
    logs(db, 3, 4)
    try:
        db.execute("set default_table_access_method = heap2")
        db.execute("create table logs_5 partition of logs for values from ('2024-05-01+00') to ('2024-06-01+00')")
        db.execute("reset default_table_access_method")
        planned, outcomes = create(database)
        assert all_done(outcomes)
        assert made(db, "(select amname from pg_am where oid = relam)") == ["heap", "heap"]
        assert "access method heap2" in found(planned, "sibling_options").summary
    finally:
        db.execute("drop table logs; drop access method heap2")


def test_sub_partitions_too(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.logs (id int, at timestamptz not null) partition by range (at)")
    bounds = "for values from ('2024-05-01+00') to ('2024-06-01+00')"
    db.execute(f"create table logs_5 partition of logs {bounds} partition by hash (id)")
    for part in (0, 1):
        db.execute(
            f"create unlogged table logs_5_{part} partition of logs_5 for values with (modulus 2, remainder {part})"
        )
    policy = "partition: {by: at, every: 1 month, ahead: 1, subpartition: {by: id, modulus: 2}}"
    with help_.session(database) as opened:
        planned, outcomes = creation(help_.target({"public.logs": policy})).run(opened, AT)
    assert all_done(outcomes)
    assert made(db, "relpersistence") == ["p", "p"]
    assert "public.logs_5_0, public.logs_5_1 are unlogged" in found(planned, "unlogged_partition").summary


def test_a_foreign_default_is_refused_before_anything(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, 5)
    db.execute("create extension postgres_fdw; create server s foreign data wrapper postgres_fdw")
    db.execute("create foreign table logs_f partition of logs default server s")
    with help_.session(database) as opened:
        planned = creation(help_.target({"public.logs": help_.MONTHLY})).plan(opened, AT)
        assert {a.blocked[0] for a in planned.actions if a.blocked} == {ReasonCode.NOT_SUPPORTED}
        assert all(a.blocked for a in planned.actions)
    finding = found(planned, "foreign_default")
    assert finding.severity.value == "ERROR"
    assert "public.logs_f is a foreign table" in finding.summary
    assert "detach partition" in (finding.remedy or "")


def test_a_foreign_sibling_does_not_matter(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, 3, 4)
    db.execute("create extension postgres_fdw; create server s foreign data wrapper postgres_fdw")
    db.execute(
        "create foreign table logs_5 partition of logs for values from ('2024-05-01+00') to ('2024-06-01+00') server s"
    )
    _, outcomes = create(database)
    assert [o.status for o in outcomes] == [OutcomeStatus.DONE] * 2
    assert made(db, "relreplident") == ["d", "d"]  # that of a foreign table is none
