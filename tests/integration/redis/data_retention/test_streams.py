"""Data retention on streams of a real Redis server: exactly what is due and needed by nobody goes."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from local.servers import RedisServer
from tests.harness import rights
from tests.harness.jobs import Runs, look, undo
from tests.harness.redis import Place, fresh_place, run, target
from upkeep import connections
from upkeep.cli import main
from upkeep.errors import ConfigurationError, OverLimitError
from upkeep.jobs import contract, rooms
from upkeep.jobs.data_retention import pace
from upkeep.model import FindingStatus, OutcomeStatus, ReasonCode, Severity
from upkeep.redis import streams
from upkeep.redis.data_retention import apply
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession
from upkeep.run.check import check_target

DELETE = "s: {retain: {for: 30 days, then: delete, requires: nothing}}"
DAY = 86_400_000


@pytest.fixture
def place(redis_server: RedisServer) -> Iterator[Place]:
    with fresh_place(redis_server) as made:
        yield made


@pytest.fixture
def session(place: Place) -> Iterator[RedisSession]:
    with place.session() as opened:
        yield opened


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((pace, "SMALLEST"), (apply, "FIRST"), (apply, "LARGEST")):
        monkeypatch.setattr(module, name, 100)


def milliseconds(age: timedelta = timedelta()) -> int:
    return int((datetime.now(UTC) - age).timestamp() * 1000)


def test_what_is_due_goes_and_nothing_else(session: RedisSession, place: Place) -> None:
    young = place.fill("s")
    done = run(session, target(DELETE))
    assert done.well
    assert done.action("s").rows == 50
    outcome = done.outcome("s")
    assert (outcome.status, outcome.rows) == (OutcomeStatus.DONE, 50)
    assert (outcome.evidence["rows_deleted"], outcome.evidence["length_lost"]) == (50, 50)
    assert place.ids("s") == young
    assert run(session, target(DELETE)).plan.actions == ()


@pytest.mark.parametrize("node", [0, 1, 7, 100, 1000])
def test_the_cut_is_exact_whatever_the_nodes(session: RedisSession, place: Place, small_steps: None, node: int) -> None:
    before = place.client.config_get("stream-node-max-*")
    place.client.config_set("stream-node-max-entries", node)
    place.client.config_set("stream-node-max-bytes", 0 if node in (0, 1000) else 4096)
    try:
        young = place.fill("s", old=1234, new=777)
    finally:
        for name, value in before.items():
            place.client.config_set(name, value)
    done = run(session, target(DELETE))
    assert done.well
    assert done.outcome("s").rows == 1234
    assert done.outcome("s").evidence["steps"] >= 3
    assert place.ids("s") == young


def test_the_last_of_the_due_and_the_first_that_stays(session: RedisSession, place: Place) -> None:
    at = datetime(2024, 3, 15, 12, tzinfo=UTC)
    edge = int((at - timedelta(days=30)).timestamp() * 1000)
    for entry in (f"{edge - 1}-18446744073709551615", f"{edge}-0", f"{edge}-1"):
        place.client.xadd("s", {"a": 1}, id=entry)
    assert run(session, target(DELETE), at=at).outcome("s").rows == 1
    assert place.ids("s") == [f"{edge}-0", f"{edge}-1"]


def test_a_future_run_deletes_no_more_than_today(session: RedisSession, place: Place) -> None:
    young = place.fill("s")
    assert run(session, target(DELETE), at=datetime.now(UTC) + timedelta(days=300)).outcome("s").rows == 50
    assert place.ids("s") == young


# -- consumer groups ---------------------------------------------------------------------------------


def test_what_a_group_has_not_read_stays_and_is_reported(session: RedisSession, place: Place) -> None:
    place.fill("s")
    ids = place.ids("s")
    place.client.xgroup_create("s", "slow", id="0")
    place.client.xreadgroup("slow", "c", {"s": ">"}, count=20, noack=True)
    done = run(session, target(DELETE))
    assert done.well
    assert done.outcome("s").rows == 20
    assert place.ids("s") == ids[20:]
    finding = done.finding("held_by_group")
    assert finding.evidence == {"held": 30, "groups": ["slow"]}
    assert f"'slow' (has read up to {ids[19]})" in finding.summary
    held = run(session, target(DELETE))
    assert (held.plan.actions, held.checks) == ((), ["held_by_group"])


def test_what_is_read_but_not_acknowledged_stays(session: RedisSession, place: Place) -> None:
    young = place.fill("s")
    ids = place.ids("s")
    place.client.xgroup_create("s", "g", id="0")
    place.client.xreadgroup("g", "c", {"s": ">"})
    place.client.xack("s", "g", *[i for i in ids if i != ids[33]])
    done = run(session, target(DELETE))
    assert done.outcome("s").rows == 33
    assert place.ids("s") == ids[33:]
    assert "'g' (1 pending)" in done.finding("held_by_group").summary
    place.client.xack("s", "g", ids[33])
    assert run(session, target(DELETE)).outcome("s").rows == 17
    assert place.ids("s") == young


def test_a_group_that_has_read_all_and_one_that_is_new_hold_nothing(session: RedisSession, place: Place) -> None:
    young = place.fill("s")
    place.client.xgroup_create("s", "new", id="$")
    place.client.xgroup_create("s", "done", id="0")
    place.client.xreadgroup("done", "c", {"s": ">"}, noack=True)
    done = run(session, target(DELETE))
    assert (done.well, done.checks) == (True, [])
    assert place.ids("s") == young


def test_a_group_made_between_plan_and_deletion_loses_nothing(session: RedisSession, place: Place) -> None:
    place.fill("s")
    ids = place.ids("s")
    done = run(session, target(DELETE), between=lambda: place.client.xgroup_create("s", "late", id=ids[9]))
    assert done.action("s").rows == 50
    assert done.outcome("s").rows == 10
    assert place.ids("s") == ids[10:]
    assert done.well


def test_what_a_group_gives_free_between_plan_and_deletion_waits(session: RedisSession, place: Place) -> None:
    """The limits, and a person's approval, are about what was due then: no more goes."""
    place.fill("s")
    ids = place.ids("s")
    place.client.xgroup_create("s", "slow", id="0")
    place.client.xreadgroup("slow", "c", {"s": ">"}, count=10, noack=True)
    wanted = target(DELETE, "limits: {rows: 20}")
    done = run(session, wanted, between=lambda: place.client.xgroup_destroy("s", "slow"))
    assert (done.action("s").rows, done.action("s").over_limit) == (10, None)
    assert done.outcome("s").rows == 10
    assert place.ids("s") == ids[10:]
    assert done.well
    assert run(session, wanted).action("s").over_limit


