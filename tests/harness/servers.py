"""Servers for a while, and fresh databases on those of the session."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

import local.servers
from local.obtain.versions import wanted
from local.servers import PostgresServer, Server, temporary_directory
from tests.harness import least
from upkeep.connections import CONTROL, parse
from upkeep.ledger import Ledger

# `wal_level` for slots and publications. fsync off is safe here: a killed server keeps what it wrote in the
# kernel's cache, and only a crash of the machine would lose it; it halves the time of the suite.
TEST_SETTINGS = {
    "wal_level": "logical",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10min",  # statistics in tests come from ANALYZE, not from chance
    "log_min_messages": "warning",
}
FIRST_WITH_STRATEGIES = 150_000
_numbers = itertools.count(1)
S = TypeVar("S", bound=Server)


def start_postgres(directory: Path, *, settings: Mapping[str, str] | None = None) -> PostgresServer:
    """Start a PostgreSQL server on which Upkeep has few rights (`least`)."""
    server = local.servers.start_postgres(directory, settings={**TEST_SETTINGS, **(settings or {})})
    least.give(server)
    return server


@contextmanager
def fresh_database(
    server: PostgresServer, prefix: str, *, template: str = "template1", more: str = "", owner: str = least.FIRST
) -> Iterator[str]:
    """Create a database, give its URI, drop it at the end whoever is still connected.

    Parameters
    ----------
    template
        What it is a copy of.
    more
        Other options of CREATE DATABASE.
    owner
        Who owns it; the ledger's role is also whose address it is.
    """
    name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        # With fsync off that is three times as fast as the default of 15 and later; before it is the only way.
        strategy = "strategy file_copy" if connection.info.server_version >= FIRST_WITH_STRATEGIES else ""
        text = f"create database {{}} owner {{}} template {{}} {strategy} {more}"
        names = map(sql.Identifier, (name, owner, template))
        connection.execute(sql.SQL(text).format(*names))
    try:
        yield server.uri(name).replace(f"//{server.user}:", f"//{owner}:", 1 if owner == least.LEDGER else 0)
    finally:
        server.start()  # a test that killed the server may have left it down; a no-op otherwise
        _execute(server, sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def leave_out(item: pytest.Item, needed: Mapping[str, str]) -> None:
    """Leave out a test where the environment chose a server older than it needs (`make test-versions` does)."""
    for engine, since in needed.items():
        if is_older(engine, since):
            item.add_marker(pytest.mark.skip(f"{engine} {wanted(engine)} has none of this"))


def is_older(engine: str, than: str) -> bool:
    """Return whether the environment chose a server of an older version."""
    chosen = wanted(engine)
    return bool(chosen) and _numbers_of(chosen) < _numbers_of(than)


def _numbers_of(version: str) -> list[int]:
    return [int(part) for part in version.rpartition("-")[2].split(".")]


@contextmanager
def ledger_template(server: PostgresServer) -> Iterator[str]:
    """Migrate a ledger once, and give the name of its database, of which each test gets a copy."""
    with fresh_database(server, "ledger", owner=least.LEDGER) as uri:
        Ledger.open(parse(CONTROL, uri), migrate=True).close()
        yield urlsplit(uri).path.removeprefix("/")


def _execute(server: PostgresServer, statement: sql.Composed) -> None:
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def alone(start: Callable[[Path], S]) -> Iterator[S]:
    """Give a server for as long as the block lasts; nothing is left of it."""
    directory = temporary_directory()
    try:
        server = start(directory)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
