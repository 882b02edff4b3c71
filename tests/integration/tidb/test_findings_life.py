"""What a run on TiDB puts right is no warning any more; what stands does so since it was first seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers import TidbServer
from tests.harness.command_line import Upkeep
from tests.harness.tidb import Db, fresh

pytestmark = pytest.mark.tidb
FLEET = """\
version: 1
targets:
  orders:
    engine: tidb
    connection: orders_db
    tables:
      events: {partition: {by: at, every: 1 month, ahead: 1}}
"""


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with fresh(tidb_server) as made:
        yield made


def test_rows_in_the_maxvalue_partition(
    db: Db, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS_DB", db.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    upkeep = Upkeep(tmp_path / "fleet.yaml", FLEET)
    db.run(
        "create table events (id bigint, at datetime not null) partition by range columns (at) "
        "(partition p1 values less than ('2026-01-01'), partition pmax values less than (maxvalue))"
    )
    db.run("insert into events values (1, now()), (2, now())")
    mended = upkeep.target("run", "partition_creation", status=0)
    assert [(f["check"], f["state"]) for f in mended["findings"] if f["severity"] != "INFO"] == [
        ("default_rows", "mended")
    ]
    db.run("insert into events values (3, '2077-01-01')")
    states = [
        [(f["check"], f.get("state")) for f in upkeep.target("run", "partition_creation", status=0)["findings"]]
        for _ in range(2)
    ]
    assert ("default_future_rows", "new") in states[0]
    assert ("default_future_rows", "standing") in states[1]
    assert not [check for state in states for check, _ in state if check == "default_rows"]
