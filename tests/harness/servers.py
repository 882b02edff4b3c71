"""Fresh databases on the session's servers."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from local.servers import PostgresServer

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
_numbers = itertools.count(1)


@contextmanager
def fresh_database(server: PostgresServer, prefix: str) -> Iterator[str]:
    """Create a database, give its URI, drop it at the end whoever is still connected."""
    name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    _execute(server, sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        yield server.uri(name)
    finally:
        server.start()  # a test that killed the server may have left it down; a no-op otherwise
        _execute(server, sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _execute(server: PostgresServer, statement: sql.Composed) -> None:
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute(statement)
