"""Each check's fault is made on the real server, seen to raise, and to clear when it is mended."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness.jobs import session
from tests.harness.looking import Looks
from tests.harness.servers import fresh_database
from upkeep import fleet


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[str]:
    with fresh_database(postgres_server, "health") as uri:
        yield uri


def looks(health: str = "{}") -> Looks:
    text = f"version: 1\ntargets:\n  t:\n    engine: postgres\n    connection: target\n    health: {health}\n"
    return Looks("health_check", fleet.parse(text).target("t"))


def test_connections(database: str) -> None:
    seen = looks()
    with psycopg.connect(database, autocommit=True) as db, session("postgres", database) as ours:
        name = db.info.dbname
        db.execute(f'alter database "{name}" connection limit 2')
        assert seen.level(ours, "connections_used", f"database {name}") == "INFO"
        assert seen.level(ours, "connections_used", f"database {name}") == "CRITICAL"
        db.execute(f'alter database "{name}" connection limit 50')
        assert seen.level(ours, "connections_used", f"database {name}", times=2) == "CRITICAL"
        assert seen.level(ours, "connections_used", f"database {name}") == "ok"
        db.execute(f'alter database "{name}" connection limit -1')
