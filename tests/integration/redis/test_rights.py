"""Each right of the role file, taken away and given back: `upkeep check` names it with the command that grants it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from local.process import free_port
from local.servers import RedisServer
from tests.harness import rights
from tests.harness.jobs import session
from tests.harness.looking import Looks
from tests.harness.redis import Place, fresh_place, run
from tests.harness.servers import alone
from upkeep import connections, fleet, settings
from upkeep.errors import UnreachableError
from upkeep.fleet import Target
from upkeep.jobs import spec
from upkeep.jobs.rights import CHECK, declared
from upkeep.model import Finding
from upkeep.redis import rights as rights_of
from upkeep.redis.rights import FILES, of
from upkeep.run.check import check_target

USER = "probed"
FLEET = """\
version: 1
targets:
  shop: {{engine: postgres, connection: shop}}
  t:
    engine: redis
    connection: c
    mode: {mode}
    backup: {{into: /nowhere}}
    streams: {{'logs:*': {{retain: {{for: 30 days, then: delete, requires: nothing}}}}}}
    keys: {{'sessions:*': {{ttl: {{at_most: 1 day}}}}}}
    warm:
      prices: {{from: shop, query: prices.sql, key: 'prices:{{item}}', ttl: 1 hour, budget: 1 MiB}}
"""


@pytest.fixture
def place(redis_server: RedisServer) -> Iterator[Place]:
    with fresh_place(redis_server) as made:
        yield made
        made.client.execute_command("ACL", "DELUSER", USER)


def target(tmp_path: Path, mode: str = "enforce") -> Target:
    (tmp_path / "prices.sql").write_text("select 1")
    (tmp_path / "fleet.yaml").write_text(FLEET.format(mode=mode))
    return fleet.load(tmp_path / "fleet.yaml").target("t")


def named(place: Place, what: Target) -> dict[str, Finding]:
    """Return what is said of rights, by job."""
    found = check_target(what, lambda _: connections.parse("c", place.uri_of(USER))).findings
    return {f.subject: f for f in found if f.check in {CHECK, "commands"}}


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_each_right_that_is_missing_is_named_with_what_grants_it(place: Place, tmp_path: Path, mode: str) -> None:
    what = target(tmp_path, mode)
    with session("redis", place.admin_uri) as opened:
        major = opened.numbers[0]
    rights.make_redis_user(place.client, USER, place.server.password, mode=mode, keys="")
    missing = {name: finding.evidence["missing"] for name, finding in named(place, what).items()}
    patterns = {word for words in missing.values() for word in words}
    assert patterns == {"~logs:*", "~sessions:*", "~upkeep:warm:*", *(["~prices:*"] if mode == "enforce" else [])}
    for finding in named(place, what).values():
        place.client.execute_command(*shlex.split(str(finding.remedy)))
    assert named(place, what) == {}
    jobs = [job for job, _ in declared(what)]
    assert {job.name for job in jobs} - {"backup"} <= {job.name for job in jobs if of(job.name, major, mode)}
    for job in jobs:
        for command in of(job.name, major, mode):
            place.client.execute_command("ACL", "SETUSER", USER, f"-{command.partition('|')[0]}")
            told = named(place, what)[job.name]
            assert told.evidence["missing"] == [f"+{command}"], command
            assert (told.severity.value == "WARNING") == job.looks_only
            place.client.execute_command(*shlex.split(str(told.remedy)))
            assert named(place, what) == {}, command


def test_a_target_that_is_called_as_its_stream_lacks_that_key(place: Place, tmp_path: Path) -> None:
    rights.make_redis_user(place.client, USER, place.server.password, keys="~upkeep:warm:* ~prices:* ~sessions:*")
    what = target(tmp_path).model_copy(update={"name": "logs:*"})
    lacks = named(place, what)["data_retention"]
    assert (lacks.severity.value, lacks.remedy) == ("ERROR", f"ACL SETUSER {USER} ~logs:*")


def test_a_key_of_any_name_is_granted_by_what_is_told(place: Place, tmp_path: Path) -> None:
    name = """it's "hot" {x}\\*"""
    place.client.xadd(name.replace("\\", ""), {"a": "b"})
    rights.make_redis_user(place.client, USER, place.server.password, keys="~sessions:*")
    text = FLEET[: FLEET.index("    warm:")].format(mode="enforce").replace("logs:*", name.replace("'", "''"))
    what = fleet.parse(text).target("t")
    lacks = named(place, what)["data_retention"]
    with place.session(place.uri_of(USER)) as ours:
        gate = run(ours, what).before
    assert [failed.remedy for failed in gate.failed] == ["grant the missing privilege (see the finding)"]
    place.client.execute_command(*shlex.split(str(lacks.remedy)))
    assert "data_retention" not in named(place, what)


