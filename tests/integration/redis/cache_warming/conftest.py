"""The shop of the tests of cache warming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers import PostgresServer, RedisServer
from tests.harness import servers
from tests.harness.redis import fresh_place
from tests.harness.warming import Shop, over


@pytest.fixture(scope="package")
def source(postgres_server: PostgresServer) -> Iterator[str]:
    with servers.fresh_database(postgres_server, "shop") as uri:
        yield uri


@pytest.fixture
def shop(
    source: str, redis_server: RedisServer, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", source)
    with fresh_place(redis_server) as place, over(source, place, tmp_path) as made:
        monkeypatch.setenv("AIRFLOW_CONN_CACHE", place.uri)
        yield made
