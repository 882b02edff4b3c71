"""Each check's fault is made on a real replica set, seen to raise, and to clear when it is mended."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest

from local.process import free_port, give_to_account
from local.servers import MongoServer, temporary_directory
from tests.harness import rights
from tests.harness.jobs import session
from tests.harness.looking import Looks
from tests.harness.servers import alone
from upkeep import fleet
from upkeep.jobs import rooms
from upkeep.model import Artefact, Backup
from upkeep.mongo.faults import NoPrimaryError
from upkeep.mongo.health_check import measures
from upkeep.mongo.session import MongoSession

OPLOG_MB = 8
CONNECTIONS = 60


class Small(MongoServer):
    """The primary: with a small oplog, and few connections."""

    def prepare(self) -> None:
        super().prepare()
        conf = self.directory / "mongod.conf"
        text = conf.read_text().replace("oplogSizeMB: 256", f"oplogSizeMB: {OPLOG_MB}")
        conf.write_text(text.replace("net: {", f"net: {{maxIncomingConnections: {CONNECTIONS}, "))


class Member(Small):
    """A member that waits to be told."""

    def after_start(self) -> None:
        """Wait to be told."""


def start(directory: Path) -> Small:
    server = Small(directory, port=free_port(), password="secret")
    server.start()
    return server


@pytest.fixture(scope="module")
def server() -> Iterator[Small]:
    with alone(start) as started:
        yield started


@pytest.fixture
def client(server: Small) -> Iterator[Any]:
    with pymongo.MongoClient(server.uri()) as opened:
        yield opened
        opened.drop_database("shop")


@pytest.fixture
def ours(server: Small) -> Iterator[Any]:
    with session("mongo", rights.mongo_uri(server, "shop")) as opened:
        yield opened


def looks(health: str = "{}") -> Looks:
    text = (
        f"version: 1\ntargets:\n  t:\n    engine: mongo\n    connection: c\n    backup: false\n    health: {health}\n"
    )
    return Looks("health_check", fleet.parse(text).target("t"))


def until(true: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_a_server_in_order(ours: Any) -> None:
    found = looks().look(ours)
    assert {f.status.value for f in found.values()} == {"ok", "insufficient_evidence"}
    assert "maybe" not in found["replica_state", "primary"].summary


def test_what_the_server_has_to_do(client: Any, ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow operations, a queue, a dirty cache, a full one."""
    seen = looks("{thresholds: {queue: {warning: 2}, cache_dirty: {error: 1 %}}}")
    client.shop.carts.insert_one({"_id": 1})

    def slowly(check: str) -> str:
        list(client.shop.carts.find({"$where": "sleep(110) || true"}))
        return seen.level(ours, check)

    assert seen.level(ours, "slow_operations") == "insufficient_evidence"
    assert [slowly("slow_operations") for _ in range(2)] == ["INFO", "WARNING"]
    assert seen.level(ours, "slow_operations", times=3) == "ok"

    client.admin.command("fsync", lock=True)
    waiting = [threading.Thread(target=client.shop.carts.insert_one, args=({"_id": n},)) for n in (2, 3, 4)]
    try:
        for thread in waiting:
            thread.start()
        until(lambda: client.admin.command("serverStatus")["globalLock"]["currentQueue"]["total"] >= 3)
        assert seen.level(ours, "queue", times=2) == "WARNING"
    finally:
        client.admin.command("fsyncUnlock")
    for thread in waiting:
        thread.join()
    assert seen.level(ours, "queue", times=3) == "ok"

    client.shop.carts.insert_many([{"text": "x" * 1_000_000} for _ in range(6)])
    assert seen.level(ours, "cache_dirty", times=2) == "ERROR"
    client.admin.command("fsync")
    assert seen.level(ours, "cache_dirty", times=3) == "ok"
    monkeypatch.setattr(measures, "CACHE_FULL", 0.01)
    assert seen.level(ours, "cache_dirty") == "CRITICAL"
    monkeypatch.undo()
    assert seen.level(ours, "cache_dirty") == "ok"