def test_groups_with_hostile_names(session: RedisSession, place: Place) -> None:
    name = 'a"b\n*\\ü\x00'
    place.fill(name)
    raw = redis.Redis.from_url(place.admin_uri)
    raw.xgroup_create(name, b"\xff\xfe'group", id="0")
    escaped = name.replace("\\", "\\\\").replace("*", "\\*")
    policy = {"retain": {"for": "30 days", "then": "delete", "requires": "nothing"}}
    wanted = target(DELETE).model_validate(
        {"name": "t", "engine": "redis", "connection": "c", "streams": {escaped: policy}}
    )
    done = run(session, wanted)
    assert done.plan.actions == ()
    assert "\\xff\\xfe'group" in done.finding("held_by_group").summary
    raw.xgroup_destroy(name, b"\xff\xfe'group")
    assert run(session, wanted).outcome(name).rows == 50
    raw.close()


# -- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["1-1", "1700000000-0", "1700000000000000-0"])
def test_ids_that_are_no_times_are_refused(session: RedisSession, place: Place, first: str) -> None:
    place.client.xadd("s", {"a": 1}, id=first)
    done = run(session, target(DELETE))
    finding = done.finding("ids_are_times")
    assert finding.severity is Severity.ERROR
    assert done.before.stopped_subjects == {"s"}
    assert all(a.blocked for a in done.plan.actions)
    assert place.ids("s") == [first]


def test_an_entry_from_the_future_is_reported_and_the_old_ones_go(session: RedisSession, place: Place) -> None:
    place.fill("s", old=5, new=0)
    place.client.xadd("s", {"a": 1}, id=f"{milliseconds() + 40 * DAY}-0")
    done = run(session, target(DELETE))
    assert done.finding("future_entries").severity is Severity.WARNING
    assert done.outcome("s").rows == 5


