"""Rows: which go, what keeps them, what refuses the whole table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL

from tests.harness.jobs import Runs
from tests.harness.postgres import AT, attached, count, months, only, retention, session, target
from tests.harness.postgres import session as as_role
from upkeep.jobs.data_retention.pace import Pace
from upkeep.model import ReasonCode
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.data_retention.batches import Tally

DELETE = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}"
ARCHIVE = "retain: {by: at, for: 30 days, then: archive, into: public.old, precision: row, requires: nothing}"
PARTITIONED_ARCHIVE = (
    "create table old (id bigint, at timestamptz, msg text) partition by range (at); "
    "create table old_1 partition of old for values from ('2024-05-06+00') to ('2025-01-01+00')"
)
CUT_OFF = "at < timestamptz '2024-05-16 12:00+00'"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def logs(db: psycopg.Connection[Any], rows: int = 1000, *, index: bool = True) -> None:
    """Make a plain table with a row an hour back from the day of the tests."""
    db.execute("create table logs (id bigint generated always as identity primary key, at timestamptz, msg text)")
    db.execute(
        "insert into logs (at, msg) select timestamptz '2024-06-15 12:00+00' - n * interval '1 hour', 'row ' || n "
        f"from generate_series(1, {rows}) n"
    )
    if index:
        db.execute("create index on logs (at)")
    db.execute("analyze logs")


def run(database: str, policy: str, name: str = "public.logs", book: Runs | None = None) -> Any:
    what = target({name: policy})
    with session(database) as opened:
        return (book or retention(what)).today(what).run(opened, AT)


def test_exactly_the_due_rows_go(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("insert into logs (at) values (null), ('-infinity'), ('infinity'), ('2024-05-16 12:00+00')")
    due = count(db, "logs", CUT_OFF)
    done = run(database, DELETE)
    assert done.statuses == ["done"], done.outcomes
    assert done.outcomes[0].rows == due
    assert count(db, "logs", CUT_OFF) == 0
    assert count(db, "logs", "at is null") == 1
    assert count(db, "logs", "at = '2024-05-16 12:00+00'") >= 1  # the cut-off itself is not before the cut-off
    assert run(database, DELETE).kinds == []


def test_many_batches(db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: Pace(size=7))
    logs(db, 1500)
    done = run(database, DELETE)
    assert count(db, "logs", CUT_OFF) == 0
    assert done.outcomes[0].evidence["batches"] > 3


@pytest.mark.parametrize("rows", [3, 700, 2000])
def test_more_rows_of_one_age_than_a_batch(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: Pace(size=500))
    logs(db, 1000)
    db.execute(f"insert into logs (at, msg) select '2024-01-01', 'same' from generate_series(1, {rows})")
    db.execute(f"insert into logs (at, msg) select '2024-02-01', 'same' from generate_series(1, {rows})")
    due = count(db, "logs", CUT_OFF)
    done = run(database, DELETE)
    assert done.statuses == ["done"], done.outcomes
    assert done.outcomes[0].rows == due
    assert count(db, "logs", CUT_OFF) == 0


@pytest.mark.parametrize("age", ["timestamptz", "bigint"])
@pytest.mark.parametrize("size", [60, 500, 5000])
def test_ranges_cut_by_a_sample(
    db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch, age: str, size: int
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.FINE_ROWS", 50)
    monkeypatch.setattr("upkeep.postgres.data_retention.row_plan.SAMPLE_ROWS", 100)
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: Pace(size=size))
    monkeypatch.setattr(Pace, "learn", lambda *_: None)
    sizes: list[int] = []
    add = Tally.add
    monkeypatch.setattr(Tally, "add", lambda self, one: (sizes.append(one.rows), add(self, one)))
    db.execute(f"create table logs (id int, at {age})")
    value = "timestamptz 'epoch' + make_interval(secs => n)" if age == "timestamptz" else "n"
    db.execute(f"insert into logs select n, {value} from generate_series(-20000, 20000, 2) n")
    db.execute(f"insert into logs select 0, {value} from generate_series(1, 1500) i, lateral (values (999)) v (n)")
    db.execute(f"insert into logs select 0, {value} from generate_series(4000000000, 4000000100) n")
    db.execute("create index on logs (at)")
    db.execute("analyze logs")
    policy = DELETE.replace("requires", "unit: seconds, requires") if age == "bigint" else DELETE
    done = run(database, policy)
    assert done.plan.actions[0].args["leaves"][0]["way"] == "sample"
    assert done.statuses == ["done"], done.outcomes
    assert count(db, "logs") == 101
    assert sum(sizes) == done.outcomes[0].rows == 21_501
    assert max(sizes) <= size + 100


@pytest.mark.parametrize(
    ("type_", "unit", "cut_off"),
    [
        ("timestamp", "", "'2024-05-16 12:00'"),
        ("date", "", "'2024-05-16'"),
        ("bigint", ", unit: seconds", "1715860800"),
        ("bigint", ", unit: milliseconds", "1715860800000"),
        ("integer", ", unit: seconds", "1715860800"),
    ],
)
def test_every_kind_of_age(db: psycopg.Connection[Any], database: str, type_: str, unit: str, cut_off: str) -> None:
    db.execute(f"create table logs (at {type_})")
    series = "timestamp '2024-06-15 12:00' - n * interval '1 hour'"
    if type_ in ("bigint", "integer"):
        series = f"(extract(epoch from {series}) * {1000 if 'milli' in unit else 1})::bigint"
    db.execute(f"insert into logs select {series} from generate_series(1, 1000) n")
    db.execute("create index on logs (at)")
    db.execute("analyze logs")
    kept = count(db, "logs", f"at >= {cut_off}")
    done = run(database, DELETE.replace("requires: nothing", f"requires: nothing{unit}"))
    assert done.statuses == ["done"], (done.plan.findings, done.outcomes)
    assert count(db, "logs") == kept
    assert count(db, "logs", f"at < {cut_off}") == 0


def test_archived_rows_are_the_deleted_rows(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("create table old (like logs including all)")
    before = db.execute("select md5(string_agg(l::text, ',' order by id)) from logs l").fetchone()
    done = run(database, ARCHIVE)
    assert done.statuses == ["done"], (done.plan.findings, done.outcomes)
    both = "(select * from logs union all select * from old)"
    assert db.execute(f"select md5(string_agg(l::text, ',' order by id)) from {both} l").fetchone() == before
    assert count(db, "old", f"not ({CUT_OFF})") == 0
    evidence = done.outcomes[0].evidence
    assert evidence["rows_deleted"] == evidence["rows_archived"] == evidence["rows_copied"] == count(db, "old")
    assert evidence["hash_source"] == evidence["hash_archive"]


def test_a_partitioned_table_leaf_by_leaf(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6, rows=700)
    db.execute("create index on logs (at)")
    db.execute("create table logs_rest partition of logs default")
    db.execute("insert into logs (at) values ('2020-01-01'), ('2030-01-01')")
    db.execute("analyze")
    book = retention(target({"public.logs": DELETE}))
    done = run(database, DELETE, book=book)
    assert done.statuses == ["done"], (done.plan.findings, done.outcomes)
    assert count(db, "logs", CUT_OFF) == 0
    assert count(db, "logs", "at > '2029-01-01'") == 1
    # what became empty is detached by the next run
    again = run(database, DELETE, book=book)
    assert again.kinds == ["detach_partition", "detach_partition"]
    assert again.statuses == ["done", "done"], again.outcomes
    assert attached(db, "logs") == ["logs_5", "logs_6", "logs_rest"]


def test_a_partition_is_archived_before_it_goes(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6, rows=700)
    db.execute("create table old (like logs)")
    policy = "retain: {by: at, for: 1 month, then: archive, into: public.old, requires: nothing, grace: 0}"
    book = retention(target({"public.logs": policy}))
    done = run(database, policy, book=book)
    assert done.kinds == ["archive_partition", "detach_partition", "drop_partition"] * 2
    assert done.statuses == ["done"] * 6, done.outcomes
    assert count(db, "old") == 1400
    assert attached(db, "logs") == ["logs_5", "logs_6"]
    evidence = done.outcomes[0].evidence
    assert evidence["hash_source"] == evidence["hash_archive"] != "0" * 16


def test_rows_that_come_after_the_archiving_keep_the_partition(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 4, 6, rows=700)
    db.execute("create table old (like logs)")
    policy = "retain: {by: at, for: 1 month, then: archive, into: public.old, requires: nothing, grace: 0}"
    what = target({"public.logs": policy})
    book = retention(what)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        archive, detach, drop = JOB.plan(observation, what).actions
        assert book.apply(opened, archive, observation).status == "done"
        db.execute("insert into logs (at, msg) values ('2024-04-20+00', 'late')")
        assert book.apply(opened, detach, observation).reason_code is ReasonCode.STATE_CHANGED
        assert count(db, "logs_4") == 1
        assert book.run(opened, AT).statuses == ["done"] * 3
    assert count(db, "old", "msg = 'late'") == 1
    del drop


def test_rows_written_into_a_detached_table_are_moved_before_it_is_dropped(
    db: psycopg.Connection[Any], database: str
) -> None:
    months(db, 4, 6, rows=20)
    db.execute("create table old (like logs)")
    policy = "retain: {by: at, for: 1 month, then: archive, into: public.old, requires: nothing}"
    book = retention(target({"public.logs": policy}))
    with session(database) as opened:
        assert book.run(opened, AT).statuses == ["done", "done"]
        db.execute("insert into logs_4 (id, at) values (4711, '2024-04-20+00')")
        row = db.execute("select obj_description('logs_4'::regclass)").fetchone()
        marker = json.loads(row[0].removeprefix("upkeep: "))  # type: ignore[index]
        marker["drop_after"] = datetime(2024, 1, 1, tzinfo=UTC).isoformat()
        db.execute(SQL("comment on table logs_4 is {}").format("upkeep: " + json.dumps(marker)))
        last = book.run(opened, AT)
    assert last.kinds == ["archive_partition", "drop_partition"]
    assert last.statuses == ["done", "done"], last.outcomes
    assert count(db, "old", "id = 4711") == 1


def refused(database: str, policy: str = DELETE) -> str:
    """Return why the table is left alone; nothing may have happened."""
    with session(database) as opened:
        plan = retention(target({"public.logs": policy})).plan(opened, AT)
    assert plan.actions
    assert all(a.blocked for a in plan.actions), plan.actions
    found = [f for f in plan.findings if f.severity == "ERROR"]
    assert all(f.remedy for f in found)
    return " | ".join(f"{f.summary} -> {f.remedy}" for f in found)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("create table c (id bigint references logs on delete cascade)", "public.c (ON DELETE CASCADE"),
        ("create table c (id bigint references logs on delete set null)", "ON DELETE SET NULL"),
        ("create table c (id bigint references logs on delete set default)", "ON DELETE SET DEFAULT"),
        ("create trigger t after delete on logs execute function f()", "would fire t"),
        ("create trigger t before delete on logs for each row execute function f()", "would fire t"),
        ("create rule r as on delete to logs do also notify x", "would fire r"),
        ("create table c (id bigint references logs)", "create index concurrently on public.c (id)"),
        ("create table logs_child () inherits (logs)", "inherit"),
        ("drop index logs_at_idx; insert into logs (at) select at from logs, generate_series(1, 20); analyze logs",
         "create index concurrently on public.logs (at)"),
    ],
)  # fmt: skip
def test_what_a_delete_would_do_besides_is_refused(
    db: psycopg.Connection[Any], database: str, make: str, words: str
) -> None:
    logs(db)
    db.execute("create function f() returns trigger language plpgsql as 'begin return old; end'")
    for statement in make.split(";"):
        db.execute(statement)
    assert words in refused(database)
    assert count(db, "logs", CUT_OFF) > 0


def test_declared_cascades_are_accepted(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("create table c (id bigint references logs on delete cascade)")
    db.execute("insert into c select id from logs")
    done = run(database, DELETE.replace("requires", "cascades: declared, requires"))
    assert done.statuses == ["done"], done.outcomes
    assert count(db, "logs", CUT_OFF) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter table old drop column msg", "alter table public.old add column msg text"),
        ("alter table old alter column id type integer", "alter column id type bigint"),
        ("alter table old alter column msg type varchar(5)", "alter column msg type text"),
        ("alter table old alter column at set not null", "alter column at drop not null"),
        ("alter table old add column reason text not null", "alter column reason drop not null"),
        ("alter table old set unlogged", "alter table public.old set logged"),
        ("alter table old drop column msg, add column msg text generated always as ('x') stored", "drop expression"),
        ("drop table old", "create table public.old (like public.logs"),
        ("create trigger t before insert on old for each row execute function f()", "would fire t"),
        (f"drop table old; {PARTITIONED_ARCHIVE}",
         "no partition of public.old takes rows of 2024-05-"),
    ],
)  # fmt: skip
def test_an_archive_that_does_not_fit_is_found_before_the_first_row_moves(
    db: psycopg.Connection[Any], database: str, change: str, words: str
) -> None:
    logs(db)
    db.execute("create table old (like logs)")
    db.execute("create function f() returns trigger language plpgsql as 'begin return null; end'")
    for statement in change.split(";"):
        db.execute(statement)
    assert words in refused(database, ARCHIVE)


def test_wider_and_generated_and_identity_columns_fit(db: psycopg.Connection[Any], database: str) -> None:
    db.execute(
        "create table logs (id int generated always as identity, at timestamptz, code varchar(10), "
        "twice int generated always as (id * 2) stored, gone text)"
    )
    db.execute("alter table logs drop column gone")
    db.execute("insert into logs (at, code) select '2024-01-01', 'x' from generate_series(1, 100)")
    db.execute("create index on logs (at)")
    db.execute(
        "create table old (code text, at timestamptz, id bigint generated always as identity, twice int, noted date "
        "default current_date)"
    )
    done = run(database, ARCHIVE)
    assert done.statuses == ["done"], (done.plan.findings, done.outcomes)
    assert count(db, "old", "twice = id * 2") == 100
    assert done.outcomes[0].evidence["proof"] == "count"


def test_a_row_that_is_in_the_archive_already_is_a_conflict(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("create table old (like logs including all)")
    db.execute(f"insert into old overriding system value select * from logs where {CUT_OFF} order by at desc limit 1")
    before = count(db, "logs")
    done = run(database, ARCHIVE)
    assert done.statuses == ["failed"]
    assert "in the archive already" in (done.outcomes[0].message or "")
    assert "row " not in (done.outcomes[0].message or "").replace("a row is", "")
    assert count(db, "logs") + count(db, "old") == before + 1


def test_a_trigger_that_swallows_rows_is_noticed(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("create table old (like logs)")
    db.execute("create function f() returns trigger language plpgsql as 'begin return null; end'")
    what = target({"public.logs": ARCHIVE})
    book = retention(what)
    before = count(db, "logs")
    with session(database) as opened:
        observation = book.observe(opened, AT)
        action, *_ = JOB.plan(observation, what).actions
        db.execute("create trigger t before insert on old for each row execute function f()")
        outcome = book.apply(opened, action, observation)
    assert outcome.reason_code is ReasonCode.CONSERVATION
    assert count(db, "logs") == before


def test_a_trigger_that_changes_rows_is_noticed(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("create table old (like logs)")
    db.execute("create function f() returns trigger language plpgsql as 'begin new.msg := ''?''; return new; end'")
    what = target({"public.logs": ARCHIVE})
    book = retention(what)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        action, *_ = JOB.plan(observation, what).actions
        db.execute("create trigger t before insert on old for each row execute function f()")
        outcome = book.apply(opened, action, observation)
    assert outcome.reason_code is ReasonCode.CONSERVATION
    assert count(db, "old") == 0


def test_rows_that_are_referred_to_stay(db: psycopg.Connection[Any], database: str) -> None:
    # apache/airflow#71864: skip what is referred to, and say so
    logs(db)
    db.execute("create table c (id bigint references logs)")
    db.execute("create index on c (id)")
    db.execute(f"insert into c select id from logs where {CUT_OFF} order by id limit 5")
    what = target({"public.logs": DELETE})
    book = retention(what)
    with session(database) as opened:
        done = book.run(opened, AT)
        assert done.statuses == ["done"], done.outcomes
        frames = book.after(opened, *done)
    assert count(db, "logs", CUT_OFF) == 5
    assert "5 due rows stay" in done.finding("referenced_rows").summary
    assert frames["tables"][0]["due_remaining"] == 0
    assert frames["tables"][0]["kept_referenced"] == 5


def test_rows_that_refer_to_each_other_go_level_by_level(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table logs (id int primary key, at timestamptz, parent int references logs)")
    db.execute("create index on logs (at)")
    db.execute("create index on logs (parent)")
    db.execute(
        "insert into logs select n, '2024-01-01'::timestamptz + n * interval '1 s', nullif(n - 1, 0) "
        "from generate_series(1, 5) n"
    )
    db.execute("insert into logs select n, '2024-06-15' from generate_series(6, 40) n")
    db.execute("analyze logs")
    done = run(database, DELETE)
    assert done.statuses == ["done"], done.outcomes
    assert count(db, "logs") == 35


def test_row_level_security_is_refused(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("create role keeper login password 'x' noinherit")
    try:
        db.execute("grant select, delete on logs to keeper")
        db.execute("alter table logs enable row level security")
        with as_role(database, user="keeper", password="x") as opened:
            plan = retention(target({"public.logs": DELETE})).plan(opened, AT)
        assert "row-level security" in plan.actions[0].blocked[1]  # type: ignore[index]
        db.execute("alter table logs disable row level security")
        db.execute("revoke delete on logs from keeper")
        with as_role(database, user="keeper", password="x") as opened:
            plan = retention(target({"public.logs": DELETE})).plan(opened, AT)
            frames = JOB.frames(
                retention(target({"public.logs": DELETE})).observe(opened, AT),
                target({"public.logs": DELETE}),
                "before",
                None,
                [],
            )
        assert "pg_monitor" in str(next(f.remedy for f in plan.findings if f.check == "server_activity"))
        assert "may not SELECT and DELETE" in plan.actions[0].blocked[1]  # type: ignore[index]
        assert frames["tables"][0]["writable"] is False
        db.execute("grant delete on logs to keeper")
        with as_role(database, user="keeper", password="x") as opened:
            assert retention(target({"public.logs": DELETE})).run(opened, AT).statuses == ["done"]
    finally:
        db.execute("drop owned by keeper")
        db.execute("drop role keeper")


@pytest.mark.parametrize("what", ["table logs", "all tables", "tables in schema public"])
def test_a_publication_is_reported_and_a_missing_identity_refused(
    db: psycopg.Connection[Any], database: str, what: str
) -> None:
    if what.startswith("tables in"):
        only(db, since=15)
    logs(db)
    db.execute(f"create publication p for {what}")
    with session(database) as opened:
        plan = retention(target({"public.logs": DELETE})).plan(opened, AT)
        assert plan.actions[0].blocked is None
        assert "published by p" in next(f.summary for f in plan.findings if f.check == "publication")
    db.execute("alter table logs drop constraint logs_pkey")
    assert "replica identity full" in refused(database)


def test_a_small_table_needs_no_index(db: psycopg.Connection[Any], database: str) -> None:
    logs(db, index=False)
    done = run(database, DELETE)
    assert done.statuses == ["done"], done.outcomes
    assert count(db, "logs", CUT_OFF) == 0


def test_a_brin_index_will_do(db: psycopg.Connection[Any], database: str) -> None:
    logs(db, 30_000, index=False)
    db.execute("create index on logs using brin (at)")
    db.execute("analyze logs")
    done = run(database, "retain: {by: at, for: 500 days, then: delete, requires: nothing}")
    assert done.statuses == ["done"], (done.plan.findings, done.outcomes)
    assert count(db, "logs", "at < timestamptz '2024-06-15 12:00+00' - interval '500 days'") == 0
    assert count(db, "logs") == 12_000


def test_an_empty_table_and_one_with_nothing_due(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create table logs (at timestamptz)")
    assert run(database, DELETE).kinds == []
    db.execute("insert into logs values ('2024-06-15')")
    assert run(database, DELETE).kinds == []


def test_statistics_are_fresh_afterwards(db: psycopg.Connection[Any], database: str) -> None:
    logs(db, 20_000)
    run(database, DELETE)
    db.execute("select pg_stat_clear_snapshot()")
    row = db.execute("select last_analyze is not null from pg_stat_user_tables where relname = 'logs'").fetchone()
    assert row == (True,)


def test_the_share_limit(db: psycopg.Connection[Any], database: str) -> None:
    logs(db, 4000)  # 3280 of them due
    with session(database) as opened:
        plan = retention(target({"public.logs": DELETE})).plan(opened, AT)
        assert plan.actions[0].rows == 3280
        assert "82%" in (plan.actions[0].over_limit or "")
        assert plan.awaiting
        db.execute("truncate logs")
        db.execute(
            "insert into logs (at) select timestamptz '2024-06-15 12:00+00' - n * interval '1 hour' "
            "from generate_series(1, 3000) n"
        )
        plan = retention(target({"public.logs": DELETE})).plan(opened, AT)
        assert plan.actions[0].over_limit is None
        assert not plan.awaiting


@pytest.mark.parametrize(
    ("requires", "kind", "age"),
    [("approval", "approval", None), ("nothing", "nothing", None), ("{backup: 26 hours}", "backup", 93600.0)],
)
def test_what_the_policy_requires_goes_with_every_action(
    db: psycopg.Connection[Any], database: str, requires: str, kind: str, age: float | None
) -> None:
    logs(db)
    with session(database) as opened:
        what = target({"public.logs": DELETE.replace("requires: nothing", f"requires: {requires}")})
        plan = retention(what).plan(opened, AT)
    assert [(a.requires.kind, a.requires.backup_age_seconds, a.destructive) for a in plan.actions if a.destructive] == [
        (kind, age, True)
    ]


def test_hostile_names(db: psycopg.Connection[Any], database: str) -> None:
    name = '"We""ird. %s {x} \'; drop table logs; --"'
    column = '"Zeit % {at}"'
    db.execute(f"create table {name} (id int, {column} timestamptz)".encode())
    db.execute(f"create index on {name} ({column})".encode())
    db.execute(f"insert into {name} select n, '2024-01-01' from generate_series(1, 5) n".encode())
    db.execute(f"insert into {name} select n, '2024-06-15' from generate_series(1, 50) n".encode())
    db.execute(f'create table "Old %" (like {name})'.encode())
    policy = "retain: {by: '" + column + "', for: 30 days, then: archive, into: 'public.\"Old %\"', requires: nothing}"
    done = run(database, policy, f"public.{name}")
    assert done.statuses == ["done"], (done.plan.findings, done.outcomes)
    assert count(db, '"Old %"') == 5


def test_the_policy_of_a_glob(db: psycopg.Connection[Any], database: str) -> None:
    for name in ("log_a", "log_b"):
        db.execute(f"create table {name} (at timestamptz)")
        db.execute(f"insert into {name} values ('2024-01-01'), ('2024-06-15'), ('2024-06-15')")
    done = run(database, DELETE, "public.log_*")
    assert [a.subject for a in done.plan.actions if a.destructive] == ["public.log_a", "public.log_b"]
    assert done.statuses == ["done", "done"]


def test_a_glob_means_no_archive_and_no_detached_partition(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 3, 6)
    db.execute("create table moved (id int primary key, at timestamptz)")
    db.execute("create table moved_archive (like moved including all)")
    db.execute("insert into moved_archive values (1, '2020-01-01')")
    db.execute("insert into moved values (2, '2020-01-01'), (3, '2024-06-15')")
    db.execute("create table other (at timestamptz)")
    db.execute("insert into other values ('2020-01-01'), ('2024-06-15')")
    archive = "retain: {by: at, for: 30 days, then: archive, into: public.moved_archive, precision: row}"
    what = target(
        {
            "public.logs": "retain: {by: at, for: 30 days, then: delete, requires: nothing}",
            "public.moved": archive,
            "public.*": DELETE,
        }
    )
    book = retention(what)
    with session(database) as opened:
        first = book.run(opened, AT)
        assert set(first.statuses) == {"done"}, first.outcomes
        again = book.run(opened, AT)
    assert {a.subject for a in first.plan.actions} == {"public.logs", "public.moved", "public.other"}
    assert again.plan.actions == ()
    assert (count(db, "logs_3"), count(db, "logs_4")) == (10, 10)  # detached, whole, until the grace is over
    assert (count(db, "moved_archive"), count(db, "moved"), count(db, "other")) == (2, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        "alter table logs add column note text; update logs set note = 'late'",
        "alter table logs alter column msg type varchar(60)",
        "alter table old add column more int",
    ],
)
def test_columns_that_change_after_the_plan_stop_the_archive(
    db: psycopg.Connection[Any], database: str, change: str
) -> None:
    """A plan may wait a day for its approval: values of a new column would go with the rows and arrive nowhere."""
    logs(db)
    db.execute("alter table logs alter column msg type varchar(40)")
    db.execute("create table old (like logs including all)")
    before = count(db, "logs")
    what = target({"public.logs": ARCHIVE})
    book = retention(what)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        planned = JOB.plan(observation, what)
        for statement in change.split("; "):
            db.execute(statement)
        (action,) = [a for a in planned.actions if a.kind == "archive_rows"]
        outcome = book.apply(opened, action, observation)
        assert (outcome.status, outcome.reason_code) == ("skipped", "state_changed"), outcome
        assert "not those of the plan" in (outcome.message or "")
        assert (count(db, "logs"), count(db, "old")) == (before, 0)