def test_connections_and_disk(server: Small, client: Any, ours: Any) -> None:
    seen = looks("{thresholds: {disk_used: {warning: 0.01 %}}}")
    with ExitStack() as stack:
        while client.admin.command("serverStatus")["connections"]["available"] > 0.08 * CONNECTIONS:
            stack.enter_context(socket.create_connection((server.host, server.port)))
            time.sleep(0.1)  # accepted and counted a moment later
        assert seen.level(ours, "connections_used") == "INFO"
        assert seen.level(ours, "connections_used") == "ERROR"
    until(lambda: client.admin.command("serverStatus")["connections"]["available"] > 0.5 * CONNECTIONS)
    assert seen.level(ours, "connections_used", times=3) == "ok"
    assert seen.level(ours, "disk_used") == "WARNING"
    seen.what = looks("{thresholds: {disk_used: {warning: 99.8 %, error: 99.9 %, critical: 100 %}}}").what
    assert seen.level(ours, "disk_used", times=3) == "ok"


def a_backup(**more: Any) -> Artefact:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Artefact(id="b", location="/b", sha256="0", bytes=1, snapshot_at=at, identity="i", **more)


def test_oplog(client: Any, ours: Any) -> None:
    seen = looks()
    client.shop.carts.insert_one({"text": "x"})
    assert seen.level(ours, "oplog_window") == "ok", "it is short, and nothing of it is lost yet"
    for _ in range(2 * OPLOG_MB):
        client.shop.carts.insert_one({"text": "x" * 1_000_000})
    assert seen.level(ours, "oplog_window") == "INFO"
    assert seen.level(ours, "oplog_window") == "ERROR"
    seen.backups.append(Backup("t", a_backup(take_seconds=86_400.0), "run"))
    assert seen.level(ours, "oplog_window") == "CRITICAL", "a backup that takes a day outlasts it"
    assert ", the last backup took 24.00" in seen.look(ours)["oplog_window", "server"].summary
    seen.backups[0] = Backup("t", a_backup(take_seconds=0.001), "run")
    assert seen.level(ours, "oplog_window") == "ERROR"
    client.admin.command("replSetResizeOplog", 1, size=990.0)
    assert seen.level(ours, "oplog_window") == "ok"


@contextmanager
def second(server: Small, client: Any) -> Iterator[Member]:
    """A second member without a vote; and elections that take a second."""
    directory = temporary_directory()
    member = Member(directory, port=free_port(), password=server.password)
    try:
        shutil.copy(server.directory / "keyfile", directory / "keyfile")
        give_to_account(directory / "keyfile", 0o400)
        member.start()
        config = client.admin.command("replSetGetConfig")["config"]
        config["members"].append({"_id": 1, "host": f"{member.host}:{member.port}", "priority": 0, "votes": 0})
        config["settings"]["electionTimeoutMillis"] = 1000
        config["settings"]["heartbeatIntervalMillis"] = 500
        config["version"] += 1
        client.admin.command("replSetReconfig", config)
        yield member
        config = client.admin.command("replSetGetConfig")["config"]
        config["members"].pop()
        config["version"] += 1
        client.admin.command("replSetReconfig", config)
    finally:
        member.kill()
        shutil.rmtree(directory, ignore_errors=True)


