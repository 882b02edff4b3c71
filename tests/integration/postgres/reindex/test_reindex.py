"""What reindexing does on a real server: what is chosen, what a person approves, and what can come in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness import jobs
from tests.harness.command_line import Upkeep
from tests.harness.commands import until
from tests.harness.jobs import Runs
from tests.harness.postgres import session
from upkeep.errors import CancelledError, StopError
from upkeep.jobs.reindex.request import ReindexRequest
from upkeep.model import ReasonCode
from upkeep.postgres import ddl
from upkeep.postgres.reindex import apply, observe, space

Db = psycopg.Connection[Any]
ODD = 'app."a ""b""; %s drop"'
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


def bloated(db: Db, rows: int = 20_000) -> None:
    """Make a table whose indexes are nine parts air, each bound to the table in its own way."""
    run(
        db,
        "create table app.t (id int primary key, n int not null, msg text not null)",
        f"insert into app.t select n, n, 'row ' || n from generate_series(1, {rows}) n",
        f"create unique index {ODD.partition('.')[2]} on app.t (n desc) include (msg) with (fillfactor = 80)",
        f"comment on index {ODD} is '100 % \"full\"'",
        f"alter table app.t replica identity using index {ODD.partition('.')[2]}",
        "alter table app.t cluster on t_pkey",
        "create index plain on app.t (msg) where n > 0",
        "delete from app.t where n % 10 != 0",
        "vacuum analyze app.t",
    )


def facts(db: Db) -> dict[str, Any]:
    """Return all that rebuilding must keep of each index."""
    rows = db.execute(
        "select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid), "
        "i.indisvalid and i.indisready, i.indisreplident, i.indisclustered, i.indisprimary, "
        "(select min(c.conname) from pg_constraint c where c.conindid = i.indexrelid) "
        "from pg_index i where i.indrelid = 'app.t'::regclass order by 1"
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def sizes(db: Db) -> dict[str, int]:
    rows = db.execute(
        "select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index "
        "where indrelid = 'app.t'::regclass"
    ).fetchall()
    return dict(rows)


def job(*index: str, **request: Any) -> Runs:
    asked = ReindexRequest.model_validate({"index": list(index), **request})
    return Runs("reindex", jobs.declare("postgres", "tables", "{}", "indexes: {}"), request=asked)


# -- a person's run ----------------------------------------------------------------------------------


def test_a_person_approves_and_the_index_is_small_again(
    db: Db, database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    upkeep = Upkeep(tmp_path / "fleet.yaml", FLEET)
    bloated(db)
    before, large = facts(db), sizes(db)
    assert upkeep.target("run", "reindex", status=0)["status"] == "nothing_to_do"  # none is of 1 GiB
    asking = ("run", "reindex", "--min-size", "100 KiB", "--min-bloat", "50 %")
    asked = upkeep.target(*asking, status=0)
    assert asked["status"] == "awaiting_approval"
    subjects = [action["subject"] for action in asked["actions"]]
    assert sorted(subjects) == sorted(["app.t_pkey", "app.plain", ODD])
    odd = asked["actions"][subjects.index(ODD)]
    assert odd["statements"] == [f"reindex index concurrently {ODD}".replace("app.", '"app".')]
    assert "estimated from statistics" in odd["reason"]
    assert (facts(db), sizes(db)) == (before, large)
    # without its id nothing is done; a plan for another request is another plan
    assert upkeep.target(*asking, "--limit", "1", status=0)["plan_id"] != asked["plan_id"]
    done = upkeep.target("run", "reindex", "--approve", asked["plan_id"], status=0)
    assert done["status"] == "ok", done
    small = sizes(db)
    assert facts(db) == before
    assert all(small[name] < large[name] / 4 for name in large), (large, small)
    outcome = done["actions"][subjects.index(ODD)]["outcome"]
    assert (outcome["evidence"]["bytes_before"], outcome["evidence"]["bytes_after"]) == (large[ODD], small[ODD])
    assert "not checked: amcheck is not installed" in outcome["message"]
    assert upkeep.target(*asking, status=0)["status"] == "nothing_to_do"
    back = upkeep.target("undo", done["actions"][0]["id"])
    assert back["actions"][0]["outcome"]["reason_code"] == "not_supported"

    # what was approved is held against what is there now
    run(db, "create extension amcheck")
    names = ("app.plain", ODD, "app.t_pkey")
    waiting = upkeep.target("run", "reindex", *(text for name in names for text in ("--index", name)))
    assert waiting["status"] == "awaiting_approval", waiting
    run(
        db,
        "drop index app.plain",
        "create index plain on app.t (msg) where n > 0",
        f"alter index {ODD} rename to other",
    )
    late = upkeep.target("run", "reindex", "--approve", waiting["plan_id"])
    ends = {a["subject"]: a["outcome"].get("reason_code", "done") for a in late["actions"]}
    assert ends == {"app.plain": "state_changed", ODD: "state_changed", "app.t_pkey": "done"}, late
    assert "checked: it is in order and holds every row" in late["actions"][2]["outcome"]["message"]


def test_what_is_chosen_and_what_is_refused(db: Db, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bloated(db)
    run(
        db,
        "create extension pgstattuple",
        "create table app.p (id int, at date) partition by range (at)",
        "create table app.p1 partition of app.p for values from ('2024-01-01') to ('2025-01-01')",
        "create index p_id on app.p (id)",
        "create table app.x (r int4range, exclude using gist (r with &&))",
        "create index gin on app.x using gist (r)",
        "create temp table temporary (a int primary key)",
    )
    with session(database) as opened:
        found = job(min_size="100 KiB", min_bloat="20 %", limit=2).run(opened, apply=False)
        assert [action.kind for action in found.plan.actions] == ["reindex_index"] * 2
        assert all("measured" in action.reason for action in found.plan.actions)
        named = job(
            *("app.plain", "app.palin", "app.p_id", "app.x_r_excl", "pg_catalog.pg_class_oid_index", "app.t", "app.p*"),
            *("temporary_pkey", "app.p1_id_idx", "app.gin"),
        )
        chosen = named.run(opened, apply=False)
        wrong = {f.subject: f for f in chosen.plan.findings if f.check == "index_unknown"}
        assert {f.severity for f in wrong.values()} == {"ERROR"}
        assert wrong["app.palin"].remedy == "did you mean app.plain?"
        assert "it is a table; its indexes: app.t_pkey, " in str(wrong["app.t"].remedy)
        assert {*wrong} == {"app.palin", "app.t", "app.p*", "pg_catalog.pg_class_oid_index", "temporary_pkey"}
        refused = {a.subject: str(a.blocked and a.blocked[1]) for a in chosen.plan.actions}
        assert "name those of its partitions (app.p1_id_idx)" in refused["app.p_id"]
        assert "exclusion constraint" in refused["app.x_r_excl"]
        assert [s for s, why in refused.items() if why == "None"] == ["app.plain", "app.p1_id_idx", "app.gin"]
        done = named.run(opened, gate=True)
        assert done.well
        assert [o.status for o in done.outcomes] == ["done"] * 3
        assert "amcheck knows B-trees only, this is gist" in str(done.outcomes[2].message)
        # on servers that lose entries, on replicas, without room
        for attribute, value, why in (
            ("version_number", 140_003, "upgrade to 14.4"),
            ("is_replica", True, "a replica takes no changes"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(opened, attribute, value)
                (action,) = job("app.plain").run(opened, apply=False).plan.actions
                assert why in str(action.blocked)
        (action,) = job("app.plain").run(opened, apply=False).plan.actions
        assert "of disk are free" in action.detail  # the server runs on this machine
        with monkeypatch.context() as patch:
            patch.setattr(space, "free", lambda _: 4096)
            (action,) = job("app.plain").run(opened, apply=False).plan.actions
            assert action.blocked is not None
            assert (action.blocked[0], "twice its size" in action.blocked[1]) == ("overloaded", True)
            patch.setattr(space, "_is_here", lambda _: False)
            (action,) = job("app.plain").run(opened, apply=False).plan.actions
            assert (action.blocked, "cannot be seen" in action.detail) == (None, True)
        full = job("app.plain")
        late = full.run(opened, between=lambda: monkeypatch.setattr(space, "free", lambda _: 4096))
        assert late.ends == ["overloaded"]


def test_an_estimate_calls_no_fresh_index_bloated_and_sees_what_is_half_air(db: Db, database: str) -> None:
    """By the rights of an owner who may see nothing else."""
    run(
        db,
        "create table app.t (id bigint primary key, few int, word text, num numeric, u uuid default gen_random_uuid())",
        "insert into app.t (id, few, word, num) select n, n % 10, case when n % 5 = 0 then 'key' || n end, n * 1.5 "
        "from generate_series(1, 40000) n",
        "create index few on app.t (few)",
        "create index few_and_id on app.t (few, id) with (fillfactor = 70)",
        "create index word on app.t (word)",
        "create index num on app.t (num)",
        "create index expression on app.t (upper(u::text))",
        "create index part on app.t (u) where few > 4",
        "vacuum analyze app.t",
    )
    role = f"owns_{db.info.backend_pid}"
    run(db, f"create role {role} login password '{role}'", f"grant all on schema app to {role}")
    run(db, f"alter table app.t owner to {role}")
    anything = {"min_size": "1 B", "min_bloat": "20 %", "limit": 100}
    try:
        with session(database, user=role, password=role) as opened:
            fresh = job(**anything).run(opened, apply=False)
            assert [(a.subject, a.reason) for a in fresh.plan.actions] == []
            assert "bloat_unknown" not in fresh.checks
            run(db, "delete from app.t where id % 20 > 9", "vacuum analyze app.t")
            half = job(**anything).run(opened, gate=True)
            shares = {a.subject: int(a.reason.partition(" ")[0]) for a in half.plan.actions}
            assert len(shares) == 7
            assert all(30 <= share <= 60 for share in shares.values()), shares
            assert {*half.ends} == {"done"}
            assert half.well
    finally:
        run(db, f"drop owned by {role} cascade", f"drop role {role}")


# -- beside others -----------------------------------------------------------------------------------


@contextmanager
def transaction(database: str, *statements: str, name: str = "") -> Iterator[Db]:
    with psycopg.connect(database, application_name=name) as other:
        run(other, *statements)
        yield other


def test_it_is_not_begun_beside_what_it_would_wait_for(db: Db, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bloated(db, 2_000)
    before = sizes(db)
    run(db, "create table app.other (a int)")

    def held() -> tuple[list[str], str, list[str]]:
        with session(database) as opened:
            done = job("app.plain").run(opened)
        return done.ends, str(done.outcomes[0].message), done.checks

    with transaction(database, "select 1", name="pg_dump"):
        ends, message, _ = held()
        assert ends == ["lock_not_obtained"]
        assert "application 'pg_dump'" in message
    with transaction(database, "lock table app.t in share update exclusive mode", name="vacuums"):
        ends, message, _ = held()
        assert (ends, "somebody changes app.t" in message, "'vacuums'" in message) == (
            ["lock_not_obtained"],
            True,
            True,
        )
    monkeypatch.setattr(observe, "OLD_SECONDS", 0.0)
    snapshot = "set transaction isolation level repeatable read"
    for statements in (("select from app.t",), (snapshot, "select 1"), ("insert into app.t values (0, 0, '')",)):
        with transaction(database, *statements, name="old"):
            ends, message, checks = held()
            assert (ends, "'old'" in message, "snapshot_old" in checks) == (["lock_not_obtained"], True, True), message
    run(db, "begin", "insert into app.other values (1)", "prepare transaction 'half way'")
    try:
        ends, message, _ = held()
        assert (ends, "prepared transaction 'half way'" in message) == (["lock_not_obtained"], True), message
    finally:
        run(db, "rollback prepared 'half way'")
    run(db, "select pg_create_physical_replication_slot('old', true)")
    try:
        with session(database) as opened:  # a slot without an xmin holds nothing back
            assert observe.waits(opened, []) == []
    finally:
        run(db, "select pg_drop_replication_slot('old')")
    with transaction(database, "select from app.other"):  # reads committed, and is at nothing right now
        assert held()[0] == ["done"]
    assert sizes(db)["app.plain"] < before["app.plain"]


BLOCKERS: dict[str, tuple[tuple[str, ...], str]] = {
    "waiting for writers before build": (("insert into app.t values (0, 0, '')",), "app.plain_ccnew"),
    "waiting for old snapshots": (
        ("set transaction isolation level repeatable read", "select from app.other"),
        "app.plain_ccnew",
    ),
    "waiting for readers before marking dead": (("select from app.t where false",), "app.plain_ccold"),
}
"""What a rebuilding waits for at each of its stages, and what is left when it ends there."""


def invalid(db: Db) -> list[str]:
    rows = "select indexrelid::regclass::text from pg_index where indrelid = 'app.t'::regclass and not indisvalid"
    return [name for (name,) in db.execute(rows).fetchall()]


def phase(db: Db) -> str | None:
    found = "select phase from pg_stat_progress_create_index where datname = current_database()"
    row = db.execute(found).fetchone()
    return None if row is None else row[0]


def quickly(db: Db) -> None:
    """Write, and see that it does not wait: for no lock."""
    run(
        db,
        "set lock_timeout = '500ms'",
        "insert into app.t select max(id) + 1, max(n) + 1, 'new' from app.t",
        "update app.t set msg = 'x' where n = 10",
        "reset lock_timeout",
    )


class Beside:
    """A run in a thread, as long as somebody else is at something."""

    def __init__(self, database: str, **hooks: Any) -> None:
        self.said: list[str] = []
        self.ends: list[str] = []
        self.messages: list[str] = []
        self.error: Exception | None = None
        self._database, self._hooks = database, hooks
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        hook: Callable[[], object] = self._hooks.get("stop", lambda: None)

        def checkpoint(message: str = "", *, rows: int = 0) -> None:
            self.said.append(f"{message}{rows or ''}")
            hook()

        with session(self._database) as opened:
            try:
                done = job("app.plain").run(opened, checkpoint=checkpoint)
            except (StopError, CancelledError) as error:
                self.error = error
            else:
                self.ends, self.messages = done.ends, [str(o.message) for o in done.outcomes]

    def over(self) -> None:
        self.thread.join(30)
        assert not self.thread.is_alive()


@contextmanager
def stuck(db: Db, database: str, stage: str, **hooks: Any) -> Iterator[tuple[Beside, Db]]:
    """Let a run come as far as a stage, and stay there while the block lasts."""
    with ExitStack() as stack:
        blocker = stack.enter_context(transaction(database, *BLOCKERS[stage][0]))
        beside = Beside(database, **hooks)
        until(lambda: phase(db) == stage or not beside.thread.is_alive(), 20, lambda: f"{phase(db)} {beside.messages}")
        quickly(db)
        yield beside, blocker


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddl, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(apply, "CLEAN_RETRY", ddl.LockRetry(attempts=1))
    monkeypatch.setattr("upkeep.postgres.reindex.watch.LOOK_SECONDS", 0.1)


def whole(db: Db, database: str, before: dict[str, Any]) -> None:
    """See that the next run leaves nothing over, and that writers went on."""
    with session(database) as opened:
        done = job("app.plain").run(opened, gate=True)
        assert {*done.ends} == {"done"}, done.outcomes
        assert done.well
    assert invalid(db) == []
    assert facts(db) == before


KILL = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where query ilike 'reindex index concurrently%%' and datname = current_database()"
)


@pytest.mark.versions
@pytest.mark.usefixtures("soon")
def test_a_lost_backend_at_each_stage_leaves_nothing_for_long(db: Db, database: str) -> None:
    bloated(db, 2_000)
    run(db, "create table app.other (a int)")
    before = facts(db)
    for stage, (_, left) in BLOCKERS.items():
        with stuck(db, database, stage) as (beside, _):
            until(lambda told=beside.said: any("rebuilding app.plain: " in text for text in told), 5)  # type: ignore[misc]
            run(db, KILL)
            beside.over()
            assert beside.ends == ["connection_lost"], beside.messages
            assert ("it is rebuilt" in beside.messages[0]) == left.endswith("old")
            quickly(db)
            if "snapshots" in stage:  # nobody waits for these to drop an index
                assert f"what it left ({left}) is dropped" in beside.messages[0]
                continue
            assert "the next run drops" in beside.messages[0]
            assert invalid(db) == [left]
        with session(database) as opened:
            plan = job("app.plain").run(opened, apply=False).plan
        assert [a.kind for a in plan.actions] == ["drop_leftover_index", "reindex_index"]
        assert [f.subject for f in plan.findings if f.check == "index_leftover"] == [left]
        whole(db, database, before)


@pytest.mark.usefixtures("soon")
def test_a_stop_at_each_stage_cleans_up_behind_itself(db: Db, database: str) -> None:
    bloated(db, 2_000)
    run(db, "create table app.other (a int)")
    before = facts(db)
    closed: list[bool] = []

    def stop() -> None:
        if closed:
            raise StopError(ReasonCode.OUTSIDE_WINDOW, "the window has closed")

    for stage in [*BLOCKERS][:2]:
        closed.clear()
        with stuck(db, database, stage, stop=stop) as (beside, blocker):
            apply.CLEAN_RETRY = ddl.LockRetry(attempts=50, budget=10)  # type: ignore[misc]
            closed.append(True)
            until(lambda: phase(db) is None, 10)
            blocker.rollback()
            beside.over()
        assert str(beside.error) == f"the window has closed; what it left ({BLOCKERS[stage][1]}) is dropped"
        assert invalid(db) == []
        assert facts(db) == before


@pytest.mark.usefixtures("soon")
def test_it_gives_way_to_who_would_keep_writers_waiting(db: Db, database: str) -> None:
    bloated(db, 2_000)
    run(db, "create table app.other (a int)")
    with stuck(db, database, "waiting for old snapshots") as (beside, _), transaction(database) as changes:
        changes.execute("set application_name = 'migration'")
        began = time.monotonic()
        changes.execute("alter table app.t add column more int")
        assert time.monotonic() - began < 5
        changes.commit()
        beside.over()
    assert beside.ends == ["lock_not_obtained"]
    assert "gave way to process" in beside.messages[0]
    assert "application 'migration'" in beside.messages[0]


def test_what_the_server_refuses_leaves_nothing_and_shows_no_values(db: Db, database: str) -> None:
    bloated(db, 100)
    run(db, "insert into app.t values (1001, 1001, 'secret'), (1002, 1002, 'secret')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("create unique index concurrently broken on app.t (msg)")
    before = facts(db)
    with session(database) as opened:
        failed = job("app.broken").run(opened, gate=True)
        assert (failed.ends, failed.outcomes[0].status) == (["error"], "failed")
        message = str(failed.outcomes[0].message)
        assert "could not create unique index" in message
        assert "it left (app.broken_ccnew) is dropped" in message
        assert "secret" not in message
        assert facts(db) == before
        # made unique again it is rebuilt, and checked
        run(db, "create extension amcheck", "delete from app.t where id = 1002")
        mended = job("app.broken").run(opened, gate=True)
        assert (mended.ends, mended.well) == (["done"], True)
        assert mended.outcomes[0].evidence["checked"].startswith("checked: it is in order")
    assert invalid(db) == []


def test_only_leftovers_of_exactly_this_index_go(db: Db, database: str) -> None:
    long = "é" * 31
    bloated(db, 100)
    run(db, f'create index "{long}" on app.t (id, n)', "create index stranger on app.t (n)")
    made = (f'"{"é" * 28}_ccnew"', "stranger_ccnew", "plain_ccold3", "plain_ccnew_mine", "valid_ccnew")
    for name, columns in zip(
        made, ("(id, n)", "(n, id)", "(msg) where n > 0", "(msg) where n > 0", "(n)"), strict=True
    ):
        run(db, f"create index {name} on app.t {columns}")
        if name != "valid_ccnew":
            run(db, f"update pg_index set indisvalid = false where indexrelid = 'app.{name}'::regclass")
    with session(database) as opened:
        alone = job().run(opened, gate=True)
        assert sorted(a.subject for a in alone.plan.actions) == [f'app."{"é" * 28}_ccnew"', "app.plain_ccold3"]
        assert {*alone.ends} == {"done"}
        assert alone.well
        assert sorted(invalid(db)) == ["app.plain_ccnew_mine", "app.stranger_ccnew"]
        # what becomes another one meanwhile stays
        run(db, "create index plain_ccnew on app.t (msg) where n > 0")
        run(db, "update pg_index set indisvalid = false where indexrelid = 'app.plain_ccnew'::regclass")
        late = job().run(opened, between=lambda: run(db, "reindex index app.plain_ccnew"))
        assert late.ends == ["state_changed"]
