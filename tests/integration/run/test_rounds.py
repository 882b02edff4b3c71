"""Rounds: many targets looked at at once, on real servers; whether all were, who is called, who is told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.harness.outside import Received, http_server, mail_server
from upkeep import connections
from upkeep.engines import Address
from upkeep.errors import CancelledError, ConfigurationError
from upkeep.fleet import parse
from upkeep.jobs import rooms, spec
from upkeep.jobs.contract import Ask, Job
from upkeep.ledger import Ledger
from upkeep.model import Finding, FindingStatus, Observation, Plan, Severity
from upkeep.postgres.session import PostgresSession
from upkeep.run import fleet_facts, fleet_needs, rounds, telling
from upkeep.run.coverage import FLEET
from upkeep.run.runner import Runner

JOB = "watch"
SECRET = "a-path-that-nobody-may-read"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


@dataclass
class World:
    """A fleet of names for one database, what a look finds there, and how long it takes."""

    runner: Runner
    uri: str
    control: str
    found: dict[str, Severity] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    under_way: int = 0
    most: int = 0

    def round(self, *targets: str) -> dict[str, str]:
        """Do a round as a command does; returns how its targets ended."""
        runner = self.runner
        run_id = runner.start(JOB, datetime.now(UTC), trigger="test", actor="ada", targets=targets)
        names = runner.targets(JOB, targets)
        reports = rounds.look_at_all(runner, run_id, names)
        rounds.conclude(runner, run_id, names, whole=not targets)
        runner.ledger.finish_run(run_id)
        telling.tell(runner)
        self.run_id = run_id
        return {report.target: report.status.value for report in reports}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.control) as connection:
            return connection.execute(query).fetchall()


def _policies(names: int, **top: str) -> str:
    keys = "".join(f"{key}: {value}\n" for key, value in top.items())
    target = "engine: postgres, connection: {0}, tables: {{public.t: {{retain: {{by: at, for: 1 day, then: delete}}}}}}"
    lines = "".join(f"  t{n:02}: {{{target.format(f't{n:02}')}}}\n" for n in range(names))
    return f"version: 1\n{keys}targets:\n{lines}"


@pytest.fixture
def world(database: str, control_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    row = spec.JobSpec(
        name=JOB, engines=frozenset({"postgres"}), policy_keys=("retain",), description="", looks_only=True,
        seconds=3, heartbeat=True,
    )  # fmt: skip
    monkeypatch.setitem(spec.JOBS, JOB, row)
    monkeypatch.setattr(rounds, "GRACE", 5.0)
    made: list[World] = []

    def observe(ask: Ask[PostgresSession]) -> Observation:
        pause = sql.Literal(made[0].seconds.get(ask.target.name, 0.0))
        made[0].under_way += 1
        made[0].most = max(made[0].most, made[0].under_way)
        ask.session.execute(sql.SQL("select pg_sleep({})").format(pause))
        made[0].under_way -= 1
        return ask.answer({"seen": []})

    def decide(observation: Observation, _target: Any, _request: Any) -> Plan:
        severity = made[0].found.get(observation.target)
        status = FindingStatus.OK if severity is None else FindingStatus.FINDING
        said = {"value": 1}
        found = Finding.of(
            "load", "server", severity or Severity.INFO, "too much", "less", evidence=said, status=status
        )
        return Plan.make(observation, (), [found])

    monkeypatch.setattr(rooms, "job", lambda *_: Job(observe=observe, decide=decide))

    def resolve(connection_id: str) -> Address:
        if connection_id == connections.MAIL:
            raise ConfigurationError("no mail server")
        return connections.parse(connection_id, NOWHERE if connection_id in made[0].away else database)

    with Ledger.open(connections.parse("upkeep_control", control_database), migrate=False) as ledger:

        def make(names: int, **top: str) -> World:
            made[:] = [World(Runner(parse(_policies(names, **top)), ledger, resolve), database, control_database)]
            return made[0]

        yield make


@pytest.fixture
def web() -> Iterator[Received]:
    with http_server() as got:
        yield got


def sleeping(uri: str) -> int:
    with psycopg.connect(uri) as connection:
        query = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"
        row = connection.execute(query + " and pid != pg_backend_pid()").fetchone()
        return int(row[0]) if row else 0


def test_groups() -> None:
    names = [f"t{n}" for n in range(19)]
    assert rounds.groups(names) == names
    assert rounds.groups([]) == []
    grouped = rounds.groups([*names, "u", "v"])
    assert [len(part) for part in grouped] == [7, 7, 7]
    assert [name for part in grouped for name in part] == [*names, "u", "v"]
    assert {len(part) for part in rounds.groups([str(n) for n in range(100)])} == {10}


def test_targets_are_looked_at_at_once_and_one_that_is_late_is_out_of_reach_alone(
    world: Callable[..., World], web: Received
) -> None:
    fleet = world(12, heartbeat=f"{web.url}/beat")
    fleet.seconds = {f"t{n:02}": 0.4 for n in range(12)} | {"t05": 30.0}
    began = time.monotonic()
    ended = fleet.round()
    assert time.monotonic() - began < 25
    assert fleet.most > 2
    assert ended.pop("t05") == "unreachable"
    assert set(ended.values()) == {"ok"}
    assert len(ended) == 11
    assert sleeping(fleet.uri) == 0  # cancelled on the server
    report = fleet.runner.report(fleet.run_id)
    (late,) = (t for t in report.targets if t.target == "t05")
    assert "within 3 s" in (late.error or "")
    assert fleet.rows(f"select count(*), count(distinct target) from upkeep.look where run_id = '{fleet.run_id}'") == [
        (12, 12)
    ]
    assert [path for _, path, _ in web.requests] == ["/beat"]  # one that is out of reach is known to be
    assert fleet.rows("select count(*) from upkeep.gate") == [(0,)]


def test_a_target_that_swallows_everything_holds_up_nobody(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = world(3)
    monkeypatch.setattr(rounds, "GRACE", 0.3)
    hangs = threading.Event()
    inner = fleet.runner.open

    def stuck(target: Any) -> Any:
        if target.name == "t01":
            hangs.wait(20)
        return inner(target)

    monkeypatch.setattr(Runner, "open", lambda _self, target: stuck(target))
    began = time.monotonic()
    try:
        assert fleet.round() == {"t00": "ok", "t01": "unreachable", "t02": "ok"}
        assert time.monotonic() - began < 18
    finally:
        hangs.set()
    time.sleep(0.2)  # what comes too late is recorded nowhere
    assert fleet.rows("select target, status from upkeep.look order by 1") == [
        ("t00", "ok"),
        ("t01", "unreachable"),
        ("t02", "ok"),
    ]


def test_stopping_a_round_cancels_what_runs_on_the_servers(world: Callable[..., World]) -> None:
    fleet = world(4)
    spec.JOBS[JOB] = replace(spec.JOBS[JOB], seconds=60)  # restored with the row
    fleet.seconds = {"t01": 30.0, "t02": 30.0, "t03": 30.0}

    def stop() -> None:
        while sleeping(fleet.uri) < 3:
            time.sleep(0.05)
        fleet.runner.cancel()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(CancelledError):
        fleet.round()
    stopper.join()
    assert sleeping(fleet.uri) == 0
    assert fleet.rows("select target from upkeep.look") == [("t00",)]


def test_a_blind_round_is_told_once_and_calls_no_heartbeat(
    world: Callable[..., World], web: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = world(4, heartbeat=f"{web.url}/{SECRET}", notify=f"{web.url}/hook")
    assert set(fleet.round().values()) == {"ok"}
    assert [path for _, path, _ in web.requests] == [f"/{SECRET}"]
    web.requests.clear()
    fleet.away = {"t00", "t01"}
    fleet.round()
    (told,) = web.documents()
    assert [(f["check"], f["severity"], f["state"], f["target"]) for f in told["findings"]] == [
        ("upkeep_blind", "CRITICAL", "new", FLEET)
    ]
    assert "2 of 4 targets out of reach at once" in told["text"]
    report = fleet.runner.report(fleet.run_id)
    assert [(g.suite, g.success) for g in report.gates] == [("round.after", False)]
    assert [f.check for f in report.findings] == ["upkeep_blind"]
    assert report.document()["gates"][0]["success"] is False
    facts = fleet_facts.gather(fleet.runner.ledger, fleet.runner.fleet, [JOB])
    assert "2 of 4 targets out of reach at once" in fleet_needs.needs(facts, {})[0].title
    # that each is out of reach is not said beside it, by whichever check finds it
    keys = "fingerprint, target, job, check_name, subject, status, severity, summary, evidence, first_seen, first_run"
    with psycopg.connect(fleet.control, autocommit=True) as connection:
        connection.execute(
            f"insert into upkeep.issue ({keys}) values ('f1', 't00', %s, 'reachable', 'server', 'finding', 'ERROR', "
            "'no answer', '{}', now(), 'r')",
            [JOB],
        )
    fleet.round()
    assert web.requests == []
    fleet.away = {"t00"}  # one alone is that server's own trouble
    fleet.round()
    (told,) = web.documents()
    assert [(f["check"], f["state"]) for f in told["findings"]] == [("reachable", "new"), ("upkeep_blind", "gone")]
    assert [path for _, path, _ in web.requests] == [f"/{SECRET}"]
    assert fleet.rows("select success from upkeep.gate order by id") == [(False,), (False,), (True,)]
    fleet.round()
    assert fleet.rows("select count(*) from upkeep.gate") == [(3,)]
    fleet.away = {"t00", "t01"}
    fleet.round("t00", "t01")  # somebody asked for these two: that says nothing of the fleet
    assert web.documents() == []


def test_a_look_that_fails_is_no_look(
    world: Callable[..., World], web: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = world(3, heartbeat=f"{web.url}/beat", notify=f"{web.url}/hook")
    job = rooms.job(JOB, "postgres")
    assert job is not None

    def broken(observation: Observation, target: Any, request: Any) -> Plan:
        if target.name == "t02":
            raise KeyError("value of a row")
        return job.decide(observation, target, request)

    monkeypatch.setattr(rooms, "job", lambda *_: replace(job, decide=broken))
    assert fleet.round()["t02"] == "failed"
    (told,) = web.documents()
    assert [(f["check"], f["severity"]) for f in told["findings"]] == [("not_looked_at", "ERROR")]
    assert "1 of 3 targets not looked at: t02" in told["text"]
    assert "value of a row" not in str(told)
    assert web.requests == []
    monkeypatch.setattr(rooms, "job", lambda *_: job)
    fleet.round()
    assert [f["state"] for f in web.documents()[0]["findings"]] == ["gone"]
    assert [path for _, path, _ in web.requests] == ["/beat"]


def test_people_are_told_once_of_what_is_new_and_of_what_is_no_more(
    world: Callable[..., World], web: Received, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = world(3, notify=f"{web.url}/{SECRET}")
    fleet.found = {"t00": Severity.WARNING, "t01": Severity.ERROR}
    web.status = 503
    with caplog.at_level(logging.WARNING, "upkeep"):
        fleet.round()
    assert "127.0.0.1 answered with status 503" in caplog.text
    assert SECRET not in caplog.text
    web.status, web.requests[:] = 200, []
    fleet.round()  # what could not be delivered is sent again, by the next
    (told,) = web.documents()
    assert [(f["target"], f["severity"], f["state"], f["summary"]) for f in told["findings"]] == [
        ("t01", "ERROR", "new", "too much")
    ]
    assert "evidence" not in told["findings"][0]
    fleet.round()
    assert web.documents() == []
    fleet.found |= {"t00": Severity.CRITICAL, "t01": Severity.WARNING}
    fleet.round()
    (told,) = web.documents()
    assert {(f["target"], f["severity"], f["state"]) for f in told["findings"]} == {
        ("t00", "CRITICAL", "new"),
        ("t01", "ERROR", "gone"),
    }
    assert "WARNING by now" in told["text"]
    fleet.found = {"t01": Severity.ERROR}
    with Ledger.open(connections.parse("upkeep_control", fleet.control), migrate=False) as other:
        fleet.round()
        told = web.documents()
        assert [(f["target"], f["state"]) for f in told[0]["findings"]] == [("t01", "new"), ("t00", "gone")]
        (issue,) = other.open_issues("t01", JOB)
        other.acknowledge(issue.fingerprint, until=datetime(2100, 1, 1, tzinfo=UTC), actor="ada", why="known")
    fleet.round()
    assert web.documents() == []


def test_two_that_end_at_once_do_not_say_the_same(world: Callable[..., World], web: Received) -> None:
    fleet = world(1, notify=f"{web.url}/hook")
    fleet.found = {"t00": Severity.ERROR}
    run_id = fleet.runner.start(JOB, datetime.now(UTC), trigger="test", actor="ada")
    rounds.look_at_all(fleet.runner, run_id, ["t00"])
    ledgers = [Ledger.open(connections.parse("upkeep_control", fleet.control), migrate=False) for _ in range(3)]
    tellers = [threading.Thread(target=telling.tell, args=(replace(fleet.runner, ledger=one),)) for one in ledgers]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    for one in ledgers:
        one.close()
    assert len(web.documents()) == 1


def test_mail(world: Callable[..., World], caplog: pytest.LogCaptureFixture) -> None:
    fleet = world(1, notify="mailto:ops@example.org,dba@example.org")
    fleet.found = {"t00": Severity.CRITICAL}
    fleet.round()
    assert "no mail server" in caplog.text
    inner = fleet.runner.addresses
    with mail_server() as got:
        extras = {"starttls": "false", "from": "upkeep@example.org"}
        server = Address(connections.MAIL, "127.0.0.1", got.port, "", "", options=extras)
        fleet.runner.addresses = lambda name: server if name == connections.MAIL else inner(name)
        fleet.round()
        fleet.round()
    (mail,) = got.mails
    assert "To: ops@example.org,dba@example.org" in mail
    assert "Subject: Upkeep: 1 new" in mail
    assert any("CRITICAL t00: load (server): too much" in line for line in mail)


def test_a_heartbeat_that_fails_is_a_warning(
    world: Callable[..., World], web: Received, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = world(1, heartbeat=f"{web.url}/{SECRET}")
    web.status = 500
    assert fleet.round() == {"t00": "ok"}
    assert len(web.requests) == 2  # once more
    assert "127.0.0.1 answered with status 500" in caplog.text
    fleet = world(1, heartbeat="${UPKEEP_TEST_BEAT}")
    assert fleet.round() == {"t00": "ok"}
    assert "UPKEEP_TEST_BEAT is not set" in caplog.text
    monkeypatch.setenv("UPKEEP_TEST_BEAT", f"{web.url}/{SECRET}/2")
    web.status = 200
    fleet.round()
    assert web.requests[-1][1] == f"/{SECRET}/2"
    assert SECRET not in caplog.text


def test_looks_are_thinned_out_by_the_first_round_of_a_day(world: Callable[..., World]) -> None:
    fleet = world(1)
    with psycopg.connect(fleet.control, autocommit=True) as connection:
        days = (
            "generate_series(date_trunc('day', now()) - interval '4 days', date_trunc('day', now()), interval '1 day')"
        )
        for (day,) in connection.execute(f"select d from {days} as d").fetchall()[:-1]:
            name = f"look_p{day:%Y%m%d}"
            connection.execute(
                f"create table if not exists upkeep.{name} partition of upkeep.look "
                f"for values from ('{day}') to ('{day.replace(tzinfo=UTC)}'::timestamptz + interval '1 day')"
            )
        old = "date_trunc('hour', now()) - interval '3 days' + n * interval '5 minutes'"
        connection.execute(
            "insert into upkeep.look (recorded_at, run_id, target, job, at, status, seen, unseen, measured) "
            f"select {old}, 'r', 't00', 'watch', now(), 'ok', '{{}}', '{{}}', '{{}}' from generate_series(0, 11) n"
        )
    fleet.round()
    assert fleet.rows("select count(*) from upkeep.look where run_id = 'r'") == [(1,)]
    ahead = f"look_p{datetime.now(UTC) + timedelta(days=40):%Y%m%d}"
    with psycopg.connect(fleet.control) as connection:
        connection.execute(f"drop table upkeep.{ahead}")
    assert fleet.runner.ledger.tend_daily(fleet.run_id)
    assert fleet.rows(f"select to_regclass('upkeep.{ahead}') is not null") == [(True,)]
    fleet.round()
    assert not fleet.runner.ledger.tend_daily(fleet.run_id)
