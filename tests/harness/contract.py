"""What the contract test is made of: a database of each engine with its complete picture, one case a job and engine.

A case lies beside the tests of its pair: ``tests/integration/<engine>/<job>/contract_case.py`` offers ``CASE``.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import psycopg
import pymongo
import pymysql
import pytest
import redis
from bson import json_util
from pymongo import monitoring

from local.servers import MongoServer, PostgresServer, RedisServer, TidbServer
from local.servers.postgres import postgres_bin, postgres_environment
from tests.harness import servers, tidb
from tests.harness.mongo import fresh_place as fresh_mongo
from tests.harness.redis import fresh_place as fresh_redis
from upkeep import fleet, gates, settings
from upkeep.gates import Check
from upkeep.jobs import rooms, spec
from upkeep.model import ENGINES, Backup, Observation, Plan

NAME: Final = "t"
"""Of the only target."""


# -- cases -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A realistic database with something to do, and what is declared for it.

    Attributes
    ----------
    make
        Fills the fresh database; is given the engine's own helper (`Place.db`).
    right
        Lines of the target in the fleet file, without engine and connection: all of it can be done, and is fine then.
    wrong
        Further lines at the end of ``right``: declared, and missing or otherwise not to be done.
    kinds
        Kinds of the actions that ``right`` leads to: as many of the job's as one database can show.
    undone
        Those that `undo` takes back; of the others it says why not.
    by_clock
        Those whose id moves with the server's clock, whatever ``at`` is; with the reason beside it.
    others
        Further targets of the fleet file, of which rows are read: with ``connection: source``, a PostgreSQL database.
    left
        Pattern of what stays when one is taken back and nobody promised that it would not; with the reason beside it.
    at
        What "now" is to the plan.
    asked, asked_wrong
        The request that goes with ``right``, and what it says besides with ``wrong``.
    remembered
        What the ledger remembers besides with ``wrong``.
    beside
        A directory that the job writes into, which belongs to the picture.
    since
        The server's version that all of it needs (docs/versions.md); empty: any that is tested.
    """

    make: Callable[[Any], None]
    right: str
    wrong: str
    kinds: frozenset[str]
    undone: frozenset[str]
    at: datetime
    by_clock: frozenset[str] = frozenset()
    others: str = ""
    left: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    asked_wrong: Mapping[str, Any] = field(default_factory=dict)
    remembered: tuple[Backup, ...] = ()
    beside: Path | None = None
    since: str = ""


def pairs() -> list[tuple[str, str]]:
    """Return each job with each engine that has a room for it."""
    return [(job, engine) for job in spec.JOBS for engine in ENGINES if rooms.job(job, engine) is not None]


def strangers() -> list[tuple[str, str]]:
    """Return each job with each engine that has none."""
    return [(job, engine) for job in spec.JOBS for engine in ENGINES if rooms.job(job, engine) is None]


def case_of(job: str, engine: str) -> Case:
    """Return the case of a pair; without one the test fails and says what to write."""
    name = f"tests.integration.{engine}.{job}.contract_case"
    try:
        found: Case = importlib.import_module(name).CASE
    except (ModuleNotFoundError, AttributeError) as error:
        path = f"{name.replace('.', '/')}.py"
        message = (
            f"{job} on {engine} has no case in the contract test: write {path} with CASE = Case(make, right, wrong, "
            f"kinds, undone, at) of tests/harness/contract.py; the ones of other jobs on {engine} show how ({error})"
        )
        raise AssertionError(message) from error
    if found.since and servers.is_older(engine, found.since):
        pytest.skip(f"all of {job} needs {found.since}")
    return found


def target(case: Case, engine: str, *, wrong: bool = False, more: str = "") -> fleet.Target:
    """Return the case's target as a fleet file declares it."""
    return fleet_of(case, engine, wrong=wrong, more=more).target(NAME)


def fleet_of(case: Case, engine: str, *, wrong: bool = False, more: str = "") -> fleet.Fleet:
    """Return a fleet of the case's target alone; ``more`` is one more line of it."""
    body = "\n".join([more, case.right.strip("\n"), case.wrong.strip("\n") if wrong else ""])
    lines = [f"    {line}" for line in body.splitlines() if line]
    head = ["version: 1", "targets:", f"  {NAME}:", f"    engine: {engine}", "    connection: target"]
    others = [f"  {line}" for line in case.others.splitlines() if line]
    return fleet.parse("\n".join([*head, *lines, *others]))


