"""What index analysis finds on TiDB: each finding raised and cleared, and what an exact duplicate goes through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import jobs
from tests.harness.jobs import Runs
from tests.harness.looking import Looks
from tests.harness.tidb import Db, fresh

pytestmark = pytest.mark.tidb
USER = f"reader_{os.getpid()}"
WHAT = jobs.declare("tidb", "tables", "{}", "indexes: {}")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with fresh(tidb_server) as db:
        yield db


def told(db: Db, looks: Looks | None = None) -> dict[tuple[str, str], Any]:
    """Return what one look finds that is not well, by check and subject without the database's name."""
    with jobs.session("tidb", db.uri) as opened:
        plan = (looks or Looks("index_analysis", WHAT)).once(opened)
    found = {(f.check, f.subject.removeprefix(f"{db.name}.")): f for f in plan.findings if f.status != "ok"}
    acts = {("action", a.subject.removeprefix(f"{db.name}.")): a for a in plan.actions}
    return {**found, **acts}


def stays(found: dict[tuple[str, str], Any], check: str) -> dict[str, str]:
    """Return which index stays for each that a check tells of."""
    return {s: found[kind, s].evidence["stays"].rpartition(".")[2] for kind, s in found if kind == check}


def test_each_finding_is_raised_and_cleared(db: Db) -> None:
    db.run("create table p (id int primary key, code int, key by_code (code))")
    db.run(
        "create table t (id int primary key, a int, b varchar(20), p_id int, code int, key a1 (a), "
        "key `a ``2``; %s` (a desc), unique key u1 (b), unique key u2 (b), key b_short (b(5)), key ab (a, b(5)), "
        "key e1 ((lower(b))), key e2 ((lower(b))), key tied (p_id), key again (p_id), "
        "foreign key f (p_id) references p (id))"
    )
    found = told(db)
    assert stays(found, "index_duplicate") == {
        "t.`a ``2``; %s`": "a1",
        "t.u2": "u1",
        "t.e2": "e1",
        "t.again": "tied",
    }
    assert {subject for kind, subject in found if kind == "action"} == {"t.`a ``2``; %s`"}
    assert "a foreign key needs it" in found["index_duplicate", "t.again"].remedy
    assert stays(found, "index_redundant") == {"t.a1": "ab"}
    assert "alter index a1 invisible" in found["index_redundant", "t.a1"].remedy
    done = hide(db)
    assert done.ends == ["done"]
    assert done.well
    found = told(db)
    assert {"t.`a ``2``; %s`"} == {subject for kind, subject in found if kind == "index_hidden"}
    assert not any(kind == "action" for kind, _ in found)
    db.run("alter table t drop index `a ``2``; %s`, drop index u2, drop index e2, drop index again, drop index ab")
    assert {kind for kind, _ in told(db)} <= {"index_unused"}


def hide(db: Db, **more: Any) -> Any:
    with jobs.session("tidb", db.uri) as opened:
        return Runs("index_analysis", WHAT).run(opened, gate=True, **more)


def test_what_changed_since_the_plan_stays(db: Db) -> None:
    for change, ended, why in (
        ("alter table t drop index stays", "state_changed", "no visible index of the same kind"),
        ("alter table t alter index stays invisible", "state_changed", "no visible index of the same kind"),
        ("alter table t drop index goes; alter table t add index goes (a, b)", "state_changed", "another one"),
        ("alter table t alter index goes invisible", "done", "hidden already"),
        ("drop table t", "state_changed", "dropped, renamed or made anew"),
    ):
        db.run("drop table if exists t")
        db.run("create table t (a int, b int, key stays (a), key goes (a))")

        def meanwhile(text: str = change) -> None:
            for statement in text.split(";"):
                db.run(statement)

        with jobs.session("tidb", db.uri) as opened:
            late = Runs("index_analysis", WHAT).run(opened, between=meanwhile)
        assert (late.ends, why in str(late.outcomes[0].message)) == ([ended], True), late.outcomes


def test_unused_is_what_no_look_of_35_days_saw_move(db: Db) -> None:
    db.run("create table t (id int primary key, a int, b int, key idle (a), key busy (b))")
    db.run("create table never_analysed (a int, key unknown (a))")
    db.run("insert into t values (1, 1, 1), (2, 2, 2)")
    db.run("analyze table t")
    looks = Looks("index_analysis", WHAT)
    idle, busy = (("index_unused", f"{db.name}.t.{name}") for name in ("idle", "busy"))
    with jobs.session("tidb", db.uri) as opened:
        first = looks.look(opened)
        assert (first[idle].status, first[busy].status) == ("ok", "ok")
        assert not any("never_analysed" in subject for _, subject in first)

        def weeks_ago() -> None:
            for said in looks.earlier[0]["measured"]["index_unused"].values():
                if "since" in said:
                    said["since"] = (opened.now() - timedelta(days=36)).isoformat()

        weeks_ago()
        db.run("select id from t use index (busy) where b = 1")
        later = looks.look(opened)
        assert (later[idle].severity, later[idle].status, later[busy].status) == ("WARNING", "finding", "ok")
        for said in looks.earlier[0]["measured"]["index_unused"].values():
            said["counters"] = "another server"
        assert looks.level(opened, *idle) == "insufficient_evidence"
        weeks_ago()
        assert looks.level(opened, *idle) == "WARNING"
        db.run("select id from t use index (idle) where a = 1")
        assert looks.level(opened, *idle) == "ok"


def test_who_may_not_see_says_so_and_changes_nothing(db: Db) -> None:
    db.run("create table t (a int, key stays (a), key goes (a))")
    db.run(f"create user {USER} identified by '{USER}'")
    try:
        db.run(f"grant select on {db.name}.* to {USER}")
        db.run(f"grant select on mysql.tidb to {USER}")
        with jobs.session("tidb", db.uri, user=USER, password=USER) as opened:
            done = Runs("index_analysis", WHAT).run(opened)
    finally:
        db.run(f"drop user {USER}")
    blind = next(f for f in done.plan.findings if f.check == "index_unused")
    assert (blind.status, blind.subject) == ("insufficient_evidence", "t")
    assert "grant process on *.*" in str(blind.remedy)
    assert done.ends == ["error"]
    assert "INVISIBLE" not in db.run("show create table t")[0][1]
