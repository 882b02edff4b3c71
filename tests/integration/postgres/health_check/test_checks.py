"""Each check's fault is made on the real server, seen to raise, and to clear when it is mended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from threading import Thread
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness import servers
from tests.harness.jobs import session
from tests.harness.looking import Looks
from tests.harness.postgres import replica_of
from upkeep import fleet
from upkeep.errors import UnreachableError
from upkeep.jobs.health_check import blind

MORE = {"max_prepared_transactions": "2", "archive_mode": "on", "archive_command": "true"}
SOON = "{warning: 0.01, error: 0.02}"
"""Thresholds that the least wait reaches: what is really long takes longer than a test."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own: its roles, slots and settings are changed."""
    with servers.alone(partial(servers.start_postgres, settings=MORE)) as found:
        yield found


@pytest.fixture
def db(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.uri(), autocommit=True, application_name="shop") as connection:
        yield connection


def looks(health: str = "{}", tables: str = "{}") -> Looks:
    text = "version: 1\ntargets:\n  t:\n    engine: postgres\n    connection: c\n    backup: false\n"
    return Looks("health_check", fleet.parse(f"{text}    health: {health}\n    tables: {tables}\n").target("t"))


@pytest.fixture
def ours(server: PostgresServer) -> Iterator[Any]:
    with session("postgres", server.uri()) as opened:
        yield opened


@pytest.mark.versions
def test_a_server_that_is_well_is_told_to_be(ours: Any) -> None:
    found = looks().look(ours, 3)
    assert {f.check for f in found.values() if f.status == "finding"} == set()
    assert {f.check for f in found.values() if f.unseen and f.severity != "INFO"} == set()
    assert {name for name, _ in found} >= {"reachable", "connections_used", "wraparound", "sequence_exhaustion"}


def test_connections(ours: Any, db: psycopg.Connection[Any]) -> None:
    seen, about = looks(), "role clerk"
    db.execute("create role clerk login password 'x' connection limit 1")
    uri = {"host": "127.0.0.1", "port": db.info.port, "dbname": "postgres", "user": "clerk", "password": "x"}
    with psycopg.connect(**uri):
        assert seen.level(ours, "connections_used", about) == "INFO"
        assert seen.level(ours, "connections_used", about) == "CRITICAL"
        with (
            pytest.raises(UnreachableError) as caught,
            session("postgres", f"postgres://clerk:x@127.0.0.1:{db.info.port}/postgres"),
        ):
            pass
        (full,) = blind(seen.what, caught.value, seen.earlier)
        assert (full.check, full.severity.value) == ("connections_used", "CRITICAL")
    assert seen.level(ours, "connections_used", about, times=2) == "CRITICAL"
    assert seen.level(ours, "connections_used", about) == "ok"
    db.execute("drop role clerk")


def test_a_server_that_does_not_answer_is_graver_each_time() -> None:
    seen, gone = looks(), UnreachableError("no answer")
    assert [f.status.value for f in blind(seen.what, gone, [])] == ["ok"]
    one = {"status": "unreachable", "measured": {}}
    assert [f.severity.value for f in blind(seen.what, gone, [one])] == ["ERROR"]
    assert [f.severity.value for f in blind(seen.what, gone, [one, one])] == ["CRITICAL"]
    assert [f.status.value for f in blind(seen.what, gone, [{"status": "ok"}, one, one])] == ["ok"]


def test_old_transaction_ids(ours: Any, db: psycopg.Connection[Any]) -> None:
    db.execute("do $$ begin for n in 1 .. 300 loop perform txid_current(); commit; end loop; end $$")
    seen = looks("{thresholds: {wraparound: {warning: 250}}}")
    assert seen.level(ours, "wraparound", "postgres", times=2) == "WARNING"
    db.execute("vacuum (freeze)")
    assert seen.level(ours, "wraparound", "postgres", times=3) == "ok"


def test_long_and_idle_transactions(server: PostgresServer, ours: Any) -> None:
    what = f"{{thresholds: {{transaction_long: {SOON}, session_idle_in_transaction: {SOON}, xmin_horizon: {SOON}}}}}"
    seen = looks(what)
    with psycopg.connect(server.uri(), application_name="till") as held:
        held.execute("set transaction isolation level repeatable read")
        held.execute("select txid_current()")
        time.sleep(0.05)
        found = seen.look(ours, 2)
        for check in ("transaction_long", "session_idle_in_transaction", "xmin_horizon"):
            assert found[check, "app_owner@till"].severity.value == "ERROR", check
    found = seen.look(ours, 3)
    for check in ("transaction_long", "session_idle_in_transaction", "xmin_horizon"):
        assert [f.status.value for (name, _), f in found.items() if name == check] == ["ok"], check