def test_other_types_missing_streams_and_empty_ones(session: RedisSession, place: Place) -> None:
    place.client.rpush("a list", "x")
    place.client.xadd("empty", {"a": 1})
    place.client.xtrim("empty", maxlen=0, approximate=False)
    rule = "{retain: {for: 30 days, then: delete, requires: nothing}}"
    done = run(session, target(f"a list: {rule}\nmissing: {rule}\nempty: {rule}"))
    assert done.plan.actions == ()
    assert done.finding("kind").summary == "it is a list, not a stream"
    assert done.before.stopped_subjects == {"a list", "missing"}


def test_a_stream_made_anew_since_the_plan_is_left_alone(session: RedisSession, place: Place) -> None:
    place.fill("s")

    def anew() -> None:
        place.client.delete("s")
        place.fill("s", old=30, new=0)

    done = run(session, target(DELETE), between=anew)
    assert done.outcome("s").reason_code is ReasonCode.STATE_CHANGED
    assert place.client.xlen("s") == 30
    gone = run(session, target(DELETE), between=lambda: place.client.delete("s"))
    assert gone.outcome("s").reason_code is ReasonCode.STATE_CHANGED


def test_a_longer_stream_made_anew_with_times_is_left_alone(session: RedisSession, place: Place) -> None:
    """More was added than to the one that was planned, and nothing older: only its witness is not there."""
    place.fill("s")

    def anew() -> None:
        place.client.delete("s")
        place.fill("s", old=100, new=0)

    done = run(session, target(DELETE), between=anew)
    assert done.outcome("s").reason_code is ReasonCode.STATE_CHANGED
    assert place.client.xlen("s") == 100


def trimmed(place: Place) -> None:
    place.client.xtrim("s", minid=place.ids("s")[10], approximate=False)


def worked_off(place: Place) -> None:
    place.client.xdel("s", *place.ids("s")[45:])


def added(place: Place) -> None:
    for n in range(500):
        place.client.xadd("s", {"n": n})


@pytest.mark.parametrize(
    ("changes", "rows"),
    [([trimmed], 40), ([worked_off], 45), ([added], 50), ([worked_off, trimmed, added], 35)],
)
def test_a_stream_that_lives_on_is_the_one_that_was_planned(
    session: RedisSession, place: Place, changes: list[Callable[[Place], None]], rows: int
) -> None:
    if worked_off in changes:  # what was deleted by itself is not told before: left to the next run
        place.only(since=7)
    place.fill("s")
    done = run(session, target(DELETE), between=lambda: [change(place) for change in changes])
    assert (done.outcome("s").status, done.outcome("s").rows) == (OutcomeStatus.DONE, rows)


def test_an_approval_takes_what_the_narrowed_cut_off_says(session: RedisSession, place: Place) -> None:
    place.fill("s")
    ids = place.ids("s")
    runs = Runs("data_retention", target(DELETE))
    observation = runs.observe(session)
    (action,) = runs.job.plan(observation, runs.what).actions
    narrowed = action.model_copy(update={"args": {**action.args, "cut_off": ids[7]}})
    assert runs.apply(session, narrowed, observation).rows == 7
    assert place.ids("s") == ids[7:]


def test_a_longer_stream_of_the_same_name_without_times_is_left_alone(session: RedisSession, place: Place) -> None:
    place.fill("s")

    def anew() -> None:
        place.client.delete("s")
        for n in range(100):
            place.client.xadd("s", {"a": 1}, id=f"{n + 1}-0")

    done = run(session, target(DELETE), between=anew)
    assert done.outcome("s").reason_code is ReasonCode.STATE_CHANGED
    assert place.client.xlen("s") == 100


def test_an_old_server_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RedisSession, "version", "6.0.16")
    with pytest.raises(ConfigurationError, match=r"older than 6\.2"), place.session():
        pass


def test_a_key_that_expires_and_memory_that_evicts_are_reported(session: RedisSession, place: Place) -> None:
    place.fill("s")
    place.client.expire("s", 3600)
    place.client.config_set("maxmemory", "1gb")
    place.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = run(session, target(DELETE))
    finally:
        place.client.config_set("maxmemory-policy", "noeviction")
        place.client.config_set("maxmemory", "0")
    assert done.finding("key_expires").remedy == 'PERSIST "s"'
    assert done.finding("may_be_evicted").severity is Severity.WARNING