def test_who_may_only_log_in_is_told_what_to_grant_and_nothing_reads_as_fine(place: Place, tmp_path: Path) -> None:
    place.client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{place.server.password}")
    with pytest.raises(UnreachableError, match=r"ACL SETUSER .*\+info"), place.session(place.uri_of(USER)):
        pass
    place.client.execute_command("ACL", "SETUSER", USER, "+client|setname", "+select", "+info", "+time")
    what = target(tmp_path)
    found = check_target(what, lambda _: connections.parse("c", place.uri_of(USER))).findings
    assert [f.remedy for f in found if f.check == "rights"] == [f"ACL SETUSER {USER} +multi +discard"]
    assert [f.severity.value for f in found if f.check == "rights"] == ["WARNING"], "not to know is not to be well"
    place.client.execute_command("ACL", "SETUSER", USER, "+multi")
    with place.session(place.uri_of(USER)) as ours:
        (unknown,) = rights_of.findings(ours, what)
        assert unknown.check == "rights"
        assert ours.command("TIME") != "QUEUED", "without DISCARD the connection is still within MULTI"
    assert [f.severity.value for f in found if f.check == CHECK] == ["ERROR"], "the streams themselves are not seen"
    place.client.config_set("appendonly", "no")  # then only CONFIG tells whether snapshots are made
    try:
        with place.session(place.uri_of(USER)) as ours:
            seen = Looks("health_check", what).look(ours)
            blind = {name for (name, _), f in seen.items() if f.status.value == "not_available"}
            assert blind == {"persistence", "latency", "disk_used"}, "the others are told by INFO alone"
            assert not [f for f in Looks("ttl_verification", what).look(ours).values() if f.status.value == "ok"]
    finally:
        place.client.config_set("appendonly", "yes")


def test_a_service_without_config_and_sync_is_looked_at_as_far_as_it_goes(tmp_path: Path) -> None:
    """As services do it: `rename-command`; nobody can grant what the server does not have."""

    def start(directory: Path) -> RedisServer:
        taken = {f'rename-command {name} ""': "" for name in ("CONFIG", "SYNC", "PSYNC")}
        server = RedisServer(directory, port=free_port(), password="secret", settings=taken)
        server.start()
        return server

    what = target(tmp_path)
    with alone(start) as server:
        uri = rights.redis_uri(server, "3")
        found = check_target(what, lambda _: connections.parse("c", uri)).findings
        assert [f.subject for f in found if f.check == CHECK] == []
        gone = {f.subject: f.summary for f in found if f.check == "commands"}
        assert {*gone} == {"backup", "health_check"}
        assert "config|get" in gone["health_check"]
        weight = {f.subject: f.severity.value for f in found if f.check == "commands"}
        assert weight == {"backup": "ERROR", "health_check": "INFO"}, "a backup is declared that nobody can take"
        with session("redis", uri) as ours:
            health = Looks("health_check", what).look(ours)
            assert (health["latency", "server"].status.value, health["latency", "server"].severity.value) == (
                "not_available",
                "INFO",
            )
            assert health["persistence", "server"].status.value == "ok", "its log is on: INFO tells"
            place = Place(server, redis.Redis.from_url(server.uri("3"), decode_responses=True))
            young = place.fill("logs:a")
            assert run(ours, what).well
            assert place.ids("logs:a") == young
            place.client.close()


def test_the_page_names_each_right() -> None:
    text = (
        (settings.checkout() / "docs" / "rights.md")
        .read_text(encoding="utf-8")
        .partition("## Redis")[2]
        .replace("\\|", "|")
    )
    told = set(re.findall(r"\+([a-z_|]+)", text))
    both = [of(job, major, mode) for job in spec.JOBS for mode in FILES for major in (6, 7)]
    assert {word for words in both for word in words} <= told
