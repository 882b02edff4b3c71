"""Each right of the role file, taken away and given back: `upkeep check` names it with the statement that grants it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.servers import TidbServer
from tests.harness import rights
from tests.harness.jobs import session
from tests.harness.looking import Looks
from tests.harness.tidb import Db, fresh, target
from upkeep import connections
from upkeep.fleet import Target
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.jobs.rights import CHECK
from upkeep.model import Finding
from upkeep.run.check import check_target
from upkeep.tidb import ddl
from upkeep.tidb.rights import FILES
from upkeep.tidb.sql import Sql

pytestmark = pytest.mark.tidb
USER = "probed"
DECLARED = {"logs": "partition: {by: at, every: 1 month, ahead: 1}\nretain: {by: at, for: 30 days, then: delete}"}


@pytest.fixture(scope="module")
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with fresh(tidb_server) as made:
        made.run(
            "create table logs (at date) partition by range columns (at) (partition a values less than ('2024-01-01'))"
        )
        yield made
        made.run(f"drop user if exists {USER}, {USER}_eyes, {USER}_reader")


def named(db: Db, mode: str, user: str) -> dict[str, Finding]:
    """Return what is said of rights, by job."""
    return said(db, target(DECLARED, f"mode: {mode}\nbackup: {{into: /nowhere}}"), user)


def said(db: Db, what: Target, user: str) -> dict[str, Finding]:
    """Return what is said of a user's rights on a target, by job."""
    uri = rights.tidb_login(db.server, user, db.name)
    found = check_target(what, lambda _: connections.parse("c", uri)).findings
    return {f.subject: f for f in found if f.check in {CHECK, "rights"}}


@pytest.mark.parametrize("mode", [*FILES])
def test_each_right_that_is_missing_is_named_with_what_grants_it(db: Db, mode: str) -> None:
    user = USER if mode == "enforce" else f"{USER}_eyes"
    rights.make_tidb_user(db.connection.cursor(), user, db.server.password, db.name, mode=mode)
    assert named(db, mode, user) == {}
    for (text,) in db.run(f"show grants for {user}"):
        listed, scope = text.removeprefix("GRANT ").partition(" TO ")[0].split(" ON ")
        for right in listed.split(","):
            if (right, scope) == ("SELECT", "`mysql`.`tidb`"):  # without it there is no session
                continue
            db.run(f"revoke {right} on {scope} from {user}")
            found = named(db, mode, user)
            if right != "SELECT" or scope != f"`{db.name}`.*":  # then no table is seen, and no job has its rights
                plain = f"{right.lower()} on {scope.replace('`', '')}"
                assert [f.evidence["missing"] for f in found.values()] == [[plain]] * len(found), plain
                assert found, (right, scope)
            for finding in found.values():
                for statement in str(finding.remedy).split("; "):
                    db.run(statement)
            db.run(f"grant {right} on {scope} to {user}")
            assert named(db, mode, user) == {}, (right, scope)


def test_a_target_that_is_called_as_its_table_lacks_what_that_table_needs(db: Db) -> None:
    """The rights of a reader, which are no trifle because of a name."""
    rights.make_tidb_user(db.connection.cursor(), f"{USER}_reader", db.server.password, db.name, mode="observe")
    found = said(db, target(DECLARED).model_copy(update={"name": "logs"}), f"{USER}_reader")
    assert {found[job].severity.value for job in ("data_retention", "partition_creation")} == {"ERROR"}


def test_names_with_wildcards_and_tables_in_other_databases(db: Db) -> None:
    r"""A grant on `a_1` is one on `ax1` too; on `a\_1` it is not; nothing that is given hides what is there."""
    user, plain = f"{USER}_reader", f"{db.name}_el.se"
    escaped = plain.replace("_", r"\_")
    retain = "retain: {by: at, for: 30 days, then: archive, into: '`%s`.kept'}"
    what = target({"logs": retain % plain, f"`{plain}`.logs": "partition: {by: at, every: 1 month, ahead: 1}"})
    db.run(f"drop user if exists {user}")
    db.run(f"create database `{plain}`")
    rights.make_tidb_user(db.connection.cursor(), user, db.server.password, db.name)
    try:
        found = said(db, what, user)
        assert {
            job: f.severity.value for job, f in found.items() if job in {"data_retention", "partition_creation"}
        } == {
            "data_retention": "ERROR",
            "partition_creation": "ERROR",
        }
        assert all(f" on {plain}.*" in one for f in found.values() for one in f.evidence["missing"])
        for statement in {one for f in found.values() for one in str(f.remedy).split("; ")}:
            assert f" on `{escaped}`.* to " in statement
            db.run(statement)
        assert said(db, what, user) == {}
        db.run(f"revoke insert on `{db.name}`.* from {user}")  # there the grant is on the name as it is
        for finding in said(db, what, user).values():
            db.run(str(finding.remedy))
        assert said(db, what, user) == {}
        db.run(f"grant insert on `{db.name.replace('_', chr(92) + '_')}`.* to {user}")  # hides the other grant
        assert said(db, what, user)
    finally:
        db.run(f"drop database `{plain}`")


def test_who_may_only_log_in_is_told_what_to_grant_and_nothing_reads_as_fine(db: Db) -> None:
    """Without a right on the database nobody gets in; with one that is of no use every check says what it lacks."""
    user, what = f"{USER}_login", target(DECLARED, "backup: {into: /nowhere}")
    uri = rights.tidb_login(db.server, user, db.name)
    db.run(f"create user {user} identified by '{db.server.password}'")
    try:
        shut = check_target(what, lambda _: connections.parse("c", uri))
        assert shut.unreachable
        assert [f.status.value for f in shut.findings] == ["failed"]
        assert "Access denied" in shut.findings[0].summary
        db.run(f"grant index on {db.name}.* to {user}")
        (closed,) = check_target(what, lambda _: connections.parse("c", uri)).findings
        assert "grant select on mysql.tidb" in closed.summary
        db.run(f"grant select on mysql.tidb to {user}")
        with session("tidb", uri) as ours:
            seen = Looks("health_check", what).look(ours)
        fine = {name for (name, _), f in seen.items() if f.status.value == "ok"}
        # the last is told to everybody by the member that one has logged in to
        assert fine <= {"reachable", "backup_age", "job_age", "memory_used"}
        assert all("grant " in f.summary for f in seen.values() if f.status.value == "not_available")
        (ahead,) = (f for (name, _), f in seen.items() if name == "partition_headroom")
        assert "our user may not select" in ahead.summary
        assert {"every job", "partition_creation", "data_retention", "health_check"} <= {*said(db, what, user)}
        for finding in said(db, what, user).values():
            for statement in str(finding.remedy).split("; "):
                db.run(statement)
        assert said(db, what, user) == {}
    finally:
        db.run(f"drop user {user}")


def test_a_change_that_our_user_may_not_cancel_is_said_to_be_left(db: Db) -> None:
    with session("tidb", rights.tidb_login(db.server, USER, db.name)) as ours, db.connect() as other:
        other.begin()
        other.cursor().execute("insert into logs values ('2023-05-01')")
        tools = ddl.Tools(ours, lambda *_, **__: None, lambda _: None)
        add = Sql("alter table logs add partition (partition b values less than ('2025-01-01'))")
        with pytest.raises(LockNotObtainedError, match=r"may not cancel its job \(that takes super"):
            ddl.run(tools, add, what="adding", seconds=1)
        other.rollback()