def test_wildcards_are_the_servers_and_an_exact_name_goes_before(session: RedisSession, place: Place) -> None:
    for name in ("log:a", "log:b", "log:keep", "other"):
        place.fill(name, old=3, new=1)
    place.client.set("log:string", "no stream")
    redis.Redis.from_url(place.admin_uri).xadd(b"log:\xff", {"a": 1}, id="1700000000000-0")
    rule = "{retain: {for: %s days, then: delete, requires: nothing}}"
    done = run(session, target(f"log:*: {rule % 30}\nlog:keep: {rule % 300}"))
    assert {a.subject for a in done.plan.actions if not a.blocked} == {"log:a", "log:b"}
    assert place.client.xlen("log:keep") == 4
    assert done.finding("kind").subject == "log:\\xff"
    nobody = run(session, target(f"nobody:*: {rule % 30}"))
    assert nobody.before.stopped_subjects == {"nobody:*"}


def test_a_replica_is_refused(place: Place, own_redis_server: RedisServer) -> None:
    place.fill("s")
    with redis.Redis.from_url(own_redis_server.uri(), decode_responses=True) as client:
        client.config_set("masterauth", place.server.password)
        client.replicaof("127.0.0.1", place.server.port)
        deadline = time.monotonic() + 30
        while client.info("replication")["master_link_status"] != "up" and time.monotonic() < deadline:
            time.sleep(0.1)
        with place.session(rights.redis_uri(own_redis_server, "3")) as session:
            done = run(session, target(DELETE))
    assert done.before.stops_target
    assert done.outcome("s").reason_code is ReasonCode.CONNECTION_LOST  # the runner would not have tried
    assert place.client.xlen("s") == 70


def no_replicas(client: Any, server: RedisServer) -> str:
    del server
    client.config_set("min-replicas-to-write", 1)
    return "min-replicas-to-write"


def no_snapshot(client: Any, server: RedisServer) -> str:
    (server.directory / "dump.rdb").mkdir()  # the snapshot cannot be moved to its place
    client.config_set("save", "3600 1")
    client.xadd("other", {"a": 1})
    client.bgsave()
    deadline = time.monotonic() + 20
    while client.info("persistence")["rdb_last_bgsave_status"] == "ok" and time.monotonic() < deadline:
        time.sleep(0.05)
    return "MISCONF"


def lost_primary(client: Any, server: RedisServer) -> str:
    del server
    client.config_set("replica-serve-stale-data", "no")
    client.replicaof("127.0.0.1", 1)
    return "lost its primary"


@pytest.mark.parametrize("break_it", [no_replicas, no_snapshot, lost_primary])
def test_a_server_that_refuses_is_said_once(
    own_redis_server: RedisServer, break_it: Callable[[Any, RedisServer], str]
) -> None:
    uri = own_redis_server.uri("3")
    with redis.Redis.from_url(uri, decode_responses=True) as client:
        place = Place(own_redis_server, client)
        for name in ("s", "log:a", "log:b"):
            place.fill(name, old=5, new=1)
        wanted = target(DELETE + "\n" + DELETE.replace("s:", "'log:*':", 1))
        word = break_it(client, own_redis_server)
        with place.session() as session:
            done = run(session, wanted)
        assert [(f.check, f.subject, f.severity) for f in done.plan.findings] == [
            ("server_refuses", "server", Severity.ERROR)
        ]
        assert word in done.finding("server_refuses").summary
        assert "ACL" not in str(done.finding("server_refuses").remedy)
        assert done.plan.actions == ()
        assert done.before.stops_target
        found = check_target(wanted, lambda _: connections.parse("c", place.uri))
        assert [f.check for f in found.findings if f.severity is Severity.ERROR][-1:] == ["server_refuses"]
        assert "privileges" not in [f.check for f in found.findings]


def test_a_server_that_refuses_while_it_is_worked_on_says_what_mends_it(
    own_redis_server: RedisServer, small_steps: None
) -> None:
    with redis.Redis.from_url(own_redis_server.uri("3"), decode_responses=True) as client:
        place = Place(own_redis_server, client)
        place.fill("s", old=1000)
        with place.session() as session:
            done = run(session, target(DELETE), between=lambda: no_replicas(client, own_redis_server))
            assert "lower min-replicas-to-write" in (done.outcome("s").message or "")
            client.config_set("min-replicas-to-write", 0)
            assert run(session, target(DELETE)).well