def test_what_else_holds_dead_rows(ours: Any, db: psycopg.Connection[Any]) -> None:
    seen = looks(f"{{thresholds: {{xmin_horizon: {SOON}}}}}")
    db.execute("create table if not exists held (id int)")
    db.execute("begin")
    db.execute("insert into held values (1)")
    db.execute("prepare transaction 'forgotten'")
    time.sleep(0.05)
    assert seen.level(ours, "xmin_horizon", "prepared forgotten", times=2) == "ERROR"
    db.execute("rollback prepared 'forgotten'")
    assert seen.level(ours, "xmin_horizon", times=3) == "ok"
    db.execute("drop table held")


@pytest.mark.versions
def test_a_blocked_session(server: PostgresServer, ours: Any, db: psycopg.Connection[Any]) -> None:
    seen = looks(f"{{thresholds: {{session_blocked: {SOON}}}}}")
    db.execute("create table if not exists till (id int)")
    with psycopg.connect(server.uri(), application_name="till") as holder:
        holder.execute("lock table till in access exclusive mode")

        def wait() -> None:
            with psycopg.connect(server.uri(), application_name="customer") as waiting:
                waiting.execute("select * from till")

        waiter = Thread(target=wait)
        waiter.start()
        time.sleep(0.3)
        found = seen.look(ours, 2)["session_blocked", "server"]
        assert found.severity.value == "ERROR"
        assert "1 sessions wait" in found.summary
        holder.rollback()
        waiter.join()
    assert seen.level(ours, "session_blocked", times=3) == "ok"
    db.execute("drop table till")


@pytest.mark.versions
def test_wal_that_is_kept_back(ours: Any, db: psycopg.Connection[Any]) -> None:
    seen = looks(f"{{thresholds: {{wal_retained: {SOON}}}}}")
    db.execute("select pg_create_physical_replication_slot('nobody', true)")
    seen.look(ours)
    time.sleep(0.05)
    assert seen.level(ours, "wal_retained", "slot nobody", times=2) == "ERROR"
    db.execute("select pg_drop_replication_slot('nobody')")
    assert seen.level(ours, "wal_retained", "slot nobody", times=3) == "ok"
    db.execute("alter system set archive_command = 'false'")
    db.execute("select pg_reload_conf()")
    db.execute("select pg_switch_wal()")
    _until(db, "select failed_count > 0 from pg_stat_archiver")
    assert seen.level(ours, "wal_retained", "archiver", times=2) == "ERROR"
    db.execute("alter system reset archive_command")
    db.execute("select pg_reload_conf()")
    _until(db, "select last_archived_time > last_failed_time from pg_stat_archiver")
    assert seen.level(ours, "wal_retained", "archiver", times=3) == "ok"