# -- databases ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A fresh database.

    Attributes
    ----------
    uri
        As a connection says it.
    db
        The engine's own helper, with a connection that is not Upkeep's.
    picture
        Returns all that is in it, to be compared: structure, rows, comments, options; no object ids.
    watched
        A block in which writes of Upkeep's are refused by the server, or listed.
    """

    uri: str
    db: Any
    picture: Callable[[], list[str]]
    watched: Callable[[], AbstractContextManager[list[str]]]


@contextmanager
def _postgres(server: PostgresServer) -> Iterator[Place]:
    """Dumped by pg_dump, and watched by the server: new sessions may not write."""
    with servers.fresh_database(server, "contract") as uri, psycopg.connect(uri, autocommit=True) as connection:
        (name,) = connection.execute("select current_database()").fetchone() or ("",)

        def picture() -> list[str]:
            command = [postgres_bin() / "pg_dump", "--inserts", "--dbname", uri]
            text = subprocess.run(command, check=True, capture_output=True, text=True, env=postgres_environment())
            lines = [line for line in text.stdout.splitlines() if not line.startswith(("--", "\\"))]
            broken = "select 'invalid: ' || indexrelid::regclass from pg_index where not indisvalid"  # not dumped
            lines += [row[0] + ";" for row in connection.execute(broken).fetchall()]
            return sorted("\n".join(lines).split(";\n"))  # rows lie in any order

        @contextmanager
        def watched() -> Iterator[list[str]]:
            connection.execute(f'alter database "{name}" set default_transaction_read_only = on')
            try:
                yield []
            finally:
                connection.execute(f'alter database "{name}" reset default_transaction_read_only')

        yield Place(uri, connection, picture, watched)


@contextmanager
def _tidb(server: TidbServer) -> Iterator[Place]:
    """Watched in the driver: whatever is sent on any connection of this process."""
    with tidb.fresh(server) as db:

        def picture() -> list[str]:
            found = [str(db.run(f"show create database `{db.name}`"))]
            for (table,) in db.run("show tables"):
                found += db.run(f"show create table `{table}`")[0][1].splitlines()
                found += sorted(f"{table}: {row}" for row in db.run(f"select * from `{table}`"))
            return found

        @contextmanager
        def watched() -> Iterator[list[str]]:
            sent: list[str] = []
            query = pymysql.connections.Connection.query

            def heard(self: Any, statement: Any, *rest: Any, **more: Any) -> Any:
                text = statement.decode() if isinstance(statement, bytes) else statement
                if text.split(None, 1)[0].lower() not in _READS_SQL or _WRITES_SQL.search(text):
                    sent.append(text)
                return query(self, statement, *rest, **more)

            with patch.object(pymysql.connections.Connection, "query", heard):
                yield sent

        yield Place(db.uri, db, picture, watched)


_READS_SQL: Final = ("select", "show", "set", "with", "explain")
_WRITES_SQL: Final = re.compile(r"\b(for update|into outfile|insert|update|delete|replace into)\b", re.IGNORECASE)


@contextmanager
def _mongo(server: MongoServer) -> Iterator[Place]:
    """Watched by the driver's own listener: each command that is none of those that only read."""
    with fresh_mongo(server) as place:

        def picture() -> list[str]:
            found: list[str] = []
            for info in place.db.list_collections(filter={"name": {"$not": re.compile(r"^system\.")}}):
                collection = place.db[info["name"]]
                found.append(f"{info['name']}: {info['type']} {json_util.dumps(info['options'])}")
                for look in (collection.list_indexes, collection.find):
                    found += sorted(f"{info['name']}: {json_util.dumps(one)}" for one in look())
            return found

        @contextmanager
        def watched() -> Iterator[list[str]]:
            listener = _Listener()
            with patch.object(pymongo, "MongoClient", partial(pymongo.MongoClient, event_listeners=[listener])):
                yield listener.writes
            assert listener.reads, "the listener heard nothing at all"

        yield Place(place.uri, place, picture, watched)


class _Listener(monitoring.CommandListener):
    READS: Final = frozenset(
        {"hello", "saslStart", "saslContinue", "endSessions", "ping", "buildInfo", "serverStatus", "getParameter"}
        | {"find", "getMore", "killCursors", "aggregate", "count", "distinct", "explain", "listCollections"}
        | {"listIndexes", "collStats", "dbStats", "connectionStatus", "replSetGetConfig", "replSetGetStatus"}
    )

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.writes: list[str] = []

    def started(self, event: Any) -> None:
        stages = [name for stage in event.command.get("pipeline", ()) for name in stage]
        reads = event.command_name in self.READS and not {"$out", "$merge"} & {*stages}
        (self.reads if reads else self.writes).append(event.command_name)

    def succeeded(self, event: Any) -> None:
        """Nothing to do."""

    def failed(self, event: Any) -> None:
        """Nothing to do."""


