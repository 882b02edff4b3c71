"""Due partitions that could never be dropped once detached stay attached, and it is said; the others go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.harness.jobs import Run
from tests.harness.postgres import AT, attached, months, retention, session, target
from upkeep.model import OutcomeStatus, ReasonCode
from upkeep.postgres.data_retention import undroppable

DELETE = "retain: {by: at, for: 30 days, requires: nothing, then: delete}"
ROWS = "retain: {by: at, for: 30 days, requires: nothing, then: delete, precision: row}"
ARCHIVE = "retain: {by: at, for: 30 days, requires: nothing, then: archive, into: public.kept}"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def run(database: str, policy: str = DELETE) -> Run:
    with session(database) as opened:
        return retention(target({"public.logs": policy})).run(opened, AT)


DEPENDANTS = {
    "view v": "create view v as select * from logs_2",
    "view part": "create view part as select id from logs_2",
    "materialized view m": "create materialized view m as select count(*) from logs_2",
    "function f()": "create function f() returns bigint begin atomic select count(*) from logs_2; end",
    "function g(logs_2)": "create function g(logs_2) returns int language sql as 'select 1'",
    "on table other": "create table other (n int); create rule r as on insert to other do also delete from logs_2",
    "policy p on table other": (
        "create table other (n int); create policy p on other using (exists (select from logs_2))"
    ),
    "column c of table other": "create table other (c logs_2)",
    "constraint names_it on table other": (
        "create table other (id bigint, at timestamptz, constraint names_it foreign key (id, at) references logs_2); "
        "create index on other (id, at)"
    ),
}


@pytest.mark.parametrize("name", DEPENDANTS)
@pytest.mark.parametrize("policy", [DELETE, ARCHIVE])
def test_what_reads_a_partition_by_name(db: psycopg.Connection[Any], database: str, name: str, policy: str) -> None:
    months(db, 1, 6)
    db.execute("create table kept (like logs)")
    for statement in DEPENDANTS[name].split("; create"):
        db.execute(statement if statement.startswith("create") else f"create{statement}")
    done = run(database, policy)
    assert attached(db, "logs") == ["logs_2", "logs_5", "logs_6"]
    finding = done.finding("dependants")
    assert finding.severity.value == "WARNING"
    assert "public.logs_2 is due but stays" in finding.summary
    assert name in finding.summary.replace("public.", "")
    assert set(done.statuses) == {"done"}
    assert db.execute("select count(*) from logs_2").fetchone() == (10,)


def test_what_belongs_to_a_partition_does_not_hold_it(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 6)
    db.execute("create view of_all as select * from logs")
    db.execute("create table other (id bigint, at timestamptz, foreign key (id, at) references logs)")
    db.execute("create function f() returns trigger language plpgsql as 'begin return new; end'")
    db.execute("create trigger t before update of msg on logs_2 for each row when (old.id > 3) execute function f()")
    db.execute("alter table logs_2 add check (msg <> 'x'), enable row level security")
    db.execute("create policy p on logs_2 using (exists (select from logs_2 as l where l.msg is null))")
    db.execute("create rule r as on delete to logs_2 where old.id < 0 do also delete from logs_2 where id < 0")
    db.execute("create index on logs_2 (lower(msg)) where msg <> ''")
    db.execute("create statistics s on id, msg from logs_2")
    db.execute("alter table logs_3 add unique (id, at), replica identity full")
    db.execute("create publication held for table logs_2")
    if db.info.server_version >= 150_000:
        parts = "logs_2 (id, at), logs_3 where (id > 5), logs_4 (id) where (id > 5)"
        db.execute(f"create publication parts for table {parts}")
    done = run(database, DELETE.replace("delete}", "delete, grace: 0}"))
    assert attached(db, "logs") == ["logs_5", "logs_6"]
    assert "dependants" not in done.checks
    assert set(done.statuses) == {"done"}
    assert db.execute("select to_regclass('logs_2')").fetchone() == (None,)


def test_what_belongs_to_a_detached_partition_does_not_keep_it(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 6)
    db.execute("create function f() returns trigger language plpgsql as 'begin return new; end'")
    db.execute("create trigger t before update of msg on logs_2 for each row when (old.id > 3) execute function f()")
    db.execute("create policy p on logs_2 using (exists (select from logs_2 as l where l.msg is null))")
    book = retention(target({"public.logs": DELETE.replace("delete}", "delete, grace: 1 second}")}))
    with session(database) as opened:
        assert set(book.run(opened, AT).statuses) == {"done"}
        time.sleep(1.1)
        done = book.run(opened, AT)
    assert "dependants" not in done.checks
    assert db.execute("select to_regclass('logs_2')").fetchone() == (None,)


def test_a_view_made_after_the_plan(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 6)
    what = target({"public.logs": DELETE})
    with session(database) as opened:
        book = retention(what)
        observation = book.observe(opened, AT)
        (first, *_) = book.plan(opened, AT).actions
        db.execute("create view v as select * from logs_1")
        outcome = book.apply(opened, first, observation)
    assert (outcome.status, outcome.reason_code) == (OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED)
    assert "view public.v" in (outcome.message or "")
    assert "logs_1" in attached(db, "logs")


def test_many_due_partitions_in_catalogs_that_were_never_analysed(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("create table logs (id bigint, at timestamptz not null) partition by range (at)")
    db.execute(
        "do $$ declare day timestamptz := '2024-04-06+00'; begin for n in 0..399 loop "
        "execute format('create table logs_%s partition of logs for values from (%L) to (%L)', n, day, day + '1 day'); "
        "day := day + '1 day'; end loop; end $$"
    )
    db.execute("create view v as select * from logs_0; create table other (c logs_1[])")
    monkeypatch.setattr(undroppable, "CHECK_TIMEOUT", "5s")
    what = target({"public.logs": DELETE})
    with session(database) as opened:
        plan = retention(what).plan(opened, AT)
        (one, two) = [f for f in plan.findings if f.check == "dependants"]
        assert ("view public.v" in one.summary, "public.other" in two.summary) == (True, True)
        assert len([a for a in plan.actions if a.kind == "detach_partition"]) == 38


def test_what_cannot_be_looked_at_stays(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    months(db, 1, 6)
    book = retention(target({"public.logs": DELETE}))
    with session(database) as opened:
        observation = book.observe(opened, AT)
        (first, *_) = book.plan(opened, AT).actions
        monkeypatch.setattr(undroppable, "CHECK_TIMEOUT", "1ms")
        outcome = book.apply(opened, first, observation)
        done = book.run(opened, AT)
    assert (outcome.status, outcome.reason_code) == (OutcomeStatus.SKIPPED, ReasonCode.STATE_CHANGED)
    assert "could not be looked at, it stays" in (outcome.message or "")
    found = [f for f in done.plan.findings if f.check == "dependants"]
    assert {(f.status.value, f.severity.value) for f in found} == {("not_available", "WARNING")}
    assert len(found) == 4
    assert all("could not be looked at, it stays" in f.summary for f in found)
    assert (done.outcomes, len(attached(db, "logs"))) == ([], 6)


def foreign(db: psycopg.Connection[Any], below: bool = False) -> None:
    db.execute("create extension postgres_fdw; create server s foreign data wrapper postgres_fdw")
    db.execute("alter table logs drop constraint logs_pkey")
    db.execute("drop table logs_2")
    bounds = "for values from ('2024-02-01+00') to ('2024-03-01+00')"
    if below:
        db.execute(f"create table logs_2 partition of logs {bounds} partition by hash (id)")
        db.execute(
            "create foreign table logs_2_0 partition of logs_2 for values with (modulus 1, remainder 0) server s"
        )
    else:
        db.execute(f"create foreign table logs_2 partition of logs {bounds} server s")


@pytest.mark.parametrize("policy", [DELETE, ARCHIVE, ROWS])
@pytest.mark.parametrize("below", [False, True])
def test_a_foreign_partition(db: psycopg.Connection[Any], database: str, policy: str, below: bool) -> None:
    months(db, 1, 6)
    foreign(db, below)
    db.execute("create table kept (like logs)")
    for month in (1, 3, 4, 5, 6):
        db.execute(f"create index on logs_{month} (at)")
    done = run(database, policy)
    assert "logs_2" in attached(db, "logs")
    for month in (1, 3, 4):
        left = f"select count(*) from logs_{month}"
        assert f"logs_{month}" not in attached(db, "logs") or db.execute(left).fetchone() == (0,)
    assert set(done.statuses) == {"done"}
    (finding,) = [f for f in done.plan.findings if f.check == "foreign_partition"]
    assert finding.severity.value == "WARNING"
    assert "another server" in finding.summary


def test_a_partition_of_another_owner(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 6)
    db.execute("create role held_keeper login password 'held'")
    try:
        db.execute("alter table logs owner to held_keeper")
        for month in (1, 3, 4, 5, 6):
            db.execute(f"alter table logs_{month} owner to held_keeper")
        db.execute("grant all on schema public to held_keeper; grant all on logs_2 to held_keeper")
        with session(database, user="held_keeper", password="held") as opened:
            done = retention(target({"public.logs": DELETE})).run(opened, AT)
        assert attached(db, "logs") == ["logs_2", "logs_5", "logs_6"]
        assert "app_owner owns it" in done.finding("privileges").summary
        assert "alter table public.logs_2 owner to app_owner; grant" in (done.finding("privileges").remedy or "")
    finally:
        db.execute("drop owned by held_keeper cascade; drop role held_keeper")
