"""Each check's fault is made on a real server, seen to raise, and to clear when it is mended."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from local.process import free_port, port_is_free
from local.servers import RedisServer, start_redis
from tests.harness import rights
from tests.harness.jobs import session
from tests.harness.looking import Looks
from tests.harness.servers import alone, is_older
from upkeep import fleet, programs
from upkeep.jobs import rooms
from upkeep.jobs.errors import NoConnectionError
from upkeep.redis.health_check import measures

BUSY = "for n = 1, 4e6 do end"  # over 10 ms; TIME stands still in a script since 7.2


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with alone(start_redis) as started:
        yield started


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.uri(), decode_responses=True) as opened:
        yield opened
        opened.flushall()


@pytest.fixture
def ours(server: RedisServer) -> Iterator[Any]:
    with session("redis", rights.redis_uri(server)) as opened:
        yield opened


def looks(health: str = "{}") -> Looks:
    text = (
        f"version: 1\ntargets:\n  t:\n    engine: redis\n    connection: c\n    backup: false\n    health: {health}\n"
    )
    return Looks("health_check", fleet.parse(text).target("t"))


def until(true: Callable[[], Any], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_a_server_in_order(ours: Any) -> None:
    found = looks().look(ours)
    assert {f.status.value for f in found.values()} <= {"ok", "insufficient_evidence", "not_available"}
    assert [name for (name, _), f in found.items() if f.status.value == "not_available"] == ["disk_used"]
    assert found["disk_used", "server"].severity.value == "INFO"


def test_persistence(server: RedisServer, client: Any, ours: Any) -> None:
    seen, inside = looks(), server.directory / "dump.rdb"
    inside.mkdir()  # a snapshot cannot be put there

    def save(status: str) -> str:
        client.bgsave()
        until(lambda: not client.info()["rdb_bgsave_in_progress"])
        assert client.info()["rdb_last_bgsave_status"] == status
        return seen.level(ours, "persistence")

    assert save("err") == "ok", "the server was told to make none itself (save '')"
    client.config_set("save", "3600 1")
    client.config_set("stop-writes-on-bgsave-error", "no")
    assert seen.level(ours, "persistence") == "ERROR"
    client.config_set("stop-writes-on-bgsave-error", "yes")
    assert seen.level(ours, "persistence") == "CRITICAL"
    with pytest.raises(redis.ResponseError, match="MISCONF"):
        client.set("a", 1)
    inside.rmdir()
    assert save("ok") == "ok"
    client.config_set("save", "")


@pytest.mark.since(redis="7.0")  # before, a file that cannot be put in its place leaves the state as it was
def test_a_log_that_cannot_be_written_anew(server: RedisServer, client: Any, ours: Any) -> None:
    seen = looks()
    assert seen.level(ours, "persistence") == "ok"
    base = server.directory / "appendonlydir" / "appendonly.aof.2.base.rdb"
    base.mkdir()
    client.bgrewriteaof()
    until(lambda: client.info()["aof_last_bgrewrite_status"] == "err")
    assert seen.level(ours, "persistence") == "ERROR"
    base.rmdir()
    client.bgrewriteaof()
    until(lambda: client.info()["aof_last_bgrewrite_status"] == "ok")
    assert seen.level(ours, "persistence") == "ok"


def test_memory(client: Any, ours: Any) -> None:
    seen = looks()
    client.set("most of it", "x" * 10_000_000)  # what connections take besides is little
    assert seen.level(ours, "memory_used") == "ok", "without maxmemory, by the host's"
    client.config_set("maxmemory", int(client.info()["used_memory"] * 1.07))
    assert seen.level(ours, "memory_used") == "INFO"
    assert seen.level(ours, "memory_used") == "ERROR"
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert seen.level(ours, "memory_used") == "ok", "a cache is full by design"
    client.config_set("maxmemory-policy", "noeviction")
    assert seen.level(ours, "memory_used", times=2) == "ERROR"
    client.config_set("maxmemory", 0)
    assert seen.level(ours, "memory_used", times=3) == "ok"
    client.delete("most of it")


def test_evictions(client: Any, ours: Any) -> None:
    seen = looks()
    assert seen.level(ours, "evictions") == "insufficient_evidence"
    assert seen.level(ours, "evictions") == "ok"
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        client.set("a", 1)
    assert seen.level(ours, "evictions") == "CRITICAL"
    assert seen.level(ours, "evictions") == "ok"
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", client.info()["used_memory"] + 2**20)

    def evict() -> None:
        with client.pipeline(transaction=False) as pipe:
            for n in range(3000):
                pipe.set(f"key:{n}", "x" * 1000)
            pipe.execute()

    evict()
    assert seen.level(ours, "evictions") == "insufficient_evidence", "how many are usual is not known yet"
    assert seen.level(ours, "evictions", times=measures.LEARNED) == "ok"
    seen.earlier[0]["measured"]["evictions"]["server"]["usual"] = 1.0
    evict()
    assert seen.level(ours, "evictions") == "INFO"
    evict()
    assert seen.level(ours, "evictions") == "WARNING"
    assert seen.level(ours, "evictions", times=3) == "ok"
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_resetstat()
    assert seen.level(ours, "evictions") == "insufficient_evidence", "the counters began anew"


def test_connections(server: RedisServer, client: Any, ours: Any) -> None:
    seen = looks()
    assert seen.level(ours, "connections_used") == "ok"
    client.config_set("maxclients", 20)
    with ExitStack() as stack:
        connect = partial(redis.Redis.from_url, server.uri(), single_connection_client=True)
        for _ in range(17):
            stack.enter_context(connect())
        assert seen.level(ours, "connections_used") == "INFO"
        assert seen.level(ours, "connections_used") == "ERROR"
        stack.enter_context(connect())
        with pytest.raises(NoConnectionError) as caught, session("redis", rights.redis_uri(server)):
            pass
        job = rooms.job(seen.name, "redis")
        assert job is not None
        assert job.blind is not None
        assert [f.severity.value for f in job.blind(seen.what, caught.value, ())] == ["CRITICAL"]
        assert seen.level(ours, "connections_used") == "CRITICAL", "somebody was turned away"
    until(lambda: client.info()["connected_clients"] < 5)
    assert seen.level(ours, "connections_used", times=3) == "ok"
    client.config_set("maxclients", 10000)


def test_latency(client: Any, ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = looks()
    client.config_set("slowlog-log-slower-than", 0)  # what is logged besides is not slow
    assert seen.level(ours, "latency", "commands") == "insufficient_evidence"
    for expected in ("ok", "INFO", "WARNING"):
        assert seen.level(ours, "latency", "commands") == expected
        for _ in range(12):
            client.eval(BUSY, 0)
    client.slowlog_reset()
    client.config_set("slowlog-log-slower-than", -1)
    assert seen.level(ours, "latency", "commands") == "insufficient_evidence", "off"
    client.config_set("slowlog-log-slower-than", 10_000)
    assert seen.level(ours, "latency", "commands", times=3) == "ok"
    client.bgrewriteaof()
    monkeypatch.setattr(measures, "FORK_US", 1)
    until(lambda: client.info()["total_forks"])
    assert seen.level(ours, "latency", "fork") == "ERROR"
    monkeypatch.setattr(measures, "DAY", 0)
    assert seen.level(ours, "latency", "fork") == "ok"


def test_replicas(server: RedisServer, client: Any, ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump is none; one falls behind, loses its primary, is gone, comes back, and is taken out."""
    seen, there = looks("{thresholds: {replication_lag: {warning: 2}}}"), looks()
    client.config_set("repl-diskless-sync-delay", 1)
    command = [programs.find("redis-cli"), "-h", server.host, "-p", str(server.port), "--rdb", os.devnull]
    environment = {**os.environ, "REDISCLI_AUTH": server.password}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as dump:
        until(lambda: client.info()["connected_slaves"] == 1)
        assert seen.level(ours, "replica_state", "server") == "ok"
        assert {*seen.earlier[0]["measured"]["replica_state"]} == {"server"}, "a dump is no replica"
        dump.wait(timeout=20)
    client.config_set("repl-diskless-sync-delay", 0)
    with alone(start_redis) as second, redis.Redis.from_url(second.uri(), decode_responses=True) as replica:
        name = f"{second.host}:{second.port}"
        replica.config_set("masterauth", server.password)
        replica.replicaof(server.host, server.port)  # type: ignore[no-untyped-call]
        until(lambda: client.info().get("slave0", {}).get("state") == "online")
        until(lambda: replica.info()["master_link_status"] == "up")
        assert seen.level(ours, "replica_state", name) == "ok"
        assert seen.level(ours, "replication_lag", name) == "ok"
        process = int(replica.info()["process_id"])
        os.kill(process, signal.SIGSTOP)
        try:
            until(lambda: client.info()["slave0"]["lag"] >= 3)
            assert seen.level(ours, "replication_lag", name, times=2) == "WARNING"
        finally:
            os.kill(process, signal.SIGCONT)
        until(lambda: client.info()["slave0"]["lag"] == 0)
        assert seen.level(ours, "replication_lag", name, times=3) == "ok"
        with session("redis", rights.redis_uri(second)) as theirs:
            assert there.level(theirs, "replica_state") == "ok"
            replica.config_set("masterauth", "wrong")
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
            until(lambda: replica.info()["master_link_status"] == "down")
            assert there.level(theirs, "replica_state") == "ok", "not for a minute"
            monkeypatch.setattr(measures, "_DOWN", 0)
            assert there.level(theirs, "replica_state") == "CRITICAL"
            until(lambda: not client.info()["connected_slaves"])
            assert seen.level(ours, "replica_state", name, times=2) == "ERROR"
            replica.config_set("masterauth", server.password)
            until(lambda: replica.info()["master_link_status"] == "up", 30)
            until(lambda: client.info()["connected_slaves"])
            assert there.level(theirs, "replica_state") == "ok"
        assert seen.level(ours, "replica_state", name) == "ok"
    until(lambda: not client.info()["connected_slaves"])
    assert seen.level(ours, "replica_state", name) == "ERROR"
    monkeypatch.setattr(measures, "REMEMBERED", 0)
    assert seen.level(ours, "replica_state", name) == "ok", "taken out: forgotten after a week"


