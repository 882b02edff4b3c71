"""Partition creation on a real server: what is made, and what is only said. Citations: anchors/postgres.md, B."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.harness import postgres as help_
from tests.harness.jobs import all_done, on, undo
from tests.harness.postgres import MONTHLY, creation
from upkeep.model import FindingStatus, Severity, TargetReport, TargetStatus
from upkeep.postgres.partition_creation import JOB
from upkeep.run import rules

AT = on("2024-02-15 12:00")


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def logs(db: psycopg.Connection[Any], *partitions: str, type_: str = "timestamptz", extra: str = "") -> None:
    db.execute(
        f"create table public.logs (id bigint not null, at {type_} not null, msg text, primary key (id, at)) "
        f"partition by range (at) {extra}"
    )
    for number, span in enumerate(partitions):
        lower, upper = span.split("..")
        db.execute(
            f"create table public.logs_{number} partition of public.logs for values from ('{lower}') to ('{upper}')"
        )


def test_desired_minus_existing_then_nothing(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, "2024-01-01..2024-02-01")
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        assert [a.args["child"]["name"] for a in planned.actions] == ["logs_2024_02", "logs_2024_03", "logs_2024_04"]
        assert all_done(outcomes)
        assert creation(what).plan(session, AT).actions == ()
        frames = JOB.frames(creation(what).observe(session, AT), what, "after", planned, outcomes)
    assert help_.bounds(db, "public.logs") == [
        "2024-01-01..2024-02-01",
        "2024-02-01..2024-03-01",
        "2024-03-01..2024-04-01",
        "2024-04-01..2024-05-01",
    ]
    assert frames["tables"][0]["ahead_missing"] == frames["tables"][0]["gaps"] == frames["tables"][0]["overlaps"] == 0
    assert db.execute("select count(*) from pg_constraint where conname like 'upkeep%'").fetchone() == (0,)


def test_plan_changes_nothing_and_is_repeatable(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        first, second = creation(what).plan(session, AT), creation(what).plan(session, AT)
    assert first.plan_id == second.plan_id
    assert help_.bounds(db, "public.logs") == []


def test_gaps_irregular_bounds_and_far_future_partitions(database: str, db: psycopg.Connection[Any]) -> None:
    # pg_partman#334, #367: continued from the existing upper bound; #213: the year 3000 is no guide
    logs(db, "2023-11-01..2023-12-01", "2024-01-01..2024-02-10 07:00+00", "3000-01-01..3000-02-01")
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        assert all_done(creation(what).run(session, AT).outcomes)
    assert help_.bounds(db, "public.logs") == [
        "2023-11-01..2023-12-01",
        "2023-12-01..2024-01-01",
        "2024-01-01..2024-02-10 07:00:00",
        "2024-02-10 07:00:00..2024-03-01",
        "2024-03-01..2024-04-01",
        "2024-04-01..2024-05-01",
        "3000-01-01..3000-02-01",
    ]


def test_cap_on_creations_says_so_and_goes_on_the_next_day(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, "2024-01-01..2024-01-02")
    what = help_.target({"public.logs": "partition: {by: at, every: 1 day, ahead: 2, max_creations: 20}"})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        assert len(outcomes) == 20
        assert planned.actions[0].args["lower"].startswith("2024-02-15")  # the current period first
        assert [f.check for f in planned.findings if f.severity is Severity.WARNING] == ["creation_cap"]
        creation(what).run(session, AT)
        creation(what).run(session, AT)
        assert creation(what).plan(session, AT).actions == ()


def test_backfill_never_creates_what_todays_retention_would_remove(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    what = help_.target({"public.logs": f"{MONTHLY}\nretain: {{for: 30 days, then: delete}}"})
    with help_.session(database) as session:
        assert creation(what).plan(session, on("2020-02-15")).actions == ()
        assert len(creation(what).plan(session).actions) == 3


OLD = "2023-06-01..2023-07-01"


@pytest.mark.parametrize(
    ("retain", "by", "made"),
    [
        ("precision: row", "at", []),
        ("precision: partition", "at", []),
        ("precision: row", "seen", ["logs_2023_07", "logs_2023_08"]),  # its bounds say nothing of that age
    ],
)
def test_no_gap_is_filled_that_todays_retention_would_empty(
    database: str, db: psycopg.Connection[Any], retain: str, by: str, made: list[str]
) -> None:
    # an old partition that is due but stays (rows of others refer to it) must not bring back all that follow it
    db.execute("create table public.logs (at timestamptz not null, seen timestamptz) partition by range (at)")
    for number, span in enumerate([OLD, "2023-09-01..2023-10-01", "2024-02-01..2024-03-01"]):
        low, high = span.split("..")
        db.execute(f"create table logs_{number} partition of logs for values from ('{low}+00') to ('{high}+00')")
    level = "partition: {by: at, every: 1 month, ahead: 0, from: 2023-06-01}"
    what = help_.target({"public.logs": f"{level}\nretain: {{by: {by}, for: 30 days, then: delete, {retain}}}"})
    with help_.session(database) as session:
        planned = creation(what).plan(session, AT)
        names = [a.args["child"]["name"] for a in planned.actions]
        assert sorted(names)[:2] == made
        (after,) = JOB.frames(creation(what).observe(session, AT), what, "after", planned, [])["tables"]
    assert after["gaps"] == (2 if made else 0)


@pytest.mark.parametrize(
    ("type_", "policy", "at", "expected"),
    [
        (
            "timestamptz",
            "every: 1 month, ahead: 0, timezone: Europe/Berlin",
            "2024-03-31 23:30",
            "2024-03-31 22:00:00..2024-04-30 22:00:00",
        ),
        (
            "timestamptz",
            "every: 1 hour, ahead: 0, timezone: Europe/Berlin",
            "2024-10-27 01:30",
            "2024-10-27 01:00:00..2024-10-27 02:00:00",
        ),
        ("timestamp", "every: 1 day, ahead: 0, timezone: Europe/Berlin", "2024-03-31 23:30", "2024-04-01..2024-04-02"),
        ("date", "every: 1 week, ahead: 0", "2024-03-31 23:30", "2024-03-25..2024-04-01"),
        ("bigint", "every: 1 day, ahead: 0, unit: seconds", "1970-01-02 10:00", "86400..172800"),
        ("bigint", "every: 1 day, ahead: 0, unit: milliseconds", "1970-01-02 10:00", "86400000..172800000"),
        ("integer", "every: 1000, ahead: 0", "2024-01-01", "0..1000"),
    ],
)
def test_every_kind_of_key(  # noqa: PLR0917 - a row of the table above
    database: str, db: psycopg.Connection[Any], type_: str, policy: str, at: str, expected: str
) -> None:
    logs(db, type_=type_)
    what = help_.target({"public.logs": f"partition: {{by: at, {policy}}}"})
    db.execute("alter role upkeep set timezone = 'Pacific/Apia'")  # sessions of other zones change nothing
    try:
        with help_.session(database) as session:
            assert all_done(creation(what).run(session, on(at)).outcomes)
            assert creation(what).plan(session, on(at)).actions == ()
    finally:
        db.execute("alter role upkeep reset timezone")
    assert help_.bounds(db, "public.logs") == [expected]


def test_ids_follow_their_sequence_or_their_data(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.a (id bigint generated always as identity primary key) partition by range (id)")
    db.execute("create table public.b (id bigint primary key) partition by range (id)")
    for name in "ab":
        db.execute(f"create table public.{name}_0 partition of public.{name} for values from (0) to (100)")
        db.execute(f"create table public.{name}_1 partition of public.{name} for values from (100) to (200)")
    db.execute("select setval('public.a_id_seq', 150)")
    db.execute("insert into public.b values (7)")
    what = help_.target({f"public.{n}": "partition: {by: id, every: 100, ahead: 2}" for n in "ab"})
    with help_.session(database) as session:
        assert all_done(creation(what).run(session).outcomes)
    assert help_.bounds(db, "public.a") == ["0..100", "100..200", "200..300", "300..400"]
    assert help_.bounds(db, "public.b") == ["0..100", "100..200", "200..300"]


def test_ids_that_cannot_be_seen_are_not_taken_for_few(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.b (id bigint primary key) partition by range (id)")
    db.execute("create table public.b_0 partition of public.b for values from (0) to (100)")
    db.execute("insert into public.b values (99)")
    what = help_.target({"public.b": "partition: {by: id, every: 100, ahead: 0}"})
    with help_.session(database) as session:
        assert creation(what).plan(session).actions == ()
        with db.transaction():
            db.execute("lock table public.b_0 in access exclusive mode")
            planned = creation(what).plan(session)
        assert planned.actions == ()
        (unseen,) = [f for f in planned.findings if f.check == "highest_id"]
        assert unseen.status is FindingStatus.NOT_AVAILABLE


HOSTILE = ["Mixed Case", "we.ird", 'ta"ble', "quo'te", "select", "perc%ent", "brace{}s", "x" * 63, "ä" * 31]
HOSTILE += ["; drop table x; --"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(database: str, db: psycopg.Connection[Any], name: str) -> None:
    column = name[:20]
    table, key = sql.Identifier('We ird.sch"ema', name), sql.Identifier(column)
    db.execute(sql.SQL("create schema {}").format(sql.Identifier('We ird.sch"ema')))
    db.execute(sql.SQL("create table {} ({} timestamptz not null) partition by range ({})").format(table, key, key))
    default = sql.Identifier('We ird.sch"ema', "de fault")
    db.execute(sql.SQL("create table {} partition of {} default").format(default, table))
    db.execute(sql.SQL("insert into {} select '2024-02-02' from generate_series(1, 2500)").format(table))
    written = table.as_string(None)
    by = key.as_string(None).replace("'", "''")
    what = help_.target({written: f"partition: {{by: '{by}', every: 1 month, ahead: 1}}"})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        assert all_done(outcomes), outcomes
        assert [a.args["move"] for a in planned.actions] == [2500, 0]
        assert creation(what).plan(session, AT).actions == ()
    children = [a.args["child"]["name"] for a in planned.actions]
    assert all(len(c.encode()) <= 63 for c in children)
    assert len(set(children)) == 2
    assert db.execute(sql.SQL("select count(*) from {}").format(table)).fetchone() == (2500,)


def test_a_name_that_is_taken_is_not_touched(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    db.execute("create view public.logs_2024_02 as select 1 as one")
    db.execute("create type public.logs_2024_03 as enum ('a')")
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    assert all_done(outcomes)
    names = [a.args["child"]["name"] for a in planned.actions]
    assert names[0].startswith("logs_2024_02_")
    assert names[1].startswith("logs_2024_03_")
    assert names[2] == "logs_2024_04"
    assert db.execute("select one from public.logs_2024_02").fetchone() == (1,)


def test_made_like_its_siblings(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, "2024-01-01..2024-02-01", "2024-02-01..2024-03-01")
    db.execute("drop role if exists upkeep_reader")
    db.execute("create role upkeep_reader")
    db.execute("alter table public.logs add check (msg <> 'bad')")
    db.execute("create index on public.logs (msg)")
    db.execute("alter table public.logs_1 set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)")
    db.execute("alter table public.logs_1 set (toast.autovacuum_enabled = false)")
    db.execute("alter table public.logs_1 replica identity full")
    db.execute("alter table public.logs_1 alter column msg set statistics 500")
    db.execute("grant select, insert on public.logs_1 to upkeep_reader with grant option")
    db.execute("grant update (msg) on public.logs_1 to public")
    db.execute("create index on public.logs_1 (lower(msg)) where msg <> ''")
    what = help_.target({"public.logs": MONTHLY})
    facts = """
        select c.reloptions, t.reloptions, c.relreplident, c.relacl::text, a.attstattarget, a.attacl::text, c.relowner,
            (select array_agg(d order by d) from (
                select substring(pg_get_indexdef(i.indexrelid) from ' USING .*') as d
                from pg_index i where i.indrelid = c.oid) as x),
            (select array_agg(d order by d) from (
                select pg_get_constraintdef(k.oid) as d from pg_constraint k where k.conrelid = c.oid) as y)
        from pg_class c join pg_class t on t.oid = c.reltoastrelid
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'msg' where c.oid = %s::regclass"""
    try:
        with help_.session(database) as session:
            assert all_done(creation(what).run(session, AT).outcomes)
        siblings = [db.execute(facts, [f"public.logs_{n}"]).fetchone() for n in ("1", "2024_03", "2024_04")]
    finally:
        db.execute("drop owned by upkeep_reader; drop role upkeep_reader")
    assert siblings[0] is not None
    assert "fillfactor=70" in siblings[0][0]
    assert siblings[0] == siblings[1] == siblings[2]


def test_replica_identity_by_index(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, "2024-01-01..2024-02-01")
    db.execute("alter table public.logs replica identity using index logs_pkey")
    db.execute("alter table public.logs_0 replica identity using index logs_0_pkey")
    with help_.session(database) as session:
        assert all_done(creation(help_.target({"public.logs": MONTHLY})).run(session, AT).outcomes)
    marked = "select count(*) from pg_index where indisreplident and indrelid::regclass::text like '%logs_2024%'"
    assert db.execute(marked).fetchone() == (3,)


def test_foreign_keys_both_ways(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.kinds (kind int primary key)")
    logs(db, "2024-01-01..2024-02-01")
    db.execute("alter table public.logs add column kind int references public.kinds")
    db.execute("create table public.notes (id bigint, at timestamptz, foreign key (id, at) references public.logs)")
    with help_.session(database) as session:
        assert all_done(creation(help_.target({"public.logs": MONTHLY})).run(session, AT).outcomes)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        db.execute("insert into public.logs values (1, '2024-03-03', 'x', 9)")


DEEP = "create table public.deep_0 partition of public.deep default partition by hash (id)"
UNFIT = {
    "l": ["(region text, at timestamptz) partition by list (region)"],
    "h": ["(id int, at timestamptz) partition by hash (id)"],
    "two": ["(at timestamptz, id int) partition by range (at, id)"],
    "expr": ["(at timestamptz) partition by range ((at at time zone 'UTC'))"],
    "txt": ["(at text) partition by range (at)"],
    "uuid": ["(at uuid) partition by range (at)"],
    "number": ["(at numeric) partition by range (at)"],
    "deep": ["(at timestamptz, id int) partition by range (at)", DEEP],
}


@pytest.mark.parametrize("name", UNFIT)
def test_declared_headroom_that_nobody_provides_is_an_error(
    database: str, db: psycopg.Connection[Any], name: str
) -> None:
    db.execute(f"create table public.{name} {UNFIT[name][0]}")
    for statement in UNFIT[name][1:]:
        db.execute(statement)
    what = help_.target({f"public.{name}": MONTHLY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
    planned = JOB.plan(observation, what)
    assert planned.actions == ()
    (said,) = [f for f in planned.findings if f.check == "partition_strategy"]
    assert (said.subject, said.status, said.severity) == (f"public.{name}", FindingStatus.FINDING, Severity.ERROR)
    assert said.remedy
    assert "policy" in said.remedy or "subpartition" in said.remedy
    report = TargetReport(target="t", engine="postgres", status=TargetStatus.OK, findings=planned.findings)
    assert rules.conclude(report) is TargetStatus.PARTIAL


def test_a_policy_that_does_not_fit_fails_its_table_alone(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    db.execute("create table public.plain (id int primary key, at timestamptz)")
    db.execute("create table public.keyless (at timestamptz)")  # can be converted: waits for approval
    db.execute("create table public.other (made timestamptz not null) partition by range (made)")
    db.execute("create table public.epoch (at bigint not null) partition by range (at)")
    db.execute("create view public.view as select 1")
    names = ["plain", "other", "epoch", "view", "missing"]
    what = help_.target({f"public.{n}": MONTHLY for n in (*names, "keyless", "logs")})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
        planned, outcomes = creation(what).run(session, AT)
    assert all_done(outcomes)
    assert {a.subject for a in planned.actions if not a.needs_person} == {"public.logs"}
    assert [(a.subject, a.kind) for a in planned.actions if a.needs_person] == [("public.keyless", "convert_table")]
    errors = {f.subject.removeprefix("public."): f for f in planned.findings if f.severity is Severity.ERROR}
    assert sorted(errors) == sorted(names)
    assert "plain_pkey (id) lacks the partition column at" in errors["plain"].summary
    assert "primary and unique key" in (errors["plain"].remedy or "")
    assert errors["other"].remedy == "write by: made"
    assert "unit" in (errors["epoch"].remedy or "")
    before = {r["subject"]: r for r in JOB.frames(observation, what, "before", None, [])["tables"]}
    assert not before["public.plain"]["supported"]
    assert not before["public.missing"]["exists"]
    assert before["public.logs"]["exists"]
    assert before["public.logs"]["supported"]


def test_globs_mean_tables_not_partitions(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db, "2024-01-01..2024-02-01")
    db.execute("create table public.logsx (at timestamptz not null) partition by range (at)")
    db.execute('create table public."logs*" (at timestamptz not null) partition by range (at)')
    what = help_.target({"public.logs*": MONTHLY, "public.nothing_*": MONTHLY})
    with help_.session(database) as session:
        planned = creation(what).plan(session, AT)
    assert {a.subject for a in planned.actions} == {"public.logs", "public.logsx", 'public."logs*"'}
    assert [f.subject for f in planned.findings if f.check == "table_exists"] == ["public.nothing_*"]


def test_pending_detach_is_seen(database: str, db: psycopg.Connection[Any]) -> None:
    # VERIFIED fact 4: a concurrent detach that timed out stays pending
    logs(db, "2024-01-01..2024-02-01", "2024-02-01..2024-03-01")
    with psycopg.connect(database) as reader:
        reader.execute("select from public.logs")
        db.execute("set lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            db.execute("alter table public.logs detach partition public.logs_0 concurrently")
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
    planned = JOB.plan(observation, what)
    assert JOB.frames(observation, what, "before", None, [])["tables"][0]["detach_pending"] is True
    said = next(f for f in planned.findings if f.check == "detach_pending")
    assert said.remedy == "alter table public.logs detach partition public.logs_0 finalize"


def test_missing_privileges_are_said(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    db.execute("drop role if exists upkeep_stranger")
    db.execute("create role upkeep_stranger login password 'secret'")
    what = help_.target({"public.logs": MONTHLY})
    try:
        with help_.session(database, user="upkeep_stranger", password="secret") as session:
            observation = creation(what).observe(session, AT)
            outcomes = creation(what).run(session, AT).outcomes
    finally:
        db.execute("drop role upkeep_stranger")
    assert JOB.frames(observation, what, "before", None, [])["tables"][0]["owned"] is False
    assert {o.status for o in outcomes} == {"failed"}
    assert "permission denied" in (outcomes[0].message or "") or "owner" in (outcomes[0].message or "")


def test_undo_drops_an_empty_partition_and_keeps_one_with_rows(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        db.execute("insert into public.logs values (1, '2024-02-20', 'x')")
        undone = [undo(JOB, session, a, o) for a, o in zip(planned.actions, outcomes, strict=True)]
    assert [u.status for u in undone] == ["skipped", "done", "done"]
    assert "holds rows" in (undone[0].message or "")
    assert help_.bounds(db, "public.logs") == ["2024-02-01..2024-03-01"]


def test_state_that_changed_since_the_plan(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    what = help_.target({"public.logs": MONTHLY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
        first, second, third = JOB.plan(observation, what).actions
        db.execute("create table public.x partition of public.logs for values from ('2024-02-01') to ('2024-03-01')")
        db.execute("create table public.y partition of public.logs for values from ('2024-03-15') to ('2024-03-16')")
        assert creation(what).apply(session, first, observation).message == "public.x was there already"
        assert creation(what).apply(session, second, observation).reason_code == "state_changed"
        db.execute("alter table public.logs rename to logs_old")
        assert creation(what).apply(session, third, observation).reason_code == "state_changed"


def test_a_thousand_partitions(database: str, db: psycopg.Connection[Any]) -> None:
    logs(db)
    what = help_.target({"public.logs": "partition: {by: at, every: 1 day, ahead: 1000, max_creations: 2000}"})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
        actions = JOB.plan(observation, what).actions
        assert len(actions) == 1001
        for action in actions[:30]:
            assert creation(what).apply(session, action, observation).status == "done"
    db.execute(
        "do $$ begin for d in 31..1100 loop execute format('create table public.d%s partition of public.logs for "
        "values from (%L) to (%L)', d, timestamptz '2024-02-15 00:00Z' + d * interval '24 hours', "
        "timestamptz '2024-02-15 00:00Z' + (d + 1) * interval '24 hours'); end loop; end $$"
    )
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    assert [a.args["lower"][:10] for a in planned.actions] == ["2024-03-16"]
    assert all_done(outcomes)