@contextmanager
def _redis(server: RedisServer) -> Iterator[Place]:
    """Watched by the server's own count of each command, those of scripts too."""
    with fresh_redis(server) as place, redis.Redis.from_url(place.admin_uri) as raw:

        def picture() -> list[str]:
            return [f"{name}: {raw.dump(name)} {raw.pttl(name) >= 0}" for name in sorted(raw.keys())]

        @contextmanager
        def watched() -> Iterator[list[str]]:
            place.client.config_resetstat()
            writes: list[str] = []
            yield writes
            commands: Any = place.client.command()
            sent = {name.removeprefix("cmdstat_").partition("|")[0] for name in place.client.info("commandstats")}
            assert "info" in sent, "the server counted nothing at all"
            writes += [name for name in sent if "write" in commands[name]["flags"]]

        yield Place(place.uri, place, picture, watched)


PLACES: Final[Mapping[str, Callable[[Any], AbstractContextManager[Place]]]] = {
    "postgres": _postgres,
    "tidb": _tidb,
    "mongo": _mongo,
    "redis": _redis,
}


# -- planning without anything to ask ----------------------------------------------------------------


@contextmanager
def no_io() -> Iterator[None]:
    """Let nothing be opened in this block: no connection, no program, no file but the product's own.

    Python itself tells of each (PEP 578). PostgreSQL's driver connects below Python: its one door is shut.
    """
    heard: list[str] = []
    _HEARING.append(heard)
    try:
        with ExitStack() as doors:
            shut = AssertionError("a plan connects to nothing")
            doors.enter_context(patch("upkeep.postgres.session.connect", side_effect=shut))
            yield
    finally:
        _HEARING.remove(heard)
    assert not heard, heard


_HEARING: list[list[str]] = []
_EVENTS: Final = ("socket.", "subprocess.", "os.", "shutil.", "tempfile.", "glob.", "pathlib.", "sqlite3.")
_OWN: Final = (sys.prefix, sys.base_prefix, settings.include_dir(), Path(fleet.__file__).parents[1])
_PROGRAMS: Final = tuple(str(Path(path).resolve()) for path in _OWN)


def _hear(event: str, arguments: Sequence[Any]) -> None:
    if not _HEARING or not (event == "open" or event.startswith(_EVENTS)):
        return
    path = str(Path(os.fsdecode(arguments[0])).resolve()) if arguments and _is_path(arguments[0]) else ""
    writes = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if writes or not path.startswith(_PROGRAMS):
        _HEARING[-1].append(f"{event} {arguments}")


def _is_path(value: Any) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


sys.addaudithook(_hear)


# -- frames ------------------------------------------------------------------------------------------


def columns_of(check: Check) -> set[str]:
    """Return the columns that a check looks at, its condition's included."""
    named = {str(check.kwargs[k]) for k in ("column", "column_A", "column_B") if k in check.kwargs}
    condition = check.kwargs.get("row_condition")
    return named | ({condition["column"]["name"]} if condition else set())


def spoiled(check: Check, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with a value that the check must not let pass."""
    kwargs = check.kwargs
    if check.type == "expect_column_pair_values_to_be_equal":
        return {**row, kwargs["column_A"]: 1, kwargs["column_B"]: 2}
    if check.type == "expect_column_values_to_be_between":
        bad = kwargs["max_value"] + 1 if "max_value" in kwargs else kwargs["min_value"] - 1
        return {**row, kwargs["column"]: bad}
    values = {
        "expect_column_values_to_be_null": "something",
        "expect_column_values_to_not_be_null": None,
        "expect_column_values_to_be_in_set": "none of these",
    }
    assert check.type in values, f"{check.label}: say in `spoiled` which value is bad for it"
    return {**row, kwargs["column"]: values[check.type]}


def unnoticed(job: str, engine: str, stage: str, frames: Mapping[str, gates.suites.Rows]) -> set[str]:
    """Return the checks of the suite that a bad value does not make fail: one bad row for each, in one evaluation."""
    suite = gates.load(job, stage, engine).frames
    bad = {name: [spoiled(check, frames[name][0]) for check in checks] for name, checks in suite.items()}
    failed = {failure.expectation for failure in gates.evaluate(job, engine, stage, bad).failed}
    return {check.label for checks in suite.values() for check in checks} - failed


def same(before: Sequence[str], after: Sequence[str], what: object = "") -> None:
    """Assert that two pictures are equal; else say which lines went (-) and came (+)."""
    if before != after:
        lines = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        raise AssertionError("\n".join([str(what), *lines]))


def again(observation: Observation) -> Observation:
    """Return an observation after its way through JSON."""
    return Observation.model_validate_json(observation.model_dump_json())


def wishes(plan: Plan) -> list[tuple[str, str, str]]:
    """Return what each action is, whatever its ids."""
    return [(action.kind, action.subject, action.detail) for action in plan.actions]
