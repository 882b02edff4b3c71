"""Partition creation on a real TiDB: what is made, and what is only said. Citations: anchors/mongo-tidb-redis.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.servers import TidbServer
from tests.integration import tidb_help as help_
from tests.integration.tidb_help import Db, Runs, on
from upkeep import gates
from upkeep.plan import FindingStatus, Severity

pytestmark = pytest.mark.tidb
AT = on("2024-02-15 12:00")
MONTHLY = "partition: {by: at, every: 1 month, ahead: 2}"


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def logs(db: Db, *uppers: str, type_: str = "datetime", key: str = "range columns (at)", name: str = "logs") -> None:
    parts = ", ".join(
        f"partition p{n} values less than ({u if u == 'maxvalue' or 'columns' not in key else repr(u)})"
        for n, u in enumerate(uppers)
    )
    db.run(f"create table `{name}` (id bigint not null, at {type_}, msg text) partition by {key} ({parts})")


def creation(policy: str = MONTHLY, table: str = "logs") -> Runs:
    return Runs("partition_creation", help_.target({table: policy}))


def test_desired_minus_existing_then_nothing(db: Db) -> None:
    logs(db, "2024-01-01", "2024-02-01")
    runs = creation()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert help_.all_done(outcomes)
        assert [a.kind for a in planned.actions] == ["create_partition"]
        assert runs.plan(session, AT).actions == ()
        frames = runs.after(session, planned, outcomes, AT)
    assert db.bounds("logs") == ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"]
    assert db.parts("logs") == ["p0", "p1", "p_2024_02", "p_2024_03", "p_2024_04"]
    assert gates.evaluate("partition_creation", "tidb", "after", frames).success


def test_gate_before_holds_on_a_single_node(db: Db) -> None:
    logs(db, "2024-01-01")
    runs = creation()
    with help_.session(db) as session:
        observation = runs.observe(session, AT)
        planned = runs.job.plan(observation, runs.what)
    frames = runs.job.frames(observation, runs.what, "before", None, [])
    assert gates.evaluate("partition_creation", "tidb", "before", frames).success
    unseen = {f.check for f in planned.findings if f.status is FindingStatus.NOT_AVAILABLE}
    assert unseen == {"disk_free", "placement_driver"}
    assert all(f.severity is Severity.INFO for f in planned.findings)
