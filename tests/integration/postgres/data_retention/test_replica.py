"""A real streaming replica: a deletion waits while it is behind, and goes on when it has caught up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness.postgres import count, replica_of, retention, session, target
from upkeep.postgres.data_retention import throttle

POLICY = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}"


@pytest.fixture
def replica(own_postgres_server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A streaming replica of the test's own server; yields a connection to it."""
    with replica_of(own_postgres_server) as copy, psycopg.connect(copy.uri(), autocommit=True) as connection:
        yield connection


def test_a_deletion_waits_for_a_replica_that_is_behind(
    own_postgres_server: PostgresServer, replica: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr("upkeep.postgres.data_retention.apply.Pace", lambda: throttle.Pace(size=10))
    monkeypatch.setattr(throttle, "MAX_LAG_SECONDS", 1.0)
    uri = own_postgres_server.uri()
    with psycopg.connect(uri, autocommit=True) as db:
        db.execute("create table logs (id bigint primary key, at timestamptz not null)")
        db.execute("create index on logs (at)")
        db.execute("insert into logs select n, now() - interval '24:01:00' * n from generate_series(1, 60) n")
        db.execute("analyze logs")
        replica.execute("select pg_wal_replay_pause()")
        said: list[str] = []
        waits: list[float] = []
        left: list[int] = []

        def checkpoint(message: str = "", *, rows: int = 0) -> None:
            said.append(message)

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            left.append(count(db, "logs"))
            if len(waits) == 3:
                replica.execute("select pg_wal_replay_resume()")
            db.execute("select pg_sleep(0.2)")

        db.execute("insert into logs values (1000, now())")
        db.execute("select pg_sleep(1.5)")
        with session(uri) as opened:
            done = retention(target({"public.logs": POLICY})).run(opened, checkpoint=checkpoint, sleep=sleep)
        assert done.statuses == ["done"], done.outcomes
        assert left[:3] == [51, 51, 51]  # one batch, and none while it waits
        assert any("a replica is" in line and "behind" in line for line in said)
        assert count(db, "logs") == 30
