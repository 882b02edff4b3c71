"""Each check's fault is made on the real server, seen to raise, and to clear when it is mended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.looking import Looks
from tests.harness.tidb import Db
from upkeep import fleet
from upkeep.jobs.errors import NoConnectionError
from upkeep.tidb.engine import ENGINE
from upkeep.tidb.health_check import JOB
from upkeep.tidb.session import STATEMENT_SECONDS, TiDBSession
from upkeep.tidb.sql import Sql

pytestmark = pytest.mark.tidb


@pytest.fixture(scope="module")
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


@pytest.fixture(scope="module")
def ours(db: Db) -> Iterator[TiDBSession]:
    with help_.session(db) as opened:
        yield opened


def looks(thresholds: str = "{}", more: str = "") -> Looks:
    health = f"health: {{thresholds: {thresholds}}}"
    text = f"version: 1\ntargets:\n  t:\n    engine: tidb\n    connection: c\n    backup: false\n    {health}\n{more}"
    return Looks("health_check", fleet.parse(text).target("t"))


@contextmanager
def connections(db: Db, count: int) -> Iterator[list[Any]]:
    opened = [db.connect() for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


@contextmanager
def sent(db: Db, *statements: str, pause: float = 0.3) -> Iterator[None]:
    """Send statements that wait for something, each on a connection of its own, until the block ends."""
    with connections(db, len(statements)) as opened:
        threads = [
            threading.Thread(target=lambda c=c, s=s: c.cursor().execute(s))  # type: ignore[misc]
            for c, s in zip(opened, statements, strict=True)
        ]
        for thread in threads:
            thread.start()
            time.sleep(pause)  # in this order
        yield
        for thread in threads:
            thread.join(20)


def test_connections(db: Db, ours: TiDBSession) -> None:
    seen = looks()
    assert seen.level(ours, "connections_used") == "ok", "without a limit any number is fine"
    with connections(db, 8):
        used = db.value("select count(*) from information_schema.processlist")
        try:
            db.run(f"set global max_connections = {used + 1}")
            assert seen.level(ours, "connections_used") == "INFO"
            assert seen.level(ours, "connections_used") in {"WARNING", "ERROR"}
            db.run(f"set global max_connections = {used}")
            with pytest.raises(NoConnectionError) as full, help_.session(db):
                pass
            blind = JOB.blind and JOB.blind(seen.what, full.value, [])
            assert blind
            assert [(f.check, f.severity.value) for f in blind] == [("connections_used", "CRITICAL")]
        finally:
            db.run("set global max_connections = 0")
    assert seen.level(ours, "connections_used", times=2) != "ok"
    assert seen.level(ours, "connections_used") == "ok"


def test_who_waits_and_who_lets_wait(db: Db, ours: TiDBSession) -> None:
    short = "{warning: 1 second}"
    seen = looks(f"{{session_blocked: {short}, transaction_long: {short}, session_idle_in_transaction: {short}}}")
    db.run("create table stock (id int primary key, pieces int)")
    db.run("insert into stock values (1, 5)")
    with connections(db, 1) as (holder,):
        holder.begin()
        holder.cursor().execute("update stock set pieces = 4 where id = 1")
        with sent(db, "update stock set pieces = 3 where id = 1"):
            time.sleep(1.5)
            seen.look(ours)
            found = seen.look(ours)
            waits = found["session_blocked", f"{db.name}.stock"]
            assert (waits.severity.value, waits.evidence["waiters"]) == ("WARNING", 1)
            assert waits.evidence["holders"] == db.server.user
            assert "pieces" not in str(waits), "nothing of the statement or of the row"
            for check in ("transaction_long", "session_idle_in_transaction"):
                assert found[check, f"root@{db.name}"].severity.value == "WARNING"
            holder.rollback()
    assert seen.level(ours, "session_blocked", times=2) == "WARNING", "ended after three looks"
    found = seen.look(ours)
    checks = ("session_blocked", "transaction_long", "session_idle_in_transaction")
    assert {f.status.value for (name, _), f in found.items() if name in checks} == {"ok"}


def test_many_that_wait_are_critical_at_once(db: Db, ours: TiDBSession) -> None:
    db.run("create table seats (id int primary key, taken int)")
    db.run("insert into seats values (1, 0)")
    with connections(db, 1) as (holder,):
        holder.begin()
        holder.cursor().execute("update seats set taken = 1 where id = 1")
        waiting = ["update seats set taken = 2 where id = 1"] * 20
        with sent(db, *waiting, pause=0.02):
            time.sleep(1)
            assert looks().level(ours, "session_blocked", f"{db.name}.seats") == "CRITICAL"
            holder.rollback()
    assert looks().level(ours, "session_blocked", f"{db.name}.seats") == "ok"


def test_a_schema_change_that_waits_for_an_old_transaction(db: Db, ours: TiDBSession) -> None:
    seen = looks("{ddl_stuck: {warning: 1 second, error: 1 hour}}")
    db.run("create table wide (id int primary key)")
    db.run("insert into wide values (1)")
    with connections(db, 1) as (old,):
        old.begin()
        old.cursor().execute("select * from wide")
        with sent(db, "alter table wide add column a int", "alter table wide add column b int"):
            time.sleep(1.5)
            assert seen.level(ours, "ddl_stuck", f"{db.name}.wide") == "CRITICAL"
            found = seen.look(ours)["ddl_stuck", f"{db.name}.wide"]
            assert found.evidence["behind"] == 1
            assert f"admin cancel ddl jobs {found.evidence['job_id']}" in str(found.remedy)
            old.rollback()
    assert seen.level(ours, "ddl_stuck", times=3) == "ok"


def test_collection_of_old_versions(db: Db, ours: TiDBSession) -> None:
    """The embedded store has no worker, so what the worker writes is written here."""
    seen = looks()
    assert seen.level(ours, "gc_stalled") == "insufficient_evidence"

    def reached(age: timedelta) -> None:
        text = (datetime.now(UTC) - age).astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y%m%d-%H:%M:%S.000 %z")
        db.run("replace into mysql.tidb (variable_name, variable_value) values ('tikv_gc_safe_point', %s)", (text,))

    try:
        reached(timedelta(hours=8))
        assert seen.level(ours, "gc_stalled", times=2) == "ERROR"
        db.run("set global tidb_gc_enable = off")
        assert "tidb_gc_enable" in seen.look(ours)["gc_stalled", "server"].summary
        db.run("set global tidb_gc_enable = on")
        reached(timedelta(minutes=25))
        found = seen.look(ours, times=3)["gc_stalled", "server"]
        assert found.status.value == "ok"
        assert found.evidence["value"] == pytest.approx(900, abs=30), "in the zone of the worker, beyond ten minutes"
    finally:
        db.run("set global tidb_gc_enable = on")
        db.run("delete from mysql.tidb where variable_name = 'tikv_gc_safe_point'")


def test_memory(db: Db, ours: TiDBSession) -> None:
    seen = looks("{memory_used: {warning: 10, error: 98, critical: 99}}")
    usual = db.value("select @@global.tidb_server_memory_limit")
    try:
        db.run("set global tidb_server_memory_limit = '64GB'")
        (found,) = [f for (check, _), f in seen.look(ours).items() if check == "memory_used"]
        used = found.evidence["value"] / 100 * 64_000
        db.run(f"set global tidb_server_memory_limit = '{max(1000, used * 2):.0f}MB'")
        assert seen.level(ours, "memory_used", times=2) == "WARNING"
        db.run("set global tidb_server_memory_limit = '64GB'")
        assert seen.level(ours, "memory_used", times=3) == "ok"
        db.run("set global tidb_server_memory_limit = 0")
        assert "the memory of its host" in str(seen.look(ours))
    finally:
        db.run("set global tidb_server_memory_limit = %s", (usual,))


def test_statistics(db: Db, ours: TiDBSession) -> None:
    """The server counts changes once a minute; here they are counted at once."""
    seen = looks()
    for name, rows in (("big", 1200), ("small", 100), ("loaded", 1200)):
        db.run(f"create table `{name}` (id int primary key, a int)")
        db.many(f"insert into `{name}` values (%s, 1)", [(n,) for n in range(rows)])
    db.run("analyze table big, small")
    changed = f"select tidb_table_id from information_schema.tables where table_schema = '{db.name}' and table_name in"
    db.run(f"update mysql.stats_meta set modify_count = count * 0.9 where table_id in ({changed} ('big', 'small'))")
    db.run(f"update mysql.stats_meta set modify_count = 1200, count = 1200 where table_id in ({changed} ('loaded'))")
    found = seen.look(ours, times=2)
    told = {about: f.severity.value for (name, about), f in found.items() if name == "statistics_health"}
    assert told == {f"{db.name}.big": "WARNING"}
    db.run("analyze table big")
    assert seen.level(ours, "statistics_health", times=3) == "ok"


def test_disks(ours: TiDBSession) -> None:
    """Nobody fills a disk for a test: the thresholds move instead."""
    seen = looks("{disk_used: {warning: 0.001 %, error: 99.8 %, critical: 99.9 %}}")
    assert seen.level(ours, "disk_used", times=2) == "WARNING"
    seen.what = looks("{disk_used: {warning: 99.7 %, error: 99.8 %, critical: 99.9 %}}").what
    assert seen.level(ours, "disk_used", times=3) == "ok"


def test_members(ours: TiDBSession) -> None:
    """There is one server only: what was seen of others is remembered of an earlier look."""
    seen = looks()
    assert seen.level(ours, "member_state") == "ok"
    there = seen.earlier[0]["measured"]["member_state"]
    others = [("tidb", "10.1.1.1:4000", "there"), ("tikv", "store2", "there"), ("tikv", "store9", "leaving")]
    there |= {f"{k} {i}": {"kind": k, "instance": i, "state": state} for k, i, state in others}
    found = seen.look(ours)
    assert found["member_state", "tidb 10.1.1.1:4000"].severity.value == "ERROR"
    assert found["member_state", "tikv store2"].severity.value == "ERROR"
    assert ("member_state", "tikv store9") not in found, "it was taken out"
    assert found["member_state", "tikv"].severity.value == "CRITICAL", "one of two is no majority"
    since = found["member_state", "tikv store2"].evidence["since"]
    assert seen.look(ours)["member_state", "tikv store2"].evidence["since"] == since
    remembered = seen.earlier[0]["measured"]["member_state"]
    remembered["tikv store2"]["since"] = (datetime.fromisoformat(since) - timedelta(days=8)).isoformat()
    remembered["tikv store1"] = {**remembered["tikv store1"], "state": "missing", "since": since}
    found = seen.look(ours)
    assert ("member_state", "tikv store2") not in found, "gone for a week"
    assert found["member_state", "tikv store1"].status.value == "ok", "it came back"
    assert found["member_state", "tikv"].status.value == "ok"


def test_partitions_ahead(db: Db, ours: TiDBSession) -> None:
    def month(number: int) -> str:
        now = datetime.now(UTC).replace(day=1)
        return f"{now.year + (now.month - 1 + number) // 12}-{(now.month - 1 + number) % 12 + 1:02d}-01"

    tables = "".join(f"      {t}: {{partition: {{by: at, every: 1 month, ahead: 4}}}}\n" for t in ("sales", "plain"))
    seen = looks(more=f"    tables:\n{tables}")
    parts = f"(partition p0 values less than ('{month(-1)}'), partition p1 values less than ('{month(0)}'))"
    db.run(f"create table sales (id int, at datetime) partition by range columns (at) {parts}")
    db.run("create table plain (id int, at datetime)")
    subject = f"{db.name}.sales"
    assert seen.level(ours, "partition_headroom", subject) == "CRITICAL"
    assert seen.level(ours, "partition_headroom", f"{db.name}.plain") == "insufficient_evidence"
    levels = []
    for end in range(1, 4):
        db.run(f"alter table sales add partition (partition p{end + 1} values less than ('{month(end)}'))")
        levels.append(seen.level(ours, "partition_headroom", subject))
    assert levels == ["ERROR", "WARNING", "ok"]


def test_what_a_user_with_few_rights_cannot_see_is_said(db: Db) -> None:
    """TiDB often shows such a user less, and no error: nothing is fine that nobody has seen."""
    user = f"h{db.name}"
    db.run(f"create user {user} identified by 'x'")
    db.run(f"grant select on {db.name}.* to {user}")
    db.run(f"grant select on mysql.tidb to {user}")
    try:
        with ENGINE.open(help_.address(db, user=user, password="x"), application="t") as session:
            blind = {f.check: f.summary for f in looks().once(session).findings if f.status.value == "not_available"}
        grants = {check: text.rpartition(": ")[2] for check, text in blind.items()}
        process = {"ddl_stuck", "session_blocked", "session_idle_in_transaction", "transaction_long", "member_state"}
        assert grants == {
            **dict.fromkeys(process, f"grant process on *.* to {user}"),
            "connections_used": f"grant process, config on *.* to {user}",
            "disk_used": f"grant config on *.* to {user}",
            "statistics_health": f"grant select on mysql.stats_meta to {user}",
        }
        db.run(f"grant process, config on *.* to {user}")
        db.run(f"grant select on mysql.stats_meta to {user}")
        with ENGINE.open(help_.address(db, user=user, password="x"), application="t") as session:
            assert "not_available" not in {f.status.value for f in looks().once(session).findings}
            (row,) = session.execute(Sql("select @@max_execution_time as most")).rows
            assert row["most"] == STATEMENT_SECONDS * 1000, "the limit is a check's, not the session's"
    finally:
        db.run(f"drop user {user}")
