"""A plain table becomes a partitioned one of the same name, with everything it carried; and back.

Issue 3; anchors: GitLab's ConvertTable, pg_partman's howto on online partitioning.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.harness import conversions as conv
from tests.harness import postgres as help_
from tests.harness.jobs import undo
from tests.harness.postgres import creation
from upkeep.model import Severity
from upkeep.postgres.partition_creation import JOB

HOSTILE = ("public.logs", "public"), ('"we.ird; S"."Ta%%ble ""x"" ' + "a" * 45 + '"', '"we.ird; S"')


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.mark.versions
@pytest.mark.parametrize(("name", "schema"), HOSTILE)
def test_everything_is_carried_over_and_back(database: str, db: Any, name: str, schema: str) -> None:
    table = name.replace("%%", "%")
    conv.make_everything(db, table, schema)
    before = conv.catalog(db, table)
    what = help_.target({table: conv.POLICY})
    with help_.session(database) as session:
        planned, action, outcome = conv.convert(session, what)
        assert outcome.status == "done", (outcome, action.statements)
        assert action.requires.kind == "approval"
        assert not action.destructive
        assert [f for f in planned.findings if f.severity is Severity.ERROR] == []
        after = conv.catalog(db, table)
        assert conv.differences(before, after) == {}
        assert db.execute("select relkind from pg_class where oid = %s::regclass", [table]).fetchone() == ("p",)
        assert outcome.evidence["rows_read_under_lock"] == 0
        assert len(outcome.evidence["created"]) == 2
        assert creation(what).plan(session).actions == ()
        assert conv.left_behind(db) == 0
        _use_it(db, table, before)
        new = conv.catalog(db, table)
        undone = undo(JOB, session, action, outcome)
        assert undone.status == "done", undone
        again = conv.catalog(db, table)
        assert db.execute("select relkind from pg_class where oid = %s::regclass", [table]).fetchone() == ("r",)
        assert conv.differences(new, again) == {}
        assert undo(JOB, session, action, outcome).message == "the plain table is back already"
        _use_it(db, table, new)
        _, _, once_more = conv.convert(session, what)
        assert once_more.status == "done", once_more
    assert conv.left_behind(db) == 0


def _use_it(db: Any, table: str, before: Any) -> None:
    """Insert through the name: identity goes on, triggers fire once, foreign keys and checks hold."""
    db.execute("truncate public.fired")
    last = before["sequences"][0][-1] or 0
    (made,) = db.execute(f"insert into {table} (place) values (3) returning id").fetchone()
    assert made > max(last - 15, before["rows"][0][3])
    fired = db.execute("select name, op, level, count(*) from public.fired group by 1, 2, 3 order by 1").fetchall()
    assert fired == [
        ("a row", "INSERT", "ROW", 1),
        ("before_it", "INSERT", "ROW", 1),
        ("later", "INSERT", "ROW", 1),
        ("stat", "INSERT", "STATEMENT", 1),
    ]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        db.execute(f"insert into {table} (place) values (33)")
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute(f"insert into {table} (place) values (-1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute(f"insert into {table} (n, at, place) select n, at, place from {table} limit 1")
    db.execute("insert into public.places values (6, 'six')")
    db.execute(f"insert into {table} (place) values (6)")
    db.execute("delete from public.places where id = 6")
    assert db.execute(f"select count(*) from {table} where place = 6").fetchone() == (0,)


def test_a_role_with_the_rights_of_the_owner_suffices(database: str, db: Any) -> None:
    conv.make_everything(db, "public.logs", "public")
    db.execute("do $$ begin create role conv_app login password 'x'; exception when duplicate_object then null; end $$")
    db.execute("grant conv_owner to conv_app")
    db.execute("revoke create on schema public from public")
    db.execute("grant create on schema public to conv_owner")
    name = db.info.dbname
    db.execute(f"grant create on database {name} to conv_owner")
    db.execute("alter publication conv_pub owner to conv_owner")
    db.execute('alter statistics public."st at" owner to conv_owner')
    db.execute("revoke execute on function public.fire() from public")
    db.execute("alter default privileges for role conv_app grant update on tables to public")
    before = conv.catalog(db, "public.logs")
    what = help_.target({"public.logs": conv.POLICY})
    with help_.session(database, user="conv_app", password="x") as session:
        (found,) = [f for f in creation(what).plan(session).findings if f.check == "partitioned"]
        assert "our role may not reference public.places" not in found.summary  # its owner may, and it is a member
        assert "our role may not use public.fire()" in found.summary
        db.execute("grant execute on function public.fire() to conv_owner")
        _, action, outcome = conv.convert(session, what)
        assert outcome.status == "done", outcome
        assert conv.differences(before, conv.catalog(db, "public.logs")) == {}
        undone = undo(JOB, session, action, outcome)
        assert undone.status == "done", undone
    assert conv.differences(before, conv.catalog(db, "public.logs")) == {}
    assert conv.left_behind(db) == 0
