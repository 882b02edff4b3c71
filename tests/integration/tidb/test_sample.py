"""The sample tables in TiDB, and the sample fleet's two jobs on them."""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest

from local.sample.tidb import load_tidb
from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done
from tests.harness.tidb import Db
from upkeep import fleet, settings

pytestmark = pytest.mark.tidb


@pytest.fixture(scope="module")
def app(tidb_server: TidbServer) -> Iterator[Db]:
    with pymysql.connect(
        host=tidb_server.host, port=tidb_server.port, user=tidb_server.user, password=tidb_server.password
    ) as connection:
        connection.cursor().execute("create database app")
        db = Db(tidb_server, "app")
        assert load_tidb(db.admin_uri) is True
        db.run("grant select, insert, update, delete, create, alter, drop, index on app.* to upkeep")
        yield db
        db.connection.close()
        connection.cursor().execute("drop database app")


def test_loading_again_changes_nothing(app: Db) -> None:
    assert load_tidb(app.admin_uri) is False
    assert app.value("select count(*) from order_events") == 50_000
    assert app.value("select count(*) from order_notes where created_at is null") > 0


def test_the_fleets_jobs_find_work_and_then_none(app: Db) -> None:
    target = fleet.load(settings.include_dir() / "fleet.yaml").target("orders")
    with help_.session(app) as session:
        creation, retention = Runs("partition_creation", target), Runs("data_retention", target)
        planned, outcomes = creation.run(session)
        assert [a.args["method"] for a in planned.actions] == ["add", "add", "last"]
        assert all_done(outcomes), outcomes
        planned, outcomes = retention.run(session)
        assert all_done(outcomes), outcomes
        assert planned.awaiting == ()
        done = [a.subject for a in planned.actions if a.blocked is None]
        blocked = [a.subject for a in planned.actions if a.blocked is not None]
        assert set(done) == {"app.order_events", "app.order_notes"}
        assert blocked == ["app.order_notes"]
        assert creation.plan(session).actions == ()
        assert [a for a in retention.plan(session).actions if a.blocked is None] == []