def test_a_user_without_rights_is_told_which(place: Place) -> None:
    place.only(since=7)  # other commands, other rights
    young = place.fill("s")
    admin = redis.Redis.from_url(place.server.uri(), decode_responses=True)
    reader = "+select +client|setname +info +time +type +exists +pttl +scan +xinfo +xpending +xrange +xlen +eval_ro"
    uri = place.uri_of("limited")
    try:
        for rights, check in ((reader, "privileges"), ("+select +client|setname +info +time", "privileges")):
            admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", f">{place.server.password}", "~s")
            admin.execute_command("ACL", "SETUSER", "limited", *rights.split())
            with place.session(uri) as session:
                done = run(session, target(DELETE))
                assert check in done.checks
                assert done.before.stopped_subjects == {"s"}
                assert all(a.blocked for a in done.plan.actions)
            found = check_target(target(DELETE), lambda _: connections.parse("c", uri))
            assert found.bad
        rights = f"{reader} +xtrim +eval"
        admin.execute_command("ACL", "SETUSER", "limited", *rights.split())
        with place.session(uri) as session:
            assert run(session, target(DELETE)).well
        assert not check_target(target(DELETE), lambda _: connections.parse("c", uri)).bad
        assert place.ids("s") == young
    finally:
        admin.execute_command("ACL", "DELUSER", "limited")
        admin.close()


def test_observing_sends_nothing_that_could_change(place: Place) -> None:
    place.only(since=7)  # EVAL_RO
    place.fill("s")
    with place.session() as session:
        place.client.config_resetstat()
        look("data_retention", session, target(DELETE, "mode: observe"))
        sent = {name.removeprefix("cmdstat_") for name in place.client.info("commandstats")}
    assert not sent & {"eval", "xtrim", "xadd", "xdel", "set", "del"}
    assert place.client.xlen("s") == 70


def test_more_than_could_be_counted_waits_for_a_person(
    session: RedisSession, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fill("s")
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.0)
    done = run(session, target(DELETE))
    assert done.action("s").needs_person
    assert done.after is not None
    assert done.after.success  # emptied: the server said so itself


# -- stopping, killing, writers ----------------------------------------------------------------------


def test_a_run_that_is_stopped_keeps_what_was_done(session: RedisSession, place: Place, small_steps: None) -> None:
    young = place.fill("s", old=1000)
    calls = []

    def checkpoint(message: str = "", *, rows: int = 0) -> None:
        calls.append(rows)
        if len(calls) > 3:
            raise OverLimitError("paused")

    job = rooms.job("data_retention", "redis")
    assert job is not None
    with pytest.raises(OverLimitError):
        run(session, target(DELETE), checkpoint=checkpoint)
    assert calls == [0, 100, 100, 100]  # what went since the last call
    assert place.client.xlen("s") == 700 + 20
    assert run(session, target(DELETE)).outcome("s").rows == 700
    assert place.ids("s") == young