def _until(db: psycopg.Connection[Any], question: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not (db.execute(question).fetchone() or (False,))[0]:
        assert time.monotonic() < deadline, question
        time.sleep(0.1)


def test_a_replica_that_lags_and_vanishes(server: PostgresServer, ours: Any, db: psycopg.Connection[Any]) -> None:
    seen = looks(f"{{thresholds: {{replication_lag: {SOON}}}}}")
    with replica_of(server) as copy, psycopg.connect(copy.uri(), autocommit=True) as replica:
        _until(db, "select exists(select from pg_stat_replication where state = 'streaming')")
        assert seen.level(ours, "replica_state") == "ok"
        replica.execute("select pg_wal_replay_pause()")
        _until(replica, "select pg_get_wal_replay_pause_state() = 'paused'")
        db.execute("create table if not exists lag (id int)")
        seen.look(ours)
        time.sleep(0.1)
        assert seen.level(ours, "replication_lag", times=2) == "ERROR"
        with session("postgres", copy.uri()) as on_replica:
            there = looks(f"{{thresholds: {{replication_lag: {SOON}}}}}")
            there.look(on_replica)
            time.sleep(0.1)
            assert there.level(on_replica, "replication_lag", times=2) == "ERROR"
        replica.execute("select pg_wal_replay_resume()")
        db.execute("drop table lag")
        _until(db, "select bool_and(replay_lsn = pg_current_wal_lsn()) from pg_stat_replication")
        assert seen.level(ours, "replication_lag", times=3) == "ok"
    _until(db, "select not exists(select from pg_stat_replication)")
    assert seen.level(ours, "replica_state") == "ERROR"
    seen.earlier[0]["measured"]["replica_state"] = {
        subject: {**then, "gone_at": then["gone_at"] - 4 * 86400} if "gone_at" in then else then
        for subject, then in seen.earlier[0]["measured"]["replica_state"].items()
    }
    assert seen.level(ours, "replica_state") == "ok"


def test_sequences_that_end(ours: Any, db: psycopg.Connection[Any]) -> None:
    db.execute("create table s (a serial, b smallint generated always as identity)")
    db.execute("alter sequence s_a_seq as bigint")  # the column stays an integer
    seen = looks()
    db.execute("select setval('s_a_seq', 2000000000), setval('s_b_seq', 30000)")
    db.execute("create sequence down increment -1 minvalue -100 maxvalue -1 start -1")
    db.execute("select setval('down', -80)")
    found = seen.look(ours, 2)
    assert found["sequence_exhaustion", "public.s_a_seq"].severity.value == "ERROR"
    assert found["sequence_exhaustion", "public.s_b_seq"].severity.value == "ERROR"
    assert found["sequence_exhaustion", "public.down"].severity.value == "WARNING"
    db.execute("alter table s alter a type bigint")
    db.execute("select setval('s_b_seq', 3)")
    db.execute("drop sequence down")
    found = seen.look(ours, 3)
    assert {f.status.value for (check, _), f in found.items() if check == "sequence_exhaustion"} == {"ok"}
    db.execute("drop table s")


def test_sequences_that_may_not_be_read_tell_the_grant(db: psycopg.Connection[Any]) -> None:
    db.execute("""create role "S; seer" login password 'x'; create schema "S 1"; create sequence "S 1".one""")
    seen = looks()
    try:
        with session("postgres", f"postgres://S%3B%20seer:x@127.0.0.1:{db.info.port}/postgres") as theirs:
            told = seen.look(theirs, 2)["sequence_exhaustion", "server"]
            assert told.severity.value == "WARNING"
            grant = """grant select on all sequences in schema "S 1" to "S; seer\""""
            assert told.summary.endswith(grant), told.summary
            db.execute(grant)
            assert seen.level(theirs, "sequence_exhaustion", "server") == "ok"
    finally:
        db.execute("""drop schema "S 1" cascade; drop role "S; seer\"""")


def test_partitions_that_run_out_and_rows_in_the_default(ours: Any, db: psycopg.Connection[Any]) -> None:
    db.execute("""create table "Weird; --" (at timestamptz not null) partition by range (at)""")
    seen = looks(tables="""{'"Weird; --"': {partition: {by: at, every: 1 month, ahead: 3}}}""")
    subject = 'public."Weird; --"'
    assert seen.level(ours, "partition_headroom", subject) == "CRITICAL"
    levels = []
    for month in range(4):
        start = f"date_trunc('month', now() at time zone 'utc') + interval '{month} months'"
        bounds = db.execute(
            f"select ({start})::text || '+00', ({start} + interval '1 month')::text || '+00'"
        ).fetchone()
        assert bounds is not None
        db.execute(
            f"""create table "p{month}" partition of "Weird; --" for values from ('{bounds[0]}') to ('{bounds[1]}')"""
        )
        levels.append(seen.level(ours, "partition_headroom", subject))
    assert levels == ["ERROR", "WARNING", "ok", "ok"]
    db.execute("""create table rest partition of "Weird; --" default""")
    assert seen.level(ours, "default_rows", subject) == "ok"
    db.execute("""insert into "Weird; --" values ('2001-01-01')""")
    assert seen.level(ours, "default_rows", subject) == "WARNING"
    db.execute("delete from rest")
    assert seen.level(ours, "default_rows", subject) == "ok"
    with db.transaction():
        db.execute("lock table rest")
        locked = seen.look(ours)["default_rows", subject]
        assert (locked.severity, "is locked by somebody" in locked.summary) == ("WARNING", True)
    assert seen.level(ours, "default_rows", subject) == "ok"
    db.execute("""drop table "Weird; --" """)


def test_blocks_that_are_not_found_in_memory(ours: Any, db: psycopg.Connection[Any]) -> None:
    """What is read is the table's own business; the counters' differences are what is looked at."""
    seen = looks("{thresholds: {cache_hit: {warning: 100}}}")
    (first,) = [f for (name, _), f in seen.look(ours).items() if name == "cache_hit"]
    assert first.status.value == "insufficient_evidence"
    db.execute("create table many as select n, repeat('x', 500) as t from generate_series(1, 200000) n")

    def read() -> None:
        for _ in range(2):
            db.execute("select count(*) from many")
        db.execute("select pg_stat_force_next_flush()") if db.info.server_version >= 150000 else time.sleep(1)
        db.execute("select 1")

    for _ in range(2):
        read()
        level = seen.level(ours, "cache_hit")
    assert level == "WARNING"
    db.execute("drop table many")


def test_who_may_not_see_is_told_so_and_nothing_ends(
    server: PostgresServer, ours: Any, db: psycopg.Connection[Any]
) -> None:
    db.execute("create role blind login password 'x'")
    with session("postgres", f"postgres://blind:x@127.0.0.1:{db.info.port}/postgres") as limited:
        found = looks().look(limited)
        hidden = {name for (name, _), f in found.items() if f.status == "not_available" and f.severity == "WARNING"}
        assert hidden >= {"connections_used", "transaction_long", "session_blocked", "replica_state"}
        assert "grant pg_read_all_stats to blind" in found["connections_used", "server"].summary
        db.execute("grant pg_read_all_stats to blind")
        found = looks().look(limited)
        assert not {name for (name, _), f in found.items() if f.unseen and f.severity == "WARNING"}
    db.execute("drop role blind")
