"""What the tests of the PostgreSQL room share: sessions, a fleet, its jobs, tables, looks at the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.process import as_account, free_port, run
from local.servers import PostgresServer
from local.servers.postgres import postgres_bin, postgres_environment
from tests.harness import jobs, servers
from tests.harness.jobs import Runs
from upkeep.fleet import Target
from upkeep.postgres.session import PostgresSession

AT = datetime(2024, 6, 15, 12, tzinfo=UTC)
"""Tests of retention with fixed dates run as of this day."""
MONTHLY = "partition: {by: at, every: 1 month, ahead: 2}"


def session(uri: str, **other: Any) -> AbstractContextManager[PostgresSession]:
    return jobs.session("postgres", uri, **other)


@contextmanager
def replica_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Give a streaming replica of a server."""

    def start(directory: Path) -> PostgresServer:
        copy = PostgresServer(directory, port=free_port(), password=primary.password, settings=primary.settings)
        copy.login = primary.login
        copying: list[str | Path] = [
            *(postgres_bin() / "pg_basebackup", "--pgdata", copy.data, "--write-recovery-conf", "--no-sync"),
            *("--checkpoint", "fast", "--dbname", primary.uri()),
        ]
        run(as_account(copying, tied=False), env=postgres_environment(), cwd=primary.directory)
        written = copy.data / "postgresql.auto.conf"  # a newer pg_basebackup says what an older server does not know
        newer = r" (sslnegotiation|sslcertmode|gssdelegation|load_balance_hosts|require_auth)=\w+"
        written.write_text(re.sub(newer, "", written.read_text()))
        copy.start()
        return copy

    with servers.alone(start) as copy:
        yield copy


def only(db: psycopg.Connection[Any], since: int = 0, until: int = 99) -> None:
    """Leave out a test of what other major versions alone have (`make test-versions` runs it on those)."""
    major = db.info.server_version // 10_000
    if not since <= major <= until:
        pytest.skip(f"PostgreSQL {major} has none of this")


def target(tables: Mapping[str, str]) -> Target:
    return jobs.declare("postgres", "tables", tables)


def creation(what: Target) -> Runs:
    """Return the job that creates partitions; what waits for a person (conversions) is left undone."""
    return Runs("partition_creation", what, approved=False)


def retention(what: Target) -> Runs:
    return Runs("data_retention", what)


def bounds(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Return the bounds of a table's partitions in the order of their lower bounds, as in UTC, the default last."""
    connection.execute("set timezone = 'UTC'")
    rows = connection.execute(
        "select pg_get_expr(c.relpartbound, c.oid) from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = %s::regclass",
        [table],
    ).fetchall()
    texts = [r[0].replace("FOR VALUES FROM ", "").replace("'", "").replace(" 00:00:00", "") for r in rows]
    return sorted(t.replace("+00", "").replace(") TO (", "..").strip("()") for t in texts)


def months(connection: psycopg.Connection[Any], first: int, last: int, *, rows: int = 10, name: str = "logs") -> None:
    """Make a table with monthly partitions of 2024, ``rows`` rows in each."""
    connection.execute(
        f"create table public.{name} (id bigint generated always as identity, at timestamptz not null, msg text, "
        f"primary key (id, at)) partition by range (at)"
    )
    for month in range(first, last + 1):
        connection.execute(
            f"create table public.{name}_{month} partition of public.{name} "
            f"for values from ('2024-{month:02}-01+00') to ('{2024 + month // 12}-{month % 12 + 1:02}-01+00')"
        )
        connection.execute(
            f"insert into public.{name} (at, msg) select timestamptz '2024-{month:02}-01+00' + n * interval '1 hour', "
            f"'row ' || n from generate_series(1, {rows}) n"
        )
    connection.execute(f"analyze public.{name}")


def spring(db: psycopg.Connection[Any], kind: str) -> None:
    """Make April (due on 15 June by a month), May (rows due up to the 15th) and June."""
    db.execute("drop table if exists logs, logs_4, logs_5, logs_6, logs_rest, old")
    db.execute("create table logs (id bigint, at timestamptz, msg text) partition by range (at)")
    db.execute("create index on logs (at)")
    for month in (4, 5, 6):
        db.execute(
            f"create table logs_{month} partition of logs "
            f"for values from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')"
        )
        db.execute(
            f"insert into logs select n + {month * 1000}, timestamptz '2024-0{month}-01+00' + n * interval '11 hours', "
            f"repeat('x', 300) from generate_series(1, 60) n"
        )
    if kind == "plainly":
        db.execute("create table logs_rest partition of logs default")
    db.execute("create table old (like logs)")
    db.execute("analyze logs")


def leave_pending(db: psycopg.Connection[Any], database: str) -> None:
    """Make what a killed run leaves: a concurrent detaching interrupted while it waits (anchors, verified 4)."""
    with psycopg.connect(database) as reader, psycopg.connect(database, autocommit=True) as other:
        reader.execute("select count(*) from logs")
        other.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("alter table logs detach partition logs_3 concurrently")
        reader.rollback()
    assert count(db, "pg_inherits", "inhdetachpending") == 1


def attached(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Return the names of a table's partitions."""
    rows = connection.execute(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = %s::regclass and not i.inhdetachpending order by c.relname",
        [table],
    ).fetchall()
    return [row[0] for row in rows]


def count(connection: psycopg.Connection[Any], table: str, where: str = "true") -> int:
    row = connection.execute(f"select count(*) from {table} where {where}").fetchone()
    assert row is not None
    return int(row[0])


def exists(connection: psycopg.Connection[Any], table: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    assert row is not None
    return bool(row[0])
