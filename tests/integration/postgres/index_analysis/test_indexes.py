"""What index analysis finds on PostgreSQL: each finding raised and cleared; what an exact duplicate goes through."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness import jobs
from tests.harness.command_line import Upkeep
from tests.harness.commands import until
from tests.harness.jobs import Runs
from tests.harness.looking import Looks
from tests.harness.postgres import only, session
from upkeep.postgres import ddl
from upkeep.postgres.index_analysis import apply

Db = psycopg.Connection[Any]
ODD = 'app."a ""b""; %s drop"'
INVALID = "update pg_index set indisvalid = false where indexrelid"
FLEET = """
version: 1
targets:
  shop:
    engine: postgres
    connection: shop
"""


@pytest.fixture
def db(database: str) -> Iterator[Db]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create schema app")
        yield connection


def run(db: Db, *statements: str) -> None:
    for statement in statements:
        db.execute(statement)


def told(database: str, **policy: Any) -> dict[tuple[str, str], Any]:
    """Return what one look finds that is not well, by check and subject."""
    lines = "\n".join(f"  {key}: {value}" for key, value in policy.items())
    what = jobs.declare("postgres", "tables", "{}", f"indexes:\n{lines}" if lines else "indexes: {}")
    with session(database) as opened:
        plan = Looks("index_analysis", what).once(opened)
    found: dict[tuple[str, str], Any] = {(f.check, f.subject): f for f in plan.findings if f.status != "ok"}
    return found | {("action", a.subject): a for a in plan.actions}


def stays(found: dict[tuple[str, str], Any], check: str) -> dict[str, str]:
    """Return which index stays for each that a check tells of."""
    return {subject: found[check, subject].evidence["stays"] for kind, subject in found if kind == check}


def test_what_is_there_twice_is_told_by_all_that_an_index_is(db: Db, database: str) -> None:
    run(
        db,
        "create table app.t (id int primary key, a text, b text, c int)",
        "create index i1 on app.t (a)",
        f"create index {ODD.partition('.')[2]} on app.t (a)",
        "create index other_class on app.t (a text_pattern_ops)",
        'create index other_collation on app.t (a collate "C")',
        "create index other_order on app.t (a desc)",
        "create index other_condition on app.t (a) where c > 1",
        "create index other_method on app.t using hash (a)",
        "create index carries on app.t (a) include (c)",
        "create index longer on app.t (a, b)",
        "create unique index u on app.t (id)",
        "create table app.p (id int, at date) partition by range (at)",
        "create table app.p1 partition of app.p for values from ('2024-01-01') to ('2025-01-01')",
        "create index on app.p (id)",
        "create index on app.p (id)",
        "create table app.e (a text)",
        "create index e1 on app.e (lower(a))",
        "create index e2 on app.e (lower(a))",
        "create table app.r (id int not null)",
        "create index plain on app.r (id)",
        "create index clustered on app.r (id)",
        "alter table app.r cluster on clustered",
    )
    found = told(database)
    assert stays(found, "index_duplicate") == {
        ODD: "app.i1",
        "app.u": "app.t_pkey",
        "app.p_id_idx1": "app.p_id_idx",
        "app.e2": "app.e1",
        "app.plain": "app.clustered",
    }
    assert {subject for kind, subject in found if kind == "action"} == {ODD, "app.plain"}
    assert "keeps values unique" in found["index_duplicate", "app.u"].remedy
    assert "without blocking writers" in found["index_duplicate", "app.p_id_idx1"].remedy
    assert stays(found, "index_redundant") == {"app.i1": "app.carries"}
    assert ("action", ODD) not in told(database, drop_duplicates="never")
    kept = told(database, keep="['app.i1', 'app.?a *']")
    assert "the fleet file keeps it" in kept["index_duplicate", ODD].remedy
    run(db, f"drop index {ODD}", "drop index app.carries, app.longer, app.u, app.e2, app.plain, app.p_id_idx1")
    assert {kind for kind, _ in told(database)} <= {"index_unused"}


def test_an_invalid_index_is_told_unless_it_is_being_built(db: Db, database: str) -> None:
    run(
        db,
        "create table app.t (a int)",
        "insert into app.t values (1), (1)",
        "create table app.p (id int, at date) partition by range (at)",
        "create table app.p1 partition of app.p for values from ('2024-01-01') to ('2025-01-01')",
        "create index awaits_its_parts on only app.p (id)",
        "create index part on app.p1 (id)",
        "create index no_part on app.p1 (id)",
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("create unique index concurrently broken on app.t (a)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("create unique index concurrently left_ccnew on app.t (a)")
    found = told(database)
    assert {one for one in found if one[0] != "index_unused"} == {
        ("index_invalid", "app.broken"),
        ("index_invalid", "app.left_ccnew"),
        ("index_duplicate", "app.no_part"),
    }
    assert "not attached yet" in found["index_duplicate", "app.no_part"].remedy
    assert found["index_invalid", "app.broken"].severity == "WARNING"
    assert "drop index concurrently app.left_ccnew" in found["index_invalid", "app.left_ccnew"].remedy
    with psycopg.connect(database) as builder:
        builder.execute("lock table app.t in share update exclusive mode")
        assert told(database)["index_invalid", "app.broken"].status == "insufficient_evidence"
    run(db, "drop index app.left_ccnew", "delete from app.t", "reindex index concurrently app.broken")
    assert not any(kind == "index_invalid" for kind, _ in told(database))


def test_a_role_that_does_not_own_the_table_is_told_so(db: Db, database: str) -> None:
    twice(db)
    role = f"looks_{db.info.backend_pid}"
    db.execute(f"create role {role} login password '{role}'")
    try:
        what = jobs.declare("postgres", "tables", "{}", "indexes: {}")
        with session(database, user=role, password=role) as opened:
            plan = Looks("index_analysis", what).once(opened)
    finally:
        db.execute(f"drop role {role}")
    (found,) = [f for f in plan.findings if f.check == "index_duplicate"]
    assert plan.actions == ()
    assert "our role lacks the rights of app_owner, who owns app.t: " in str(found.remedy)


def test_a_foreign_key_wants_an_index_that_begins_with_it(db: Db, database: str) -> None:
    run(
        db,
        "create table app.people (id int, tenant int, primary key (tenant, id))",
        "create table app.carts (a int, tenant int, person int, foreign key (tenant, person) references app.people)",
        "create index elsewhere on app.carts (a, tenant, person)",
        "create index in_part on app.carts (tenant, person) where a > 1",
    )
    subject = ("foreign_key_unindexed", "app.carts.carts_tenant_person_fkey")
    assert told(database)[subject].severity == "INFO"
    run(
        db,
        "insert into app.people values (1, 1)",
        "insert into app.carts select n, 1, 1 from generate_series(1, 10000) n",
    )
    run(db, "analyze app.carts")
    finding = told(database)[subject]
    assert (finding.severity, finding.evidence["columns"]) == ("WARNING", ["tenant", "person"])
    run(db, "create index turned on app.carts (person, tenant)")
    assert subject not in told(database)


def test_unused_is_what_no_look_of_35_days_saw_move(db: Db, database: str) -> None:
    only(db, since=15)  # before, what is counted can be seen half a second later only
    run(
        db,
        "create table app.t (id int primary key, a int, b int)",
        "insert into app.t select n, n, n from generate_series(1, 3000) n",
        "create index idle on app.t (a)",
        "create index busy on app.t (b)",
        "analyze app.t",
    )
    looks = Looks("index_analysis", jobs.declare("postgres", "tables", "{}", "indexes: {}"))
    idle, busy = ("index_unused", "app.idle"), ("index_unused", "app.busy")

    def weeks_ago() -> None:
        for said in looks.earlier[0]["measured"]["index_unused"].values():
            if "since" in said:
                said["since"] = (opened.now() - timedelta(days=36)).isoformat()

    def use(index: str) -> None:
        before = db.execute("select pg_stat_get_numscans(%s::regclass)", [index]).fetchone()
        db.execute(f"select id from app.t where {'a' if index == 'app.idle' else 'b'} = 7")
        settle(lambda: db.execute("select pg_stat_get_numscans(%s::regclass)", [index]).fetchone() != before)

    with session(database) as opened:
        first = looks.look(opened)
        assert (first[idle].status, first[busy].status) == ("ok", "ok")
        assert ("index_unused", "app.t_pkey") not in first
        second = looks.look(opened)
        waiting = second["index_unused", "evidence of use"]
        assert (waiting.status, waiting.severity) == ("insufficient_evidence", "INFO")
        assert waiting.evidence["indexes"] == 2
        weeks_ago()
        use("app.busy")
        later = looks.look(opened)
        assert (later[idle].status, later[idle].severity, later[busy].status) == ("finding", "WARNING", "ok")
        assert "drop index concurrently app.idle; back: CREATE INDEX CONCURRENTLY idle ON app.t" in later[idle].remedy
        db.execute(
            "select pg_stat_reset()"
        )  # nobody knows by these counters any more; that it was idle is not forgotten
        assert looks.level(opened, *idle) == "insufficient_evidence"
        assert looks.level(opened, *idle) == "insufficient_evidence"
        weeks_ago()
        assert looks.level(opened, *idle) == "WARNING"
        use("app.idle")
        assert looks.level(opened, *idle) == "ok"
        weeks_ago()
        db.execute("select pg_create_physical_replication_slot('a_replica')")
        try:
            blind = looks.look(opened)
            assert idle not in blind
            assert blind["index_unused", "t"].status == "insufficient_evidence"
        finally:
            db.execute("select pg_drop_replication_slot('a_replica')")


def settle(done: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def states(target: Any) -> dict[str, str]:
    return {f["check"]: f["state"] for f in target["findings"] if f["severity"] == "WARNING"}


def test_a_person_approves_and_takes_back(
    db: Db, database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    upkeep = Upkeep(tmp_path / "fleet.yaml", FLEET)
    odd = ODD.partition(".")[2]
    run(
        db,
        "create table app.t (a text, b int)",
        "create index stays on app.t (a desc nulls last, b) include (b) with (fillfactor = 61) where b > 1",
        f"create index {odd} on app.t (a desc nulls last, b) include (b) with (fillfactor = 61) where b > 1",
        f"comment on index {ODD} is '%s \"twice\"'",
    )

    def here() -> Any:
        return db.execute(
            "select pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid), i.indisvalid from pg_index i "
            "where i.indrelid = 'app.t'::regclass order by 1"
        ).fetchall()

    before = here()
    asked, begun = upkeep.target("run", "index_analysis", status=0), int(time.time())
    assert asked["status"] == "awaiting_approval"
    assert states(asked) == {"index_duplicate": "new"}
    assert here() == before
    done = upkeep.target("run", "index_analysis", "--approve", asked["plan_id"], status=0)
    assert states(done) == {"index_duplicate": "mended"}
    assert [row[0].split()[2] for row in here()] == ["stays"]
    until(lambda: int(time.time()) > begun)  # runs are told apart by the second
    assert upkeep.target("run", "index_analysis", status=0)["status"] == "nothing_to_do"
    with psycopg.connect(control_database) as control:
        rows = control.execute("select measured from upkeep.look where job = 'index_analysis' order by id").fetchall()
    assert [*rows[-1][0]["index_unused"]] == ["app.stays", "evidence of use"]
    back = upkeep.target("undo", done["actions"][0]["id"], status=0)
    assert here() == before
    assert [f["check"] for f in back["findings"]] == ["done_again"]
    assert upkeep.target("run", "index_analysis", status=0)["status"] == "awaiting_approval"


# -- what can come in between ------------------------------------------------------------------------


def twice(db: Db) -> None:
    run(db, "create table app.t (a int)", "create index stays on app.t (a)", "create index goes on app.t (a)")


@contextmanager
def reader(database: str) -> Iterator[None]:
    with psycopg.connect(database) as other:
        other.execute("select * from app.t")
        yield


def valid(db: Db) -> dict[str, bool]:
    rows = "select indexrelid::regclass::text, indisvalid from pg_index where indrelid = 'app.t'::regclass"
    return {name.removeprefix("app."): valid for name, valid in db.execute(rows).fetchall()}


def job() -> Runs:
    return Runs("index_analysis", jobs.declare("postgres", "tables", "{}", "indexes: {}"))


def test_a_long_reader_is_not_waited_for_and_a_short_one_leaves_work_for_the_next_run(
    db: Db, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice(db)
    monkeypatch.setattr(ddl, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(apply, "RETRY", ddl.LockRetry(attempts=2, budget=0.5))
    with session(database) as opened:
        with reader(database):
            with monkeypatch.context() as patch:
                patch.setattr(apply, "LONG_SECONDS", 0.0)
                held = job().run(opened)
            assert held.ends == ["lock_not_obtained"]
            assert "nothing was changed; held by process" in str(held.outcomes[0].message)
            assert valid(db) == {"stays": True, "goes": True}
            held = job().run(opened)
            assert held.ends == ["lock_not_obtained"]
            assert "until then it is invalid: no query uses it, app.stays serves" in str(held.outcomes[0].message)
            assert valid(db) == {"stays": True, "goes": False}
        again = job().run(opened, gate=True)
        assert again.checks[:1] == ["index_invalid"]
        assert (again.ends, again.well) == (["done"], True)
        assert valid(db) == {"stays": True}
        # an interrupted building in place of it is finished by another try
        with psycopg.connect(database) as writer, monkeypatch.context() as patch:
            writer.execute("insert into app.t values (1)")
            patch.setattr(apply, "BUILD_LOCK", "100ms")
            back = jobs.undo(job().job, opened, again.plan.actions[0], again.outcomes[0])
            assert back.reason_code == "lock_not_obtained"
        assert valid(db)["goes"] is False
        back = jobs.undo(job().job, opened, again.plan.actions[0], again.outcomes[0])
        assert back.status == "done", back
        assert valid(db) == {"stays": True, "goes": True}


def test_a_killed_drop_is_finished_by_the_next_run(db: Db, database: str) -> None:
    twice(db)
    ended: list[str] = []

    def drop() -> None:
        with session(database) as opened:
            ended.extend(job().run(opened).ends)

    with reader(database):
        thread = threading.Thread(target=drop)
        thread.start()
        settle(lambda: not valid(db)["goes"])
        db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where query ilike 'drop index concurrently%' and datname = current_database()"
        )
        thread.join(20)
    assert ended == ["connection_lost"]
    assert valid(db) == {"stays": True, "goes": False}
    with session(database) as opened:
        assert job().run(opened).ends == ["done"]
    assert valid(db) == {"stays": True}


def test_what_changed_since_the_plan_stays(db: Db, database: str) -> None:
    for change, why in (
        ("drop index app.stays", "app.stays is no valid index"),
        (f"{INVALID} = 'app.stays'::regclass", "app.stays is no valid index"),
        ("alter table app.t cluster on goes", "its table is clustered by it"),
        ("drop index app.goes; create index goes on app.t (a desc)", "it is gone already"),
        ("comment on index app.goes is 'dear'", "it is another one"),
    ):
        run(
            db,
            "drop table if exists app.t",
            "create table app.t (a int not null)",
            "create index stays on app.t (a)",
            "create index goes on app.t (a)",
        )
        with session(database) as opened:
            late = job().run(opened, between=lambda text=change: db.execute(text))  # type: ignore[misc]
        expected = "done" if "gone" in why else "state_changed"
        assert (late.ends, why in str(late.outcomes[0].message)) == ([expected], True), late.outcomes
        assert "goes" in valid(db)