class Node(RedisServer):
    """A node of a cluster, which serves the slots that it is given."""

    def prepare(self) -> None:
        super().prepare()
        with (self.directory / "redis.conf").open("a", encoding="utf-8") as conf:
            conf.write("cluster-enabled yes\n")
            if not is_older("redis", "7.0"):
                conf.write(f"cluster-port {free_port()}\n")  # by default 10,000 above the other

    def uri(self, _database: str = "0") -> str:
        return super().uri("0")


def start_node(directory: Path) -> Node:
    port = next(port for port in iter(free_port, None) if port < 55_536 and port_is_free(port + 10_000))
    node = Node(directory, port=port, password=secrets.token_urlsafe(18))
    node.start()
    return node


def test_cluster() -> None:
    with (
        alone(start_node) as node,
        redis.Redis.from_url(node.uri()) as client,
        session("redis", rights.redis_uri(node)) as ours,
    ):
        seen = looks()
        assert seen.level(ours, "cluster_state") == "CRITICAL"
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        assert seen.level(ours, "cluster_state") == "ok"


def test_rights_that_are_missing_are_named(server: RedisServer, client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "eyes", "on", ">eyes", "+info", "+time", "+client|setname", "+select")
    with session("redis", server.uri(), user="eyes", password="eyes") as ours:
        found = looks().look(ours)
    assert found["latency", "server"].status.value == "not_available"
    assert found["latency", "server"].severity.value == "WARNING"
    assert "+slowlog|get" in found["latency", "server"].summary
    assert found["persistence", "server"].status.value == "ok"
    client.execute_command("ACL", "DELUSER", "eyes")