def test_writers_and_readers_beside_it_lose_nothing(session: RedisSession, place: Place, small_steps: None) -> None:
    place.fill("s", old=5000, new=0)
    place.client.xgroup_create("s", "g", id="0")
    stop, written, read = threading.Event(), [], []

    def write() -> None:
        with redis.Redis.from_url(place.admin_uri, decode_responses=True) as client:
            while not stop.is_set():
                written.append(client.xadd("s", {"a": len(written)}))

    def consume() -> None:
        with redis.Redis.from_url(place.admin_uri, decode_responses=True) as client:
            while not stop.is_set():
                for _, entries in client.xreadgroup("g", "c", {"s": ">"}, count=50):
                    read.extend(entry[0] for entry in entries)
                    client.xack("s", "g", *[entry[0] for entry in entries])

    old = place.ids("s")
    threads = [threading.Thread(target=write), threading.Thread(target=consume)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    deleted = 0
    while deleted < len(old) and time.monotonic() < deadline:
        done = run(session, target(DELETE))
        assert done.after is not None
        assert not done.after.stops_target
        deleted += sum(o.rows or 0 for o in done.outcomes)
    stop.set()
    for thread in threads:
        thread.join()
    assert deleted == len(old)
    assert read[: len(old)] == old  # the group had every entry before it went
    assert place.ids("s") == written


@pytest.mark.parametrize("step", range(1, 12, 2))
def test_killed_at_any_step_the_next_run_finishes(place: Place, step: int) -> None:
    young = place.fill("s", old=600)

    def dies(number: int) -> Callable[..., None]:
        seen = []

        def checkpoint(message: str = "", *, rows: int = 0) -> None:
            seen.append(rows)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return checkpoint

    pid = os.fork()
    if pid == 0:
        try:
            pace.SMALLEST = apply.FIRST = apply.LARGEST = 100  # type: ignore[misc]
            with place.session() as session:
                run(session, target(DELETE), checkpoint=dies(step))
        finally:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (-signal.SIGKILL if step <= 7 else 0)
    assert place.ids("s")[-20:] == young
    assert place.client.xlen("s") == 20 + max(0, 600 - 100 * (step - 1))
    with place.session() as session:
        done = run(session, target(DELETE))
        assert done.well
    assert place.ids("s") == young


def test_the_server_killed_in_the_middle(own_redis_server: RedisServer, small_steps: None) -> None:
    server = own_redis_server
    with redis.Redis.from_url(server.uri("3"), decode_responses=True) as client:
        client.config_set("appendfsync", "always")
        place = Place(server, client)
        young = place.fill("s", old=2000)
        calls = []

        def checkpoint(message: str = "", *, rows: int = 0) -> None:
            calls.append(rows)
            if len(calls) == 4:
                server.kill()

        wanted, job = target(DELETE), rooms.job("data_retention", "redis")
        assert job is not None
        with place.session() as session:
            observation = look("data_retention", session, wanted)
            (action,) = job.plan(observation, wanted).actions
            work = contract.Work(session, wanted, action, observation, checkpoint, time.sleep, lambda _: None)
            outcome = job.apply(work)
        assert outcome.reason_code is ReasonCode.CONNECTION_LOST
        assert outcome.rows == 300
        server.start()
        assert client.xlen("s") == 1720
        with place.session() as session:
            assert run(session, target(DELETE)).well
        assert place.ids("s") == young


def test_undo_says_that_it_cannot(session: RedisSession, place: Place) -> None:
    place.fill("s")
    done = run(session, target(DELETE))
    job = rooms.job("data_retention", "redis")
    assert job is not None
    outcome = undo(job, session, done.action("s"), done.outcome("s"))
    assert outcome.reason_code is ReasonCode.NOT_SUPPORTED


def test_check_names_what_is_not_there(place: Place) -> None:
    found = check_target(target(DELETE), lambda _: connections.parse("c", place.uri))
    said = [(f.check, f.status) for f in found.findings if f.check != "protection"]
    assert said[1:] == [("exists", FindingStatus.FINDING)]


@pytest.mark.parametrize(("text", "early"), [("1-1", True), ("946684800000-0", False)])
def test_which_ids_are_too_early_for_a_time(text: str, early: bool) -> None:
    assert EntryId.parse(text).is_early is early


def test_through_the_command_line_with_an_approval(
    place: Place, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = place.fill("s")
    monkeypatch.setenv("AIRFLOW_CONN_CACHE", place.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "version: 1\ntargets:\n  cache:\n    engine: redis\n    connection: cache\n    streams:\n"
        "      s: {retain: {for: 30 days, then: delete}}\n"
    )

    def upkeep(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--fleet", str(path), *arguments])

    def told(result: Result) -> dict[str, Any]:
        (target,) = json.loads(result.stdout)["targets"]
        return dict(target)

    assert upkeep("check").exit_code == 0
    waiting = told(upkeep("run", "data_retention", "--json"))
    assert waiting["status"] == "awaiting_approval"
    assert place.client.xlen("s") == 70
    late = place.client.xadd("s", {"n": "late"})
    done = told(upkeep("run", "data_retention", "--approve", waiting["plan_id"], "--json"))
    assert done["status"] == "ok"
    assert done["actions"][0]["outcome"]["rows"] == 50
    assert place.ids("s") == [*young, late]
    run_id = json.loads(upkeep("runs", "--json").stdout)["runs"][0]["run_id"]
    undone = upkeep("undo", run_id)
    assert "comes back only from a backup" in " ".join(undone.output.split())  # whatever the width
    assert told(upkeep("run", "data_retention", "--json"))["status"] == "nothing_to_do"