def test_members(server: Small, client: Any, ours: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = looks("{thresholds: {replication_lag: {warning: 1}}}")
    monkeypatch.setattr(measures, "NOISE_SECONDS", 0)

    def state(name: str) -> int:
        members = client.admin.command("replSetGetStatus")["members"]
        return next((m["state"] for m in members if m["name"] == name and m["health"]), -1)

    with second(server, client) as member:
        name = f"{member.host}:{member.port}"
        assert seen.level(ours, "replica_state") == "ok", "a member that copies its data is not down"
        until(lambda: state(name) == 2)
        assert seen.level(ours, "replica_state") == "ok"
        with pymongo.MongoClient(
            member.host, member.port, directConnection=True, username=server.user, password=server.password
        ) as there:
            there.admin.command("fsync", lock=True)
            client.shop.carts.insert_one({})
            time.sleep(2)
            client.shop.carts.insert_one({})
            assert seen.level(ours, "replication_lag", name, times=2) == "WARNING"
            config = client.admin.command("replSetGetConfig")["config"]
            config["members"][1] |= {"secondaryDelaySecs": 600, "hidden": True}
            config["version"] += 1
            client.admin.command("replSetReconfig", config)
            assert seen.level(ours, "replication_lag", name, times=3) == "ok", "it is meant to be late"
            config["members"][1] |= {"secondaryDelaySecs": 0}
            config["version"] += 1
            client.admin.command("replSetReconfig", config)
            assert seen.level(ours, "replication_lag", name, times=2) == "WARNING"
            there.admin.command("fsyncUnlock")
        client.shop.with_options(write_concern=pymongo.WriteConcern(w=2, wtimeout=20_000)).carts.insert_one({})
        time.sleep(1)
        assert seen.level(ours, "replication_lag", name, times=3) == "ok"
        member.kill()
        until(lambda: state(name) == -1)
        assert seen.level(ours, "replica_state", name) == "ok", "not for five minutes yet"
        monkeypatch.setattr(measures, "DOWN_SECONDS", 0)
        assert seen.level(ours, "replica_state", name) == "ERROR"
        member.start()
        until(lambda: state(name) == 2)
        assert seen.level(ours, "replica_state", name) == "ok"
        stepped_down(server, client, seen)
        assert seen.level(ours, "replica_state", "primary") == "ok"
        client.admin.command("replSetStepDown", 1, force=True)
        until(lambda: client.admin.command("hello")["isWritablePrimary"])
        assert seen.level(ours, "replica_state", "primary") == "WARNING", "an election"
        assert seen.level(ours, "replica_state", "primary") == "ok"


def stepped_down(server: Small, client: Any, seen: Looks) -> None:
    """Without a primary the set is reached, and told to have none."""
    job = rooms.job(seen.name, "mongo")
    assert job is not None
    assert job.blind is not None
    with pymongo.MongoClient(
        server.host, server.port, directConnection=True, username=server.user, password=server.password
    ) as direct:
        direct.admin.command("replSetStepDown", 60, force=True)
        for expected in ("WARNING", "CRITICAL"):
            uri = rights.mongo_uri(server, "shop") + "&serverSelectionTimeoutMS=500"
            with pytest.raises(NoPrimaryError) as caught, session("mongo", uri):
                pass
            (found,) = job.blind(seen.what, caught.value, seen.earlier)
            assert found.severity.value == expected
            measured = {"replica_state": {found.subject: found.evidence}}
            seen.earlier.insert(0, {"status": "unreachable", "measured": measured})
        uri = f"mongodb://{rights.USER_OF_MONGO}:{server.password}@{server.host}:{server.port}/shop"
        with session("mongo", f"{uri}?authSource=admin&directConnection=true") as other:
            assert looks().level(other, "replica_state", "primary") == "WARNING", "as a member tells it"
        direct.admin.command("replSetFreeze", 0)
        until(lambda: direct.admin.command("hello")["isWritablePrimary"])
    until(lambda: client.admin.command("ping"))


def test_what_cannot_be_looked_at_is_named(
    server: Small, client: Any, ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.admin.command("createUser", "eyes", pwd="eyes", roles=[{"role": "read", "db": "shop"}])
    with session("mongo", server.uri("shop"), user="eyes", password="eyes") as theirs:
        found = looks().look(theirs)
        unseen = {name for (name, _), f in found.items() if f.status.value == "not_available"}
        assert unseen == {*measures.MEASURES}
        assert all("clusterMonitor" in found[name, "server"].summary for name in unseen)
        client.admin.command("grantRolesToUser", "eyes", roles=["clusterMonitor"])
        found = looks().look(theirs)
        assert not [f for f in found.values() if f.status.value == "not_available"]
    client.admin.command("dropUser", "eyes")
    for topology, severity in (("standalone", "INFO"), ("sharded", "WARNING")):
        monkeypatch.setattr(MongoSession, "topology", topology)
        found = looks().look(ours)
        assert found["replica_state", "server"].severity.value == severity
        assert found["connections_used", "server"].status.value == "ok"
