"""Data retention on a real TiDB: whole partitions. Citations: anchors/mongo-tidb-redis.md, A2 and B."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.integration import tidb_help as help_
from tests.integration.tidb_help import Db, Runs, on
from upkeep import gates
from upkeep.plan import ReasonCode

pytestmark = pytest.mark.tidb
KEEP = "retain: {by: at, for: 30 days, then: delete, requires: nothing, grace: 7 days}"
NOW = KEEP.replace("7 days", "0 days")
AT = on("2024-05-15 12:00")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def events(db: Db, *, null: bool = True, extra: str = "", name: str = "events") -> None:
    """Make a table of five months, a row for each day; June is not due in May."""
    db.run(
        f"create table `{name}` (id bigint not null, at datetime {'' if null else 'not null'}, msg varchar(20), key(at))"
        f" {extra} partition by range columns (at) (partition p1 values less than ('2024-02-01'), "
        "partition p2 values less than ('2024-03-01'), partition p3 values less than ('2024-04-01'), "
        "partition p4 values less than ('2024-05-01'), partition p5 values less than ('2024-07-01'))"
    )
    days = [on("2024-01-01") + timedelta(days=n) for n in range(140)]
    db.many(f"insert into `{name}` values (%s, %s, %s)", [(n, d.replace(tzinfo=None), "x") for n, d in enumerate(days)])


def retention(policy: str = KEEP, table: str = "events") -> Runs:
    return Runs("data_retention", help_.target({table: policy}, more="limits: {share: 100 %}"))


def kinds(planned: Any) -> list[str]:
    return [a.kind for a in planned.actions]


def test_due_partitions_are_exchanged_kept_and_dropped_after_their_grace(db: Db) -> None:
    events(db)
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert kinds(planned) == ["detach_partition"] * 3
        assert help_.all_done(outcomes), outcomes
        frames = runs.after(session, planned, outcomes, AT)
        assert gates.evaluate("data_retention", "tidb", "after", frames).success
        again = runs.plan(session, AT)
        assert again.actions == ()
        assert [f.check for f in again.findings if f.subject != "server"] == ["detached"] * 3
    assert db.bounds("events") == ["2024-04-01", "2024-05-01", "2024-07-01"]
    assert db.value("select count(*) from events") == 140 - 91
    kept = [t for t in db.tables() if t != "events"]
    assert sum(db.value(f"select count(*) from `{t}`") for t in kept) == 91


def test_without_grace_all_is_gone_in_one_run(db: Db) -> None:
    events(db, null=False)
    runs = retention(NOW)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert kinds(planned) == ["detach_partition", "drop_partition"] * 3
        assert help_.all_done(outcomes), outcomes
        assert runs.plan(session, AT).actions == ()
    assert db.tables() == ["events"]
    assert db.value("select count(*) from events") == 140 - 91


def test_rows_without_a_time_protect_the_lowest_partition(db: Db) -> None:
    # B45, TiDB's partitioned-table.md: dropping the lowest partition drops rows whose key is NULL
    events(db)
    db.run("insert into events values (1000, null, 'n'), (1001, null, 'n')")
    runs = retention()
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
    assert [a.blocked and a.blocked[0] for a in planned.actions] == [ReasonCode.NOT_SUPPORTED, None, None]
    assert help_.all_done(outcomes), outcomes
    (found,) = [f for f in planned.findings if f.check == "null_rows"]
    assert found.evidence["rows"] == 2
    assert db.value("select count(*) from events where at is null") == 2
    assert db.value("select count(*) from events") == 142 - 60
    assert db.bounds("events") == ["2024-04-01", "2024-05-01", "2024-07-01"]
