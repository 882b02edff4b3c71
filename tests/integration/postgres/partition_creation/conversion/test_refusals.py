"""What cannot be converted, or not yet: each reason with the objects it names, and what to do about it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.harness import conversions as conv
from tests.harness import least
from tests.harness import postgres as help_
from tests.harness.jobs import on
from tests.harness.postgres import creation
from upkeep import gates
from upkeep.fleet import Target
from upkeep.model import FindingStatus, GateResult, Observation, ReasonCode, Severity
from upkeep.postgres.partition_creation import JOB
from upkeep.postgres.partition_creation.conversion import observe

AT = on("2024-02-15 12:00")
PLAIN = "create table public.t (id int not null, at timestamptz not null, x text)"
FUNCTION = "create function public.f() returns trigger language plpgsql as 'begin return new; end'"


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def gate(observation: Observation, what: Target) -> GateResult:
    frames = JOB.frames(observation, what, "before", None, [])
    return gates.evaluate("partition_creation", "postgres", "before", frames)


REFUSALS = [
    (["alter table public.t add primary key (id)"], "t_pkey (id) lacks the partition column at", "primary and unique"),
    (['create unique index "U q" on public.t (lower(x))'], '"U q" ((expression)) lacks', "primary and unique"),
    (["create unique index u on public.t (id) include (at)"], "u (id) lacks", "part of every"),
    (
        ["alter table public.t add constraint ex exclude using btree (id with =, at with =)"],
        "exclusion constraint: ex",
        "drop the exclusion constraint",
    ),
    (
        [
            "alter table public.t add primary key (id, at)",
            "create table public.o (i int, a timestamptz, constraint fk foreign key (i, a) references public.t)",
        ],
        "foreign key fk of public.o points to it",
        "drop the foreign key",
    ),
    (["create table public.o () inherits (public.t)"], "public.o inherit from it", "no inherit"),
    (
        ["create table public.o (id int not null)", "alter table public.t inherit public.o"],
        "from public.o",
        "no inherit",
    ),
    (["create view public.v as select x from public.t"], "view public.v depends on it", "drop the view"),
    (['create materialized view public."M v" as select x from public.t'], 'materialized view public."M v"', "again"),
    (
        ["create table public.o (i int)", "create rule r as on insert to public.o do also delete from public.t"],
        "rule r of public.o depends",
        "drop the rule",
    ),
    (["create rule own as on delete to public.t do instead nothing"], "it has rules: own", "triggers"),
    (
        ["create function public.g() returns bigint language sql begin atomic select count(*) from public.t; end"],
        "function public.g() depends",
        "string",
    ),
    (
        [
            "create table public.o (i int)",
            "create policy p on public.o using (exists (select from public.t))",
        ],
        "policy p of public.o depends",
        "drop the policy",
    ),
    (["create table public.o (r public.t)"], "row type column r of table public.o", "type of its own"),
    (["create function public.g(public.t) returns int language sql as 'select 1'"], "function public.g(", "its own"),
    (
        [
            "create type public.ty as (id int, at timestamptz)",
            "drop table public.t",
            "create table public.t of public.ty",
        ],
        "typed table",
        "not of",
    ),
    (["alter table public.t alter at drop not null", "insert into public.t (id) values (1)"], "(NULL)", "set not null"),
    (
        [
            FUNCTION,
            "set search_path = public",
            "create trigger r after insert on public.t referencing new table as n for each row execute function f()",
        ],
        "row trigger r has transition tables",
        "statement trigger",
    ),
    (
        [
            FUNCTION.replace("begin", "begin new.n := 1; if new.at is null then new.at = now(); end if;"),
            "create trigger b before insert on public.t for each row execute function public.f()",
        ],
        "before trigger b sets at, but the partition is chosen before",
        "default",
    ),
    (
        [
            FUNCTION.replace("begin", "begin select now() into strict new.at;"),
            "create trigger b before update on public.t for each row execute function public.f()",
        ],
        "before trigger b sets at",
        "drop the trigger",
    ),
    (["alter table public.t add constraint c check (t is not null)"], "c reads the whole row", "by their names"),
    (
        [
            "create table public.o (i int primary key)",
            "alter table public.t add constraint fk foreign key (id) references public.o",
            "alter table public.t disable trigger all",
        ],
        "behind constraint fk are switched off",
        "alter table public.t enable trigger all",
    ),
    (
        [
            "alter table public.t alter id add generated always as identity",
            "create table public.o (i int default nextval('public.t_id_seq'))",
        ],
        "user of its identity's sequence default value for column i of table public.o depends",
        "sequence of its own",
    ),
    (
        ["create table public.o (i oid default 'public.t'::regclass::oid)"],
        "object default value for column i of table public.o depends",
        "create it again after",
    ),
    (
        [
            FUNCTION,
            "set search_path = public",
            "create table public.o (i int)",
            "create constraint trigger c after delete on public.o from public.t for each row execute function f()",
        ],
        "trigger c on table public.o depends",
        "create it again after",
    ),
    (["alter table public.t add constraint c check (id > 0) not valid"], "constraint c is not validated", "validate"),
    (["alter table public.t add constraint c check (id > 0) no inherit"], "c is declared NO INHERIT", "without"),
    (
        [
            "create table public.o (i int primary key)",
            "alter table public.t add constraint fk foreign key (id) references public.o not valid",
        ],
        "constraint fk is not validated",
        "validate constraint fk",
    ),
    (
        [
            "create table public.o (i int primary key) partition by hash (i)",
            "alter table public.t add constraint fk foreign key (id) references public.o",
        ],
        "fk points to the partitioned table public.o",
        "drop the foreign key",
    ),
    (["alter table public.t drop at", "alter table public.t add at text not null"], "at is of type text", "date"),
    (
        ["alter table public.t drop at", "alter table public.t add at int generated always as (id) stored"],
        "generated column",
        "another column",
    ),
    (["alter table public.t drop at"], "it has no column at", "correct 'by'"),
    (["insert into public.t values (1, 'infinity')"], "infinity", "correct those values"),
    (["insert into public.t values (1, '20000-01-01')"], "20000-01-01", "correct those values"),
    (["insert into public.t values (1, '0044-03-15 BC')"], "BC", "correct those values"),
    (["insert into public.t values (1, '9999-12-30')"], "9999-12-30", "correct those values"),
    (
        ["create publication refused_pub for table public.t (id, at)"],
        "publication refused_pub has a column list",
        "set (publish_via_partition_root = true)",
    ),
    (
        [
            "set allow_system_table_mods = on",
            "create unique index concurrently broken on public.t (id, at)",
            "update pg_catalog.pg_index set indisvalid = false where indexrelid = 'public.broken'::regclass",
        ],
        "index public.broken is invalid",
        "drop index concurrently public.broken",
    ),
]


@pytest.mark.parametrize(("changes", "reason", "remedy"), REFUSALS)
def test_refused_with_reason_and_remedy(database: str, db: Any, changes: list[str], reason: str, remedy: str) -> None:
    if "column list" in reason:
        help_.only(db, since=15)
    db.execute(PLAIN)
    for change in changes:
        db.execute(change)
    what = help_.target({"public.t": conv.POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session, AT)
        planned = JOB.plan(observation, what)
        before = gates.evaluate(
            "partition_creation", "postgres", "before", JOB.frames(observation, what, "before", None, [])
        )
    assert planned.actions == ()
    (found,) = [f for f in planned.findings if f.severity is Severity.ERROR]
    assert found.check == "partitioned"
    assert found.subject == "public.t"
    assert reason in found.summary, found
    assert remedy in (found.remedy or ""), found
    assert before.stopped_subjects == {"public.t"}


def test_every_reason_is_said_at_once(database: str, db: Any) -> None:
    db.execute(PLAIN)
    db.execute("alter table public.t add primary key (id)")
    db.execute("create view public.v as select * from public.t")
    with help_.session(database) as session:
        planned = creation(help_.target({"public.t": conv.POLICY})).plan(session, AT)
    (found,) = [f for f in planned.findings if f.check == "partitioned"]
    assert len(found.evidence["reasons"]) == 2


def test_other_kinds_of_tables(database: str, db: Any) -> None:
    db.execute("create extension if not exists postgres_fdw")
    db.execute("create server away foreign data wrapper postgres_fdw")
    db.execute("create foreign table public.far (at timestamptz) server away")
    db.execute("create materialized view public.mat as select now() as at")
    db.execute("create sequence public.seq")
    db.execute("create table public.p (at timestamptz) partition by range (at)")
    db.execute("create table public.p1 partition of public.p for values from ('2024-01-01') to ('2025-01-01')")
    names = {
        "far": "a foreign table",
        "mat": "a materialized view",
        "seq": "a sequence",
        "p1": "it is a partition of public.p",
    }
    with help_.session(database) as session:
        planned = creation(help_.target({f"public.{n}": conv.POLICY for n in names})).plan(session, AT)
    said = {f.subject.removeprefix("public."): f.summary for f in planned.findings if f.check == "partitioned"}
    assert {name: text in said[name] for name, text in names.items()} == dict.fromkeys(names, True)
    assert planned.actions == ()


def test_not_the_owner_and_a_schema_closed_to_the_owner(database: str, db: Any) -> None:
    for role in ("conv_stranger login password 'x'", "conv_other"):
        db.execute(f"do $$ begin create role {role}; exception when duplicate_object then null; end $$")
    db.execute(PLAIN)
    db.execute("create table public.u (at timestamptz not null)")
    db.execute("alter table public.u owner to conv_other")
    db.execute("revoke create on schema public from public")
    what = help_.target({"public.t": conv.POLICY, "public.u": conv.POLICY})
    with help_.session(database, user="conv_stranger", password="x") as session:
        planned = creation(what).plan(session, AT)
    said = {f.subject: f for f in planned.findings if f.check == "partitioned"}
    assert "lacks the rights of its owner app_owner" in said["public.t"].summary
    assert "grant app_owner" in (said["public.t"].remedy or "")
    db.execute(f"grant conv_other to {least.ROLE}")
    with help_.session(database) as session:
        planned = creation(what).plan(session, AT)
    (found,) = [f for f in planned.findings if f.check == "partitioned"]
    assert "its owner conv_other may not create tables in its schema" in found.summary
    assert "grant create on schema public to conv_other" in (found.remedy or "")


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("partition: {by: id, modulus: 4}", "only range partitions"),
        ("partition: {by: x, list: {a: [a]}}", "only range partitions"),
        ("partition: {by: at, every: 1 month, ahead: 1, subpartition: {by: id, modulus: 2}}", "sub-partitions"),
        ("partition: {by: id, every: 1 month, ahead: 1}", "does not say what it counts"),
        ("partition: {by: at, every: 100, ahead: 1}", "is a number of ids"),
    ],
)
def test_policies_that_do_not_fit(database: str, db: Any, policy: str, text: str) -> None:
    db.execute(PLAIN)
    with help_.session(database) as session:
        planned = creation(help_.target({"public.t": policy})).plan(session, AT)
    assert planned.actions == ()
    (found,) = [f for f in planned.findings if f.severity is Severity.ERROR]
    assert text in found.summary


def test_what_could_not_be_looked_at_is_no_refusal(database: str, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "LOOK_SECONDS", 0.001)
    db.execute(PLAIN)
    db.execute("insert into public.t select g, now() from generate_series(1, 100000) g")
    what = help_.target({"public.t": conv.POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        planned = JOB.plan(observation, what)
    (found,) = [f for f in planned.findings if f.check == "partitioned"]
    assert found.status is FindingStatus.NOT_AVAILABLE
    assert "index" in (found.remedy or "")
    before = gates.evaluate(
        "partition_creation", "postgres", "before", JOB.frames(observation, what, "before", None, [])
    )
    assert before.success


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("drop table public.t", "dropped"),
        ("alter table public.t rename to u", "name"),
        ("alter table public.t add column y int", "columns"),
        ("create index new on public.t (id)", "indexes"),
        ("grant select on public.t to public", "grants"),
        ("create view public.v as select 1 from public.t", "view public.v"),
        (f"{FUNCTION}; create trigger z after insert on public.t for each row execute function public.f()", "triggers"),
        ("insert into public.t values (1, '2030-01-01')", "2030-01-01"),
        ("insert into public.t values (1, '1999-01-01')", "1999-01-01"),
    ],
)
def test_altered_between_plan_and_apply(database: str, db: Any, change: str, says: str) -> None:
    db.execute(PLAIN)
    what = help_.target({"public.t": conv.POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        (action,) = JOB.plan(observation, what).actions
        db.execute(change)
        outcome = creation(what).apply(session, action, observation)
    assert outcome.status == "skipped", outcome
    assert outcome.reason_code is ReasonCode.STATE_CHANGED
    assert says in (outcome.message or "")
    assert conv.left_behind(db) == 0


def test_a_row_beyond_the_bounds_at_the_last_moment(database: str, db: Any) -> None:
    """Written after the look at the rows: the proof finds it, and the CHECK goes."""
    db.execute(PLAIN)
    what = help_.target({"public.t": conv.POLICY})
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        (action,) = JOB.plan(observation, what).actions
        late = ["insert into public.t values (1, '2030-01-01')"]

        def trace(statement: str) -> None:
            if statement.startswith("lock table") and late:
                db.execute(late.pop())

        session.trace = trace
        outcome = creation(what).apply(session, action, observation)
    assert outcome.reason_code is ReasonCode.STATE_CHANGED, outcome
    assert "violated" in (outcome.message or "")
    assert conv.left_behind(db) == 0


def test_ids_without_a_sequence_that_grew_beyond_the_bound(database: str, db: Any) -> None:
    """Nobody is refused meanwhile: it is seen before the CHECK is there."""
    db.execute("create table public.t (id bigint primary key)")
    db.execute("insert into public.t select generate_series(1, 150)")
    what = help_.target({"public.t": "partition: {by: id, every: 100, ahead: 1}"})
    sent: list[str] = []
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        (action,) = JOB.plan(observation, what).actions
        for highest in (299, 300):
            db.execute("insert into public.t values (%s)", [highest])
            session.trace = sent.append
            outcome = creation(what).apply(session, action, observation)
            assert outcome.reason_code is ReasonCode.STATE_CHANGED, outcome
            assert "plan again" in (outcome.message or "")
    assert not any("add constraint" in statement for statement in sent)


def test_writers_that_came_too_near_to_the_bound(database: str, db: Any) -> None:
    db.execute("create table public.t (id bigint generated always as identity primary key)")
    what = help_.target({"public.t": "partition: {by: id, every: 100, ahead: 1}"})
    with help_.session(database) as session:
        observation = creation(what).observe(session)
        (action,) = JOB.plan(observation, what).actions
        db.execute("select setval('public.t_id_seq', 180)")
        outcome = creation(what).apply(session, action, observation)
    assert outcome.reason_code is ReasonCode.STATE_CHANGED
    assert "plan again" in (outcome.message or "")
