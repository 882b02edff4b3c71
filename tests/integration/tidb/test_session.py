"""The TiDB session on a real server: settings, identity, errors that never show the password, checks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done
from tests.harness.tidb import Db
from upkeep import gates
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.model import FindingStatus
from upkeep.tidb.engine import ENGINE
from upkeep.tidb.sql import Sql

pytestmark = pytest.mark.tidb


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def test_what_a_server_sets_for_its_sessions_changes_nothing(db: Db) -> None:
    db.run("set global sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', global time_zone = '+09:00'")
    try:
        with help_.session(db) as session:
            (row,) = session.execute(Sql("select @@sql_mode as mode, @@time_zone as zone, @@autocommit as auto")).rows
    finally:
        db.run("set global sql_mode = default, global time_zone = 'SYSTEM'")
    assert row == {"mode": "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION", "zone": "+00:00", "auto": 1}


def test_a_limit_that_a_server_sets_hides_no_column(db: Db) -> None:
    """With it the list of columns ended early, and what came after was deleted without being archived."""
    db.run("create table logs (id bigint primary key, at datetime, msg varchar(9), more int, key (at))")
    db.run("create table kept like logs")
    db.run("insert into logs values (1, '2024-01-01', 'one', 7), (2, '2024-01-02', 'two', 8)")
    policy = "retain: {by: at, for: 1 day, then: archive, into: kept, precision: row, requires: nothing}"
    runs = Runs("data_retention", help_.target({"logs": policy}, more="limits: {share: 100 %}"))
    db.run("set global sql_select_limit = 2")
    try:
        with help_.session(db) as session:
            _, outcomes = runs.run(session)
    finally:
        db.run("set global sql_select_limit = default")
    assert all_done(outcomes), outcomes
    assert db.run("select * from kept where msg is not null and more is not null order by id")[1][3] == 8


@pytest.mark.parametrize("mode", ["tidb_super_read_only", "tidb_restricted_read_only"])
def test_a_server_that_is_read_only_is_said_to_be(db: Db, mode: str) -> None:
    db.run(f"set global {mode} = on")
    try:
        with help_.session(db) as session:
            assert session.is_replica
            found = ENGINE.check(session, help_.target({"x": "partition: {by: at, every: 1 day, ahead: 1}"}))
    finally:
        db.run("set global tidb_restricted_read_only = off, global tidb_super_read_only = off")
    assert "read only" in next(f for f in found if f.check == "role").summary
    with help_.session(db) as session:
        assert not session.is_replica


def test_what_a_user_with_few_rights_cannot_see_is_said(db: Db) -> None:
    """Without PROCESS the list of transactions holds one's own only: that nothing is old was never looked at."""
    user = f"u{db.name}"
    db.run(f"create user {user} identified by 'x'")
    db.run(f"grant select, insert, update, delete, create, drop, alter, index on {db.name}.* to {user}")
    db.run(f"grant select on mysql.tidb to {user}")
    db.run("create table logs (id int primary key, at datetime, key (at))")
    db.run("insert into logs values (1, '2024-01-01'), (2, now())")
    policy = "retain: {by: at, for: 1 day, then: delete, precision: row, requires: nothing}"
    runs = Runs("data_retention", help_.target({"logs": policy}, more="limits: {share: 100 %}"))
    try:
        for process in (False, True):
            if process:
                db.run(f"grant process on *.* to {user}")
            with ENGINE.open(help_.address(db, user=user, password="x"), application="t") as session:
                observed = runs.observe(session)
                frames = runs.job.frames(observed, runs.what, "before", None, ())
                assert gates.evaluate("data_retention", "tidb", "before", frames).success
                planned, outcomes = runs.run(session)
            assert all_done(outcomes)
            assert ("transactions" in {f.check for f in planned.findings}) == (not process)
    finally:
        db.run(f"drop user {user}")


def test_the_identity_is_the_databases_whatever_the_address(db: Db) -> None:
    with help_.session(db) as one, ENGINE.open(help_.address(db, host="localhost"), application="x") as other:
        assert one.identity == other.identity
        assert one.identity.endswith(f":{db.name}")
        assert one.tested
        assert abs((one.now() - other.now()).total_seconds()) < 60


@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        ({"password": "s3cret-wrong"}, UnreachableError, "check user and password"),
        ({"database": "nowhere"}, UnreachableError, "name of the database"),
        ({"port": 1}, UnreachableError, "check host and port"),
        ({"options": {"connect_timeout": "soon"}}, ConfigurationError, "whole seconds"),
        ({"options": {"ssl_verify_cert": "maybe"}}, ConfigurationError, "true or false"),
        ({"options": {"ssl_ca": "/nowhere.pem"}}, UnreachableError, "nowhere"),
    ],
)
def test_errors_say_what_to_do_and_never_the_password(db: Db, other: dict[str, object], error: type, says: str) -> None:
    address = help_.address(db, **other)
    with pytest.raises(error) as raised, ENGINE.open(address, application="x"):
        pass
    assert says in str(raised.value) or "No such file" in str(raised.value)
    assert address.password not in str(raised.value)


def test_check_names_what_is_there_and_what_a_single_node_cannot_tell(db: Db) -> None:
    db.run("create table logs (id int, at datetime)")
    target = help_.target(
        {"logs": "retain: {by: at, for: 1 day, then: delete}", "nowhere": "partition: {by: at, every: 1 day, ahead: 1}"}
    )
    with help_.session(db) as session:
        found = ENGINE.check(session, target)
    assert [(f.check, f.status) for f in found] == [
        ("connection", FindingStatus.OK),
        ("placement_driver", FindingStatus.NOT_AVAILABLE),
        ("table", FindingStatus.OK),
        ("table", FindingStatus.FINDING),
    ]
