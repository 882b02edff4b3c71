"""What the tests of the TiDB room share: a database of one's own, a fleet in one line, a run in one call."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pymysql

from local.servers import TidbServer
from upkeep import connections, fleet
from upkeep.engines import Address
from upkeep.jobs import spec
from upkeep.jobs.contract import Work
from upkeep.model import Action, Memory, Observation, Outcome, Plan
from upkeep.tidb.engine import ENGINE
from upkeep.tidb.session import TiDBSession

NO_MEMORY = Memory()
_numbers = itertools.count(1)


class Db:
    """A database of the test's own, with a plain connection to it."""

    def __init__(self, server: TidbServer, name: str) -> None:
        self.server, self.name = server, name
        self.uri = server.uri(name)
        self.connection = self.connect()

    def connect(self) -> Any:
        return pymysql.connect(
            host=self.server.host,
            port=self.server.port,
            user=self.server.user,
            password=self.server.password,
            database=self.name,
            autocommit=True,
            charset="utf8mb4",
        )

    def run(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def many(self, statement: str, values: list[Any]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(statement, values)

    def value(self, statement: str) -> Any:
        return self.run(statement)[0][0]

    def bounds(self, table: str) -> list[str]:
        rows = self.run(
            "select partition_description from information_schema.partitions where table_schema = %s and "
            "table_name = %s order by partition_ordinal_position",
            (self.name, table),
        )
        return [str(r[0]).strip("'").removesuffix(" 00:00:00") for r in rows]

    def parts(self, table: str) -> list[str]:
        rows = self.run(
            "select partition_name from information_schema.partitions where table_schema = %s and table_name = %s "
            "order by partition_ordinal_position",
            (self.name, table),
        )
        return [r[0] for r in rows]

    def tables(self) -> list[str]:
        return [r[0] for r in self.run("show tables")]


@contextmanager
def fresh(server: TidbServer) -> Iterator[Db]:
    name = f"t_{os.getpid()}_{next(_numbers)}"
    with pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
    ) as connection:
        connection.cursor().execute(f"create database {name}")
        db = Db(server, name)
        try:
            yield db
        finally:
            db.connection.close()
            connection.cursor().execute(f"drop database {name}")


def address(db: Db, **other: Any) -> Address:
    known = connections.parse("target", db.uri)
    return Address(**{**{f: getattr(known, f) for f in Address.__slots__}, **other})


@contextmanager
def session(db: Db) -> Iterator[TiDBSession]:
    with ENGINE.open(address(db), application="upkeep test") as opened:
        yield opened


def target(tables: dict[str, str], more: str = "") -> fleet.Target:
    lines = ["version: 1", "targets:", "  t:", "    engine: tidb", "    connection: target"]
    lines += [f"    {more}"] if more else []
    lines += ["    tables:"]
    for name, policy in tables.items():
        quoted = name.replace("'", "''")
        lines += [f"      '{quoted}':", f"        {policy}"]
    return fleet.parse("\n".join(lines)).target("t")


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Runs:
    """A job on a target, step by step, remembering what it did as the ledger would."""

    def __init__(self, job: str, what: fleet.Target) -> None:
        found = spec.job(job, "tidb")
        assert found is not None
        self.job, self.what = found, what
        self.detached: dict[str, Any] = {}
        self.intents: list[Any] = []

    def observe(self, opened: TiDBSession, at: datetime | None = None) -> Observation:
        memory = Memory(detached=self.detached, intents=self.intents)
        observed = self.job.observe(opened, self.what, at or opened.now(), memory)
        return Observation.model_validate_json(observed.model_dump_json())  # as the ledger hands it on

    def plan(self, opened: TiDBSession, at: datetime | None = None) -> Plan:
        return self.job.plan(self.observe(opened, at), self.what)

    def run(self, opened: TiDBSession, at: datetime | None = None, **work: Any) -> tuple[Plan, list[Outcome]]:
        observation = self.observe(opened, at)
        planned = self.job.plan(observation, self.what)
        done: set[str] = set()
        outcomes = []
        for action in planned.actions:
            if action.blocked is not None or not set(action.after) <= done:
                continue
            self.intents.append(action.model_dump(mode="json"))
            outcome = self.job.apply(self.work(opened, action, observation, **work))
            outcomes.append(outcome)
            self.intents.pop()
            if outcome.status == "done":
                done.add(action.id)
                self.remember(action, outcome)
        return planned, outcomes

    def remember(self, action: Action, outcome: Outcome) -> None:
        oid = str(outcome.evidence.get("oid"))
        if action.kind == "detach_partition":
            self.detached[oid] = outcome.evidence
        elif action.kind == "drop_partition":
            self.detached.pop(oid, None)

    def work(
        self,
        opened: TiDBSession,
        action: Action,
        observation: Observation,
        checkpoint: Callable[..., None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Work:
        return Work(
            session=opened,
            target=self.what,
            action=action,
            observation=observation,
            checkpoint=checkpoint or nothing,
            sleep=sleep,
            note=lambda _: None,
        )

    def after(self, opened: TiDBSession, planned: Plan, outcomes: list[Outcome], at: datetime | None = None) -> Any:
        return self.job.frames(self.observe(opened, at), self.what, "after", planned, outcomes)


def nothing(message: str = "", *, rows: int = 0) -> None:
    """Stand in for a checkpoint that lets the run go on."""


def all_done(outcomes: list[Outcome]) -> bool:
    return all(o.status == "done" for o in outcomes)
