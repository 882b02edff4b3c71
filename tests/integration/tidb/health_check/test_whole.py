"""Health of TiDB from the command line to the ledger and back: what is unhealthy, why, and that it ends."""

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
    health: {ignore: [disk_used, session_blocked, transaction_long, session_idle_in_transaction]}
    tables:
      events: {partition: {by: at, every: 1 month, ahead: 2}}
"""


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with fresh(tidb_server) as made:
        yield made


def test_a_table_that_has_run_out_of_partitions(
    db: Db, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS_DB", db.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    upkeep = Upkeep(tmp_path / "fleet.yaml", FLEET)
    db.run(
        "create table events (id bigint, at datetime not null) partition by range columns (at) "
        "(partition p1 values less than ('2026-01-01'))"
    )
    for state in ("new", "standing"):
        target = upkeep.target("run", "health_check", status=1)
        assert target["status"] == "unhealthy"
        (found,) = [f for f in target["findings"] if f["severity"] == "CRITICAL"]
        assert (found["check"], found["subject"], found["state"]) == ("partition_headroom", f"{db.name}.events", state)
    db.run("alter table events add partition (partition p2 values less than (maxvalue))")
    target = upkeep.target("run", "health_check", status=1)
    assert "2026-01-01" in str(target["findings"]), "a partition without an end counts for nothing"
    ends = "partition p2 values less than ('2099-01-01'), partition p3 values less than (maxvalue)"
    db.run(f"alter table events reorganize partition p2 into ({ends})")
    assert upkeep.target("run", "health_check", status=0)["status"] == "ok"
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS_DB", db.uri.replace(str(db.server.port), "1"))
    assert upkeep.target("run", "health_check", status=3)["status"] == "unreachable"
