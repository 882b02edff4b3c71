"""A real PostgreSQL of its own for a benchmark, with settings of a small production server (fsync on)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from local.servers import PostgresServer, start_postgres, temporary_directory
from upkeep import connections
from upkeep.engines import Address

SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",  # a checkpoint in the middle would decide which candidate looks slow
    "autovacuum": "off",
    "max_locks_per_transaction": "512",
    "log_min_messages": "warning",
}


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Start a server in a temporary folder; stop and remove it at the end."""
    directory = temporary_directory()
    try:
        server = start_postgres(directory, settings=SETTINGS)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def address(server: PostgresServer, database: str = "postgres") -> Address:
    """Return the server's address as Upkeep sees it."""
    return connections.parse("benchmark", server.uri(database))
