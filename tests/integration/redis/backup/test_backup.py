"""A Redis server's snapshot: taken whole, restored into a server of its own, and what is wrong with it named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from local.obtain.versions import wanted
from local.servers import RedisServer, start_redis
from tests.harness import restorable, rights, scratching, servers
from tests.harness.copying import Copying, Watch, flip, words
from tests.harness.jobs import address
from upkeep.errors import CancelledError, ConfigurationError
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.verify import differences
from upkeep.jobs.contract import go_on
from upkeep.redis.backup.scratch import client

FUNCTIONS = not wanted("redis").startswith("6.")  # they are there since 7.0
LIBRARY = "#!lua name=sums\nredis.register_function('one', function() return 1 end)"
NAMES = ["plain", "två 'words'\n", b"\xff\x00\x80", "*?[a]"]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with servers.alone(start_redis) as started:
        with redis.Redis.from_url(started.uri()) as open_:
            open_.config_set("repl-diskless-sync-delay", 0)  # five seconds, else, in which more replicas may come
        yield started


@pytest.fixture
def copying(server: RedisServer, tmp_path: Path) -> Iterator[Copying]:
    with redis.Redis.from_url(server.uri()) as open_:
        yield Copying("redis", rights.redis_uri(server), tmp_path / "backups")
        open_.flushall()
        if FUNCTIONS:
            open_.function_flush()


def fill(server: RedisServer) -> None:
    with redis.Redis.from_url(server.uri("3")) as open_:
        for name in NAMES:
            open_.hset(name, mapping={b"\xfe": b"\xff", "b": 1})
        for n in range(300):
            open_.set(f"k{n}", "x" * 50)
        open_.xadd("log", {"a": 1})
        if FUNCTIONS:
            open_.function_load(LIBRARY)
    with redis.Redis.from_url(server.uri("0")) as open_:
        open_.zadd("scores", {"a": 1.5})
        open_.set("soon", 1, px=1500)
        open_.set("later", 1, ex=3600)


def test_it_is_restored_with_every_key_also_one_whose_time_is_over(server: RedisServer, copying: Copying) -> None:
    fill(server)
    survey = copying.survey()
    assert survey.refusals == ()
    assert "redis-cli --rdb" in survey.command
    found = copying.take()
    assert [(thing.name, thing.rows) for thing in found.manifest.objects] == [
        ("db0", 3),
        ("db3", 305),
        *([("functions", None)] if FUNCTIONS else []),
    ]
    assert found.manifest.position["replication_id"]
    assert "redis-check-rdb" in (found.place / "RESTORE.txt").read_text()
    time.sleep(1.5)  # the proof comes later: the key that was about to go is in the backup, and stays there
    verdict = copying.verify(found)
    assert (verdict.level, words(verdict)) == ("restored", [])
    with copying.restored(found) as there:
        with client(there, 3) as open_:
            assert open_.hgetall(b"\xff\x00\x80") == {b"\xfe": b"\xff", b"b": b"1"}
            with pytest.raises(redis.exceptions.ReadOnlyError):
                open_.set("a", 1)
        (path,) = scratching.places("redis")
        assert path.stat().st_mode & 0o777 == 0o700
        assert not [c for c in _processes() if any(there.password in word for word in c)]
    assert scratching.places("redis") == []


def _processes() -> Iterator[list[str]]:
    for process in psutil.process_iter():
        try:
            yield process.cmdline()
        except psutil.Error:
            continue


def test_each_fault_is_named(server: RedisServer, copying: Copying) -> None:
    fill(server)
    found = copying.take()
    file, whole = found.place / "data" / "dump.rdb", (found.place / "data" / "dump.rdb").read_bytes()

    flip(file)
    assert ["data/dump.rdb has other bytes" in said for said in words(copying.verify(found))] == [True]
    (said,) = words(copying.verify(found, copying.signed(found)))  # the server's own checksum finds it as well
    assert "is damaged: redis-cli --rdb cannot be read" in said
    file.write_bytes(whole[: len(whole) // 2])
    assert copying.verify(found, copying.signed(found)).level is None

    # a backup that lacks a key, a library and a database, and is a whole file all the same
    with redis.Redis.from_url(server.uri("3")) as open_:
        open_.delete("k7")
        if FUNCTIONS:
            open_.function_flush()
    with redis.Redis.from_url(server.uri("0")) as open_:
        open_.flushdb()
    less = copying.take()
    file.write_bytes((less.place / "data" / "dump.rdb").read_bytes())
    said = sorted(words(copying.verify(found, copying.signed(found))))
    assert [s.partition(":")[0] for s in said] == ["db0", "db3"]
    assert "304 rows are in the files, 305 were dumped" in said[1]
    with copying.restored(less) as there:
        seen = copying.copier.look(there, found.manifest)
        named = [f"{f.subject}: {f.summary}" for f in differences(found.manifest, seen)]
    assert any(s.startswith("functions: ") and "sums" in s for s in named) == FUNCTIONS, named


def test_nothing_half_is_left(server: RedisServer, copying: Copying, tmp_path: Path) -> None:
    fill(server)

    def stop() -> None:
        raise CancelledError("stop")

    copying.bench = Bench(Watch(stop), lambda _: None, 60)
    with pytest.raises(CancelledError):
        copying.take()
    assert not list((tmp_path / "backups").glob("*/*"))
    copying.bench = Bench(go_on, lambda _: None, 60)
    found = copying.take()
    for n in (1, 2, 3):  # while its bytes are compared, copied, loaded
        copying.bench = Bench(Watch(stop, n), lambda _: None, 60)
        with pytest.raises(CancelledError):
            copying.verify(found)
        assert scratching.places("redis") == []


def test_what_a_killed_run_left_the_next_one_removes(server: RedisServer, copying: Copying) -> None:
    fill(server)
    copying.killed_at({"": 0, "comparing what is there": 1}, "restored")


def test_what_this_machine_lacks_for_a_restore_is_told(server: RedisServer, copying: Copying, tmp_path: Path) -> None:
    fill(server)
    found, tools = copying.take(), ["redis-server", "redis-check-rdb"]
    major = found.manifest.needs["major"]
    others = [("Redis server v=2.8.1 sha=0", f"redis-server of version {major} is not")]
    restorable.check(found, tmp_path, tools, others)
    with restorable.only(tmp_path / "tools", {"redis-server": f"Redis server v={major}.4.1 sha=0"}):
        (what,) = restorable.lacks(found)  # the proof reads the file before it is restored
        assert what.startswith("redis-check-rdb of version")
    file = found.place / "data" / "dump.rdb"
    whole = file.read_bytes()
    with restorable.only(tmp_path / "tools", dict.fromkeys(tools, f"Redis server v={major}.0.15 sha=0")):
        file.write_bytes(b"REDIS0012" + whole[9:])  # as 7.4 writes it, and 7.0 does not read it
        missed = restorable.told(found).here.lacks
        assert ["reads no file of format 12" in what for what in missed] == [True] * (major == 7)
        file.write_bytes(b"REDIS0009" + whole[9:])
        restorable.fine(found)
    file.write_bytes(whole)
    memory = {**found.manifest.needs, "memory": 1 << 50}
    less = found.manifest.model_copy(update={"needs": memory})
    (what,) = copying.copier.missing(file.parent, less)
    assert "1,073,741,824 MiB of memory" in what
    restorable.fine(found)


def test_it_goes_into_an_empty_server_only(server: RedisServer, copying: Copying) -> None:
    fill(server)
    found, data = copying.take(), None
    data = found.place / manifests.DATA
    with pytest.raises(ConfigurationError, match="not empty"):
        copying.copier.restore(data, found.manifest, address(server.uri()), copying.bench)
    with servers.alone(start_redis) as empty:
        copying.copier.restore(data, found.manifest, address(empty.uri()), copying.bench)
        with redis.Redis.from_url(empty.uri("3")) as there, redis.Redis.from_url(server.uri("3")) as source:
            assert there.dbsize() == source.dbsize()
            assert {name: there.dump(name) for name in NAMES} == {name: source.dump(name) for name in NAMES}
            assert not FUNCTIONS or there.function_list() == source.function_list()
        with redis.Redis.from_url(empty.uri("0")) as there:
            assert 3000 < there.ttl("later") <= 3600


def test_a_replica_gives_it_where_there_is_one(server: RedisServer, copying: Copying) -> None:
    fill(server)
    with servers.alone(start_redis) as replica, redis.Redis.from_url(replica.uri()) as open_:
        open_.config_set("masterauth", server.password)
        open_.config_set("repl-diskless-sync-delay", 0)
        open_.replicaof(server.host, server.port)
        deadline = time.monotonic() + 20
        while open_.info("replication")["master_link_status"] != "up" and time.monotonic() < deadline:
            time.sleep(0.1)
        # another password, as two servers of a test have: it is not reachable for our user, so the primary gives it
        assert copying.take().manifest.position["from"] == f"{server.host}:{server.port}"
        rights.redis_uri(replica)
        open_.acl_setuser(rights.USER, enabled=True, passwords=[f"+{server.password}"])
        found = copying.take()
        assert found.manifest.position["from"] == f"{replica.host}:{replica.port}"
        copying.policy = "from: primary"
        assert copying.take().manifest.position["from"] == f"{server.host}:{server.port}"
        open_.replicaof("no", "one")
    assert copying.verify(found).level == "restored"


@pytest.mark.since(redis="7.0")  # before, the server cannot be asked: the tool finds out
def test_who_may_not_is_told_before(server: RedisServer, copying: Copying) -> None:
    with redis.Redis.from_url(server.uri()) as open_:
        open_.acl_setuser("looker", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-sync"])
    other = Copying("redis", server.uri().replace(f":{server.password}@", "looker:pw@"), copying.into)
    ((why, remedy),) = other.survey().refusals
    assert "SYNC" in why
    assert "+sync" in remedy
    assert copying.take().manifest.objects == ()  # nothing is in it, and that is no trouble
