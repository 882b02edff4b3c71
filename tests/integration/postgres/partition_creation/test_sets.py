"""List and hash partitions and sub-partitions on a real server: what is made, and what is only said. SPEC A2."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.harness import least
from tests.harness import postgres as help_
from tests.harness.jobs import all_done, on, undo
from tests.harness.postgres import creation
from upkeep import gates
from upkeep.model import Action, Finding, FindingStatus, Outcome, OutcomeStatus, Severity
from upkeep.postgres.partition_creation import JOB

AT = on("2024-02-15 12:00")
ZEROS = "00000000-0000-0000-0000-00000000000"


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def by_list(db: psycopg.Connection[Any], *values: str, type_: str = "text", default: bool = False) -> None:
    db.execute(f"create table public.t (id bigint, at timestamptz, k {type_}) partition by list (k)")
    for number, value in enumerate(values):
        db.execute(f"create table public.t_{number} partition of public.t for values in ({value})")
    if default:
        db.execute("create table public.t_rest partition of public.t default")


def listed(text: str, **other: Any) -> str:
    more = "".join(f", {key}: {value}" for key, value in other.items())
    return f"partition: {{by: k, list: {text}{more}}}"


def tree(db: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """Return the bounds of all partitions below a table by their names."""
    db.execute("set timezone = 'UTC'")
    rows = db.execute(
        "select c.relname, pg_get_expr(c.relpartbound, c.oid) from pg_partition_tree(%s) t "
        "join pg_class c on c.oid = t.relid where t.level > 0",
        [table],
    ).fetchall()
    return {name: text.removeprefix("FOR VALUES ") for name, text in rows}


def leftovers(db: psycopg.Connection[Any]) -> int:
    found = db.execute(
        "select (select count(*) from pg_constraint where conname like 'upkeep%') "
        "+ (select count(*) from pg_class where relname like 'upkeep%') "
        "+ (select count(*) from pg_description where description like 'upkeep%')"
    ).fetchone()
    return int(found[0]) if found else -1


def create(database: str, what: Any, at: Any = AT) -> tuple[list[Action], list[Finding], list[Outcome]]:
    """Run, look at the gates, and see that nothing is left to do."""
    with help_.session(database) as session:
        before = JOB.frames(creation(what).observe(session, at), what, "before", None, [])
        assert gates.evaluate("partition_creation", "postgres", "before", before).success
        planned, outcomes = creation(what).run(session, at)
        assert all_done(outcomes), outcomes
        observed = creation(what).observe(session, at)
        again = JOB.plan(observed, what)
        assert [a for a in again.actions if a.blocked is None] == []
        after = JOB.frames(observed, what, "after", again, outcomes)
        result = gates.evaluate("partition_creation", "postgres", "after", after)
        assert result.success == all(a.blocked is None for a in planned.actions), result
    return list(planned.actions), list(planned.findings), outcomes


def said(findings: list[Finding], *checks: str) -> list[Finding]:
    return [f for f in findings if f.check in checks]


# -- list --------------------------------------------------------------------------------------------


def test_missing_lists_are_created_and_others_are_only_said(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db, "'eu-west-1', 'eu-central-1'", "'mars'")
    what = help_.target({"public.t": listed("{eu: [eu-west-1, eu-central-1], us: [us-east-1], nowhere: [null]}")})
    actions, findings, _ = create(database, what)
    assert [a.args["child"]["name"] for a in actions] == ["t_us", "t_nowhere"]
    assert tree(db, "public.t") == {
        "t_0": "IN ('eu-west-1', 'eu-central-1')",
        "t_1": "IN ('mars')",
        "t_us": "IN ('us-east-1')",
        "t_nowhere": "IN (NULL)",
    }
    (one,) = said(findings, "list_undeclared")
    assert one.severity is Severity.INFO
    assert one.evidence["values"] == ["mars"]
    assert leftovers(db) == 0


@pytest.mark.parametrize(
    ("type_", "existing", "declared", "made"),
    [
        ("integer", "1", "{a: ['01'], b: [2, -3]}", "IN (2, '-3')"),
        ("bigint", "'1'", "{a: [1], b: ['20']}", "IN ('20')"),
        ("numeric(8,2)", "1.50", "{a: [1.5], b: [2]}", "IN (2.00)"),
        ("text", "'1'", "{a: ['1'], b: [\"it's \\\\ \\\"x\\\"\"]}", r"""IN ('it''s \ "x"')"""),
        ("varchar(4)", "'abcd'", "{a: [abcd], b: [efgh]}", "IN ('efgh')"),
        ("char(4)", "'ab'", "{a: ['ab  '], b: [ef]}", "IN ('ef  ')"),
        ("date", "'2024-01-01'", "{a: [2024-01-01], b: ['2024-2-1']}", "IN ('2024-02-01')"),
        ("boolean", "true", "{a: [true], b: [false]}", "IN (false)"),
        ("boolean", "true", "{a: ['t'], b: ['f', null]}", "IN (false, NULL)"),
        ("timestamptz", "'2024-01-01 00:00+00'", "{a: ['2024-01-01 01:00+01'], b: ['2024-01-02Z']}",
         "IN ('2024-01-02 00:00:00+00')"),
        ("bit(3)", "B'101'", "{a: ['101'], b: ['011']}", "IN ('011')"),
        ("uuid", f"'{ZEROS}1'", f"{{a: ['{{{ZEROS}1}}'], b: ['{ZEROS}B']}}", f"IN ('{ZEROS}b')"),
        ("public.mood", "'sad'", "{a: [sad], b: [happy]}", "IN ('happy')"),
        ("public.even", "2", "{a: [2], b: [4]}", "IN ('4')"),
        ('text collate "public"."nocase"', "'ABC'", "{a: [abc], b: [DEF]}", "IN ('DEF')"),
    ],
)  # fmt: skip
def test_every_type_is_compared_as_the_server_does(  # noqa: PLR0917 - a row of the table above
    database: str, db: psycopg.Connection[Any], type_: str, existing: str, declared: str, made: str
) -> None:
    db.execute("create type public.mood as enum ('sad', 'happy')")
    db.execute("create domain public.even as int check (value % 2 = 0)")
    if "nocase" in type_:
        icu = db.execute("select count(*) from pg_collation where collprovider = 'i'").fetchone()
        if icu == (0,):
            pytest.skip("this server has no ICU")
        db.execute("create collation public.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    by_list(db, existing, type_=type_, default=True)
    actions, findings, _ = create(database, help_.target({"public.t": listed(declared)}))
    assert [a.detail.split(",")[0] for a in actions] == ["public.t_b"]
    assert tree(db, "public.t")["t_b"] == made
    assert said(findings, "list_undeclared", "list_held", "list_values") == []


@pytest.mark.parametrize(
    ("type_", "declared", "why"),
    [
        ("integer", "{a: [1], b: [many]}", "'many' is no integer"),
        ("integer", "{a: [1], b: [99999999999]}", "out of range"),
        ("integer", "{a: [1], b: ['01']}", "is the same value"),
        ("date", "{a: ['2024-13-01']}", "is no date"),
        ("boolean", "{a: [maybe]}", "is no boolean"),
        ("public.mood", "{a: [angry]}", "is no public.mood"),
        ("varchar(3)", "{a: [abcdef]}", "would become 'abc'"),
        ("numeric(4,1)", "{a: [1.25]}", "would become '1.3'"),
        ("text", "{norway: [no]}", "YAML reads"),
        ("text", "{a: [1.10]}", "YAML reads"),
    ],
)
def test_a_value_that_the_type_refuses_fails_its_table_alone(
    database: str, db: psycopg.Connection[Any], type_: str, declared: str, why: str
) -> None:
    db.execute("create type public.mood as enum ('sad', 'happy')")
    by_list(db, type_=type_)
    db.execute("create table public.good (k text) partition by list (k)")
    what = help_.target({"public.t": listed(declared), "public.good": listed("{a: [x]}")})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        observed = creation(what).observe(session, AT)
    assert [a.subject for a in planned.actions] == ["public.good"]
    assert all_done(outcomes)
    (one,) = [f for f in planned.findings if f.severity is Severity.ERROR]
    assert (one.check, one.subject) == ("list_values", "public.t")
    assert why in one.summary, one.summary
    before = {r["subject"]: r["supported"] for r in JOB.frames(observed, what, "before", None, [])["tables"]}
    assert before == {"public.t": False, "public.good": True}


def test_values_that_another_partition_holds_are_not_fought_over(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db, "'a', 'c'", "'d', 'e'")
    what = help_.target({"public.t": listed("{one: [a, b], two: [c], three: [d], four: [e, null]}")})
    actions, findings, _ = create(database, what)
    assert {a.args["child"]["name"]: a.args["values"] for a in actions} == {"t_one": ["b"], "t_four": [None]}
    held = {f.evidence["label"]: f for f in said(findings, "list_held")}
    assert sorted(held) == ["four", "one"]
    assert held["one"].evidence["holders"] == ["public.t_0"]
    assert "public.t_0 IN ('a', 'c')" in held["one"].summary
    assert tree(db, "public.t")["t_0"] == "IN ('a', 'c')"


def test_a_declared_default_is_created_last_and_once(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db)
    what = help_.target({"public.t": listed("{a: [x]}", default="true")})
    actions, _, _ = create(database, what)
    assert [a.args.get("form") for a in actions] == ["list", "default"]
    assert tree(db, "public.t") == {"t_a": "IN ('x')", "t_default": "DEFAULT"}


def test_rows_of_the_default_move_or_are_reported(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db, "'a'", default=True)
    db.execute(
        "insert into public.t select n, now(), (array['b', 'c', 'z', null])[1 + n % 4] from generate_series(1, 40) n"
    )
    what = help_.target({"public.t": listed("{a: [a], b: [b, null], c: [c]}", move_default_rows=15)})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
    blocked = {a.args["values"][0]: a.blocked and a.blocked[0] for a in planned.actions}
    assert blocked == {"b": "over_limit", "c": None}
    assert [(o.evidence["rows_copied"], o.evidence["rows_deleted"]) for o in outcomes] == [(10, 10)]
    count = (
        "select (select count(*) from only public.t_c), (select count(*) from public.t), count(*) from public.t_rest"
    )
    assert db.execute(count).fetchone() == (10, 40, 30)
    rows = {f.evidence.get("values", [None])[0]: f for f in said(planned.findings, "default_rows")}
    assert {k: (f.severity, f.evidence["rows"]) for k, f in rows.items()} == {
        "b": (Severity.ERROR, 20), "c": (Severity.WARNING, 10), None: (Severity.WARNING, 10)
    }  # fmt: skip
    what = help_.target({"public.t": listed("{a: [a], b: [b, null], c: [c]}")})
    create(database, what)
    assert db.execute("select k, count(*) from public.t_b group by 1 order by 1").fetchall() == [("b", 10), (None, 10)]
    assert db.execute("select k, count(*) from public.t_rest group by 1").fetchall() == [("z", 10)]


def test_hostile_and_long_names(database: str, db: psycopg.Connection[Any]) -> None:
    table, column = 'public."T; drop table x--""\'%s {0}"', '"K ""ey"" %(x)s {1}"'
    db.execute(f"create table {table} (id int, at timestamptz, {column} text, unique (id, {column}, at)) "
               f"partition by list ({column})")  # fmt: skip
    label, value = "ÄÖ; drop %s {0} 'x\" " * 4, "it's; {0} %s --"
    text = label.replace("'", "''")
    lists = f"{{'{text}': ['{value.replace(chr(39), chr(39) * 2)}', null], b: [b]}}"
    below = "{by: at, every: 1 month, ahead: 1}"
    policy = f"partition: {{by: '{column}', list: {lists}, subpartition: {below}}}"
    create(database, help_.target({table: policy}))
    found = tree(db, table)
    assert len(found) == 6
    assert all(len(name.encode()) <= 63 for name in found)
    insert = sql.SQL("insert into {} values (1, '2024-02-20', {}), (2, '2024-03-20', null)")
    db.execute(insert.format(sql.SQL(table), sql.Literal(value)))
    assert leftovers(db) == 0


# -- hash --------------------------------------------------------------------------------------------


def by_hash(db: psycopg.Connection[Any], *parts: tuple[int, int]) -> None:
    db.execute("create table public.h (id int primary key, text text) partition by hash (id)")
    for modulus, remainder in parts:
        db.execute(
            f"create table public.h_{modulus}_{remainder} partition of public.h "
            f"for values with (modulus {modulus}, remainder {remainder})"
        )


@pytest.mark.parametrize(
    ("existing", "modulus", "made", "severity"),
    [
        ([], 4, [0, 1, 2, 3], None),
        ([(4, 1)], 4, [0, 2, 3], None),
        ([(2, 0)], 4, [1, 3], Severity.INFO),
        ([(8, 0), (8, 4), (4, 1)], 4, [2, 3], Severity.INFO),
        ([(8, 0), (4, 1)], 4, [2, 3], Severity.ERROR),  # remainder 0 is half covered: reported, left
        ([(2, 0), (2, 1)], 4, [], Severity.INFO),
        ([(3, 0), (3, 1), (3, 2)], 4, [], Severity.INFO),
        ([(6, 0)], 4, [], Severity.ERROR),  # 4 is no factor of 6
    ],
)
def test_remainders(  # noqa: PLR0917 - a row of the table above
    database: str,
    db: psycopg.Connection[Any],
    existing: list[tuple[int, int]],
    modulus: int,
    made: list[int],
    severity: Severity | None,
) -> None:
    by_hash(db, *existing)
    what = help_.target({"public.h": f"partition: {{by: id, modulus: {modulus}}}"})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        assert all_done(outcomes), outcomes
        observed = creation(what).observe(session, AT)
        again = JOB.plan(observed, what)
        frames = JOB.frames(observed, what, "after", again, outcomes)
    assert [a.args["remainder"] for a in planned.actions] == made
    assert again.actions == ()
    assert {f.severity for f in said(list(planned.findings), "hash_modulus")} == ({severity} if severity else set())
    complete = severity is not Severity.ERROR
    assert (frames["tables"][0]["declared_missing"] == 0) == complete
    if complete:
        db.execute("insert into public.h select n from generate_series(1, 1000) n")


# -- sub-partitions ----------------------------------------------------------------------------------

SUBS = {
    "list → hash": "k|list|{by: k, list: {a: [a], b: [b]}, subpartition: {by: id, modulus: 3}}|8",
    "list → range": "k|list|{by: k, list: {a: [a], b: [b]}, subpartition: {by: at, every: 1 month, ahead: 2}}|8",
    "range → hash": "at|range|{by: at, every: 1 month, ahead: 1, subpartition: {by: id, modulus: 3}}|8",
    "hash → list": "id|hash|{by: id, modulus: 2, subpartition: {by: k, list: {a: [a], b: [b]}, default: true}}|8",
    "hash → range": "id|hash|{by: id, modulus: 2, subpartition: {by: at, every: 1 month, ahead: 2}}|8",
    "range → list": "at|range|{by: at, every: 1 month, ahead: 1, subpartition: {by: k, list: {a: [a], b: [null]}}}|6",
}


@pytest.mark.parametrize("kind", SUBS)
def test_sub_partitions_of_every_kind(database: str, db: psycopg.Connection[Any], kind: str) -> None:
    key, strategy, policy, tables = SUBS[kind].split("|")
    db.execute("create role upkeep_sub_reader")
    db.execute(
        "create table public.t (id bigint not null, at timestamptz not null, k text, unique (id, at, k)) "
        f"partition by {strategy} ({key})"
    )
    db.execute("create index on public.t (at)")
    try:
        what = help_.target({"public.t": f"partition: {policy}"})
        actions, _, _ = create(database, what)
        assert sum(1 + len(a.args.get("below", {}).get("leaves", ())) for a in actions) == int(tables)
        assert len(tree(db, "public.t")) == int(tables)
        db.execute("insert into public.t select n, '2024-03-01', 'a' from generate_series(1, 100) n")
        leaf = "select c.relname from pg_partition_tree('public.t') t join pg_class c on c.oid = t.relid where t.isleaf"
        first = min(row[0] for row in db.execute(leaf).fetchall())
        missing = {name for name in tree(db, "public.t") if first.startswith(name) and name != first}.pop()
        db.execute("delete from public.t")
        db.execute(f"alter table public.{missing} detach partition public.{first}; drop table public.{first}")
        for (name,) in db.execute(leaf).fetchall():
            db.execute(f"alter table public.{name} set (fillfactor = 71)")
            db.execute(f"grant select on public.{name} to upkeep_sub_reader")
            db.execute(f"alter table public.{name} replica identity full")
        actions, _, _ = create(database, what)
        assert [a.args["parent"]["name"] for a in actions] == [missing]
        assert [a.subject for a in actions] == ["public.t"]
        assert first in tree(db, "public.t")
        alike = (
            "select count(distinct (c.reloptions, c.relacl::text, c.relreplident, "
            "(select count(*) from pg_index x where x.indrelid = c.oid))) "
            "from pg_partition_tree('public.t') t join pg_class c on c.oid = t.relid where t.isleaf"
        )
        assert db.execute(alike).fetchone() == (1,)
        assert leftovers(db) == 0
    finally:
        db.execute("drop owned by upkeep_sub_reader; drop role upkeep_sub_reader")


def test_a_new_child_is_made_like_its_siblings_on_both_levels(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create role upkeep_sub_reader")
    db.execute(f"create role upkeep_sub_owner role {least.ROLE}")
    db.execute("grant create on schema public to upkeep_sub_owner")
    db.execute("create table public.t (id bigint not null, k text not null, primary key (id, k)) partition by list (k)")
    db.execute("create table public.t_a partition of public.t for values in ('a') partition by hash (id)")
    for remainder in (0, 1):
        db.execute(
            f"create table public.t_a_{remainder} partition of public.t_a "
            f"for values with (modulus 2, remainder {remainder}) with (fillfactor = 70, toast.autovacuum_enabled = off)"
        )
        db.execute(f"alter table public.t_a_{remainder} replica identity using index t_a_{remainder}_pkey")
        db.execute(f"create index on public.t_a_{remainder} (k) where id > 5")
        db.execute(f"grant select, insert on public.t_a_{remainder} to upkeep_sub_reader")
        db.execute(f"alter table public.t_a_{remainder} alter column k set statistics 500")
        db.execute(f"alter table public.t_a_{remainder} owner to upkeep_sub_owner")
    db.execute("grant update (k) on public.t_a to upkeep_sub_reader")
    db.execute("alter table public.t_a replica identity using index t_a_pkey")
    try:
        policy = "partition: {by: k, list: {a: [a], b: [b]}, subpartition: {by: id, modulus: 2}}"
        create(database, help_.target({"public.t": policy}))
        kinds = (
            "select regexp_replace(c.relname, 't_[ab]', ''), c.reloptions, c.relacl::text, c.relreplident, "
            "c.relowner::regrole::text, "
            "(select array_agg(attacl::text || attstattarget order by attnum) from pg_attribute "
            " where attrelid = c.oid and attnum > 0), "
            "(select array_agg(regexp_replace(pg_get_indexdef(indexrelid), 't_[ab]', '', 'g') || indisreplident "
            " order by indisprimary) from pg_index where indrelid = c.oid) "
            "from pg_class c where c.oid in (select relid from pg_partition_tree(%s)) order by 1"
        )
        one, other = (db.execute(kinds, [f"public.t_{name}"]).fetchall() for name in "ab")
        assert one == other
        assert len(one) == 3
    finally:
        db.execute("drop owned by upkeep_sub_reader, upkeep_sub_owner cascade")
        db.execute("drop role upkeep_sub_reader, upkeep_sub_owner")


def test_sub_partitions_that_were_made_otherwise_are_said_and_left(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db, "'plain'")
    db.execute("create table public.t_x partition of public.t for values in ('x') partition by list (id)")
    db.execute("create table public.t_y partition of public.t for values in ('y') partition by hash (id)")
    db.execute("create table public.t_y0 partition of public.t_y for values with (modulus 2, remainder 0) "
               "partition by hash (at)")  # fmt: skip
    db.execute("create table public.t_z partition of public.t for values in ('z') partition by hash (id)")
    policy = "partition: {by: k, list: {p: [plain], x: [x], y: [y], z: [z]}, subpartition: {by: id, modulus: 2}}"
    actions, findings, _ = create(database, help_.target({"public.t": policy}))
    assert [(a.args["parent"]["name"], a.args["remainder"]) for a in actions] == [("t_z", 0), ("t_z", 1)]
    (plain,) = said(findings, "plain_partitions")
    assert "public.t_0" in plain.summary
    others = {f.summary.split(" ")[0]: f for f in said(findings, "partition_strategy")}
    assert (others["public.t_x"].status, others["public.t_x"].severity) == (FindingStatus.FINDING, Severity.WARNING)
    assert (others["public.t_y"].status, others["public.t_y"].severity) == (FindingStatus.FINDING, Severity.WARNING)


def test_sub_partitions_without_the_declared_headroom_are_errors(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (k text, at timestamptz) partition by list (k)")
    db.execute("create table public.t_a partition of public.t for values in ('a') partition by range (at, k)")
    db.execute("create table public.t_b partition of public.t for values in ('b') partition by hash (at)")
    db.execute("create table public.t_c partition of public.t for values in ('c') partition by range (at)")
    level = "subpartition: {by: at, every: 1 month, ahead: 1}"
    policy = f"partition: {{by: k, list: {{a: [a], b: [b], c: [c]}}, {level}}}"
    actions, findings, _ = create(database, help_.target({"public.t": policy}))
    assert {a.args["parent"]["name"] for a in actions} == {"t_c"}
    others = {f.summary.split(" ")[0]: f.severity for f in said(findings, "partition_strategy")}
    assert others == {"public.t_a": Severity.ERROR, "public.t_b": Severity.ERROR}


def test_the_cap_counts_sub_partitions_too(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db)
    lists = "{a: [a], b: [b], c: [c], d: [d]}"
    policy = f"partition: {{by: k, list: {lists}, max_creations: 9, subpartition: {{by: id, modulus: 3}}}}"
    what = help_.target({"public.t": policy})
    with help_.session(database) as session:
        planned, outcomes = creation(what).run(session, AT)
        assert len(planned.actions) == 2
        assert all_done(outcomes)
        assert [f.check for f in planned.findings if f.severity is Severity.WARNING] == ["creation_cap"]
        creation(what).run(session, AT)
        assert creation(what).plan(session, AT).actions == ()
    assert len(tree(db, "public.t")) == 16


def test_rows_move_into_a_sub_partitioned_child(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db, default=True)
    db.execute("insert into public.t select n, '2023-11-05', 'b' from generate_series(1, 30) n")
    db.execute("insert into public.t select n, '2024-02-05', 'b' from generate_series(31, 60) n")
    policy = "partition: {by: k, list: {b: [b]}, subpartition: {by: at, every: 1 month, ahead: 1}}"
    (action,), _, (outcome,) = create(database, help_.target({"public.t": policy}))
    assert len(action.args["below"]["leaves"]) == 5  # November to February, and one ahead
    assert outcome.evidence["rows_copied"] == 60
    assert db.execute("select count(*), (select count(*) from only public.t_rest) from public.t_b").fetchone() == (
        60,
        0,
    )


def test_rows_that_no_sub_partition_takes_stay(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db, default=True)
    db.execute("insert into public.t values (1, null, 'b'), (2, '2030-01-01', 'c')")
    policy = "partition: {by: k, list: {b: [b], c: [c]}, subpartition: {by: at, every: 1 month, ahead: 1}}"
    with help_.session(database) as session:
        planned = creation(help_.target({"public.t": policy})).plan(session, AT)
    assert {a.args["values"][0]: a.blocked and a.blocked[0] for a in planned.actions} == {
        "b": "not_supported", "c": "not_supported"
    }  # fmt: skip


def test_a_sub_parents_own_default_is_drained(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db)
    db.execute("create table public.t_a partition of public.t for values in ('a') partition by range (at)")
    db.execute("create table public.t_a_rest partition of public.t_a default")
    db.execute("insert into public.t select n, '2024-02-03', 'a' from generate_series(1, 20) n")
    policy = "partition: {by: k, list: {a: [a]}, subpartition: {by: at, every: 1 month, ahead: 1}}"
    actions, findings, outcomes = create(database, help_.target({"public.t": policy}))
    assert [a.args["child"]["name"] for a in actions] == ["t_a_2024_02", "t_a_2024_03"]
    assert outcomes[0].evidence["rows_copied"] == 20
    assert "k" in actions[0].statements[1]  # its CHECK says what the sub-parent takes, so that ATTACH reads nothing
    assert [f.check for f in findings if f.severity is Severity.WARNING] == ["default_rows"]


def test_a_partitioned_default_gives_its_rows_too(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db)
    db.execute("create table public.t_rest partition of public.t default partition by hash (id)")
    for remainder in (0, 1):
        db.execute(
            f"create table public.t_rest_{remainder} partition of public.t_rest "
            f"for values with (modulus 2, remainder {remainder})"
        )
    db.execute("insert into public.t select n, now(), 'a' from generate_series(1, 50) n")
    create(database, help_.target({"public.t": listed("{a: [a]}, subpartition: {by: id, modulus: 2}")}))
    assert db.execute("select count(*), count(distinct id) from public.t_a").fetchone() == (50, 50)
    assert db.execute("select count(*) from public.t_rest").fetchone() == (0,)


def test_sub_keys_that_cannot_be(database: str, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.t (id bigint, k text, primary key (id, k)) partition by list (k)")
    db.execute("create table public.u (id bigint, k text) partition by list (k)")
    policy = "partition: {{by: k, list: {{a: [a]}}, subpartition: {{by: {}, modulus: 2}}}}"
    db.execute("alter table public.t add column other int")
    what = help_.target({"public.t": policy.format("other"), "public.u": policy.format("gone")})
    with help_.session(database) as session:
        planned = creation(what).plan(session, AT)
    assert planned.actions == ()
    assert {f.subject: f.severity for f in said(list(planned.findings), "partition_key")} == {
        "public.t": Severity.ERROR, "public.u": Severity.ERROR
    }  # fmt: skip


def test_undo_while_empty(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db)
    policy = listed("{a: [a], b: [b]}, default: true, subpartition: {by: id, modulus: 2}")
    actions, _, outcomes = create(database, help_.target({"public.t": policy}))
    db.execute("insert into public.t values (1, now(), 'b')")
    with help_.session(database) as session:
        undone = [undo(JOB, session, a, o) for a, o in zip(actions, outcomes, strict=True)]
    assert [o.status for o in undone] == [OutcomeStatus.DONE, OutcomeStatus.SKIPPED, OutcomeStatus.DONE]
    assert sorted(tree(db, "public.t")) == ["t_b", "t_b_0", "t_b_1"]
    left = "select count(*) from pg_class where relname like 't\\_%' and relkind in ('r', 'p')"
    assert db.execute(left).fetchone() == (3,)


def test_the_policy_must_say_how_the_table_is_partitioned(database: str, db: psycopg.Connection[Any]) -> None:
    by_list(db)
    by_hash(db)
    db.execute("create table public.r (at timestamptz) partition by range (at)")
    tables = {"t": "{by: k, modulus: 2}", "h": "{by: id, list: {a: [1]}}", "r": "{by: at, modulus: 4}"}
    what = help_.target({f"public.{t}": f"partition: {p}" for t, p in tables.items()})
    with help_.session(database) as session:
        planned = creation(what).plan(session, AT)
    assert planned.actions == ()
    found = {f.subject: (f.severity, f.remedy) for f in said(list(planned.findings), "partition_strategy")}
    assert found == {
        "public.t": (Severity.ERROR, "declare list: in its policy"),
        "public.h": (Severity.ERROR, "declare modulus: in its policy"),
        "public.r": (Severity.ERROR, "declare every: and ahead: in its policy"),
    }
