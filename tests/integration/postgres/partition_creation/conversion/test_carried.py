"""What is rare on a table, carried over there and back; and what an undo must not lose."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.harness import conversions as conv
from tests.harness import least
from tests.harness import postgres as help_
from tests.harness.jobs import all_done, undo
from tests.harness.postgres import creation, retention
from upkeep.model import Severity
from upkeep.postgres.partition_creation import JOB

WHAT = help_.target({"public.t": conv.POLICY})
TABLE = """
    create table public.t (
        id int generated always as identity, at timestamptz not null default now(), x text, primary key (id, at))
"""
FUNCTION = "create function public.f() returns trigger language plpgsql as 'begin return new; end'"

WHOLE_ROWS = (
    "create trigger w before update on public.t for each row when (old.* is distinct from new.*) "
    "execute function public.f()"
)


@pytest.fixture
def db(database: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute("insert into public.t (x) select 'a' || g from generate_series(1, 3) g")
        yield connection


CARRIED = {
    "default privileges without the owner's": ["alter default privileges revoke insert on tables from app_owner"],
    "default privileges without the owner's sequence": [
        "alter default privileges revoke usage, update on sequences from app_owner",
        "revoke select on sequence public.t_id_seq from app_owner",
    ],
    "another default tablespace": ["alter database {db} set default_tablespace = 'pg_global'"],
    "a unique index like the key": [
        "create unique index d1 on public.t (id, at)",
        "alter table public.t add constraint a1 unique (id, at)",
    ],
    "nulls not distinct": [
        "create unique index u on public.t (x, at) nulls not distinct where x <> 'a'",
        "alter table public.t add constraint nn unique nulls not distinct (at, x) include (id)",
    ],
    "other access methods": [
        "create index g on public.t using gin (to_tsvector('simple'::regconfig, x)) with (fastupdate = off)",
        "create index h on public.t using hash (x)",
    ],
    "row trigger on whole rows": [
        FUNCTION,
        "alter table public.t add gone int, add y int",
        "alter table public.t drop gone",
        WHOLE_ROWS,
    ],
    "set null for one column": [
        "create table public.o (i int, a text, primary key (i, a))",
        "alter table public.t add r int, add foreign key (r, x) references public.o on delete set null (r) deferrable",
    ],
    "sequence of a smaller type": ["alter sequence public.t_id_seq as smallint maxvalue 300 cycle"],
    "statistics on expressions": ["create statistics public.ex (mcv) on (lower(x)), id from public.t"],
    "estimates for partitions": ["alter table public.t alter x set (n_distinct_inherited = -0.3)"],
    "forced row security": [
        "alter table public.t enable row level security",
        "alter table public.t force row level security",
        "create policy p on public.t for update using (x = current_user) with check (x <> '')",
    ],
}


@pytest.mark.parametrize("case", CARRIED)
def test_carried_over_and_back(database: str, db: Any, case: str) -> None:
    if case in {"nulls not distinct", "set null for one column"}:
        help_.only(db, since=15)
    for change in CARRIED[case]:
        db.execute(change.format(db=db.info.dbname))
    before = conv.catalog(db, "public.t")
    other = {}
    if "owner's sequence" in case:  # who has its owner's rights has none either: only a superuser has
        with help_.session(database) as session:
            _, _, outcome = conv.convert(session, WHAT)
        assert "permission denied for sequence" in str(outcome.message)
        assert conv.differences(before, conv.catalog(db, "public.t")) == {}
        other = {"user": least.FIRST}
    with least.past_policies(db), help_.session(database, **other) as session:
        _, action, outcome = conv.convert(session, WHAT)
        assert outcome.status == "done", outcome
        assert conv.differences(before, conv.catalog(db, "public.t")) == {}
        undone = undo(JOB, session, action, outcome)
        assert undone.status == "done", undone
    assert conv.left_behind(db) == 0


def test_what_would_not_be_carried_over_undoes_it(database: str, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table is never left without something: the result is compared with the plan before anybody sees it."""
    db.execute("create policy p on public.t using (true)")
    monkeypatch.setattr("upkeep.postgres.partition_creation.conversion.statements.policies", lambda *_: iter(()))
    before = conv.catalog(db, "public.t")
    with help_.session(database) as session:
        _, _, outcome = conv.convert(session, WHAT)
    assert outcome.status == "failed"
    assert outcome.message == "not carried over as it was: policies; rolled back"
    assert conv.differences(before, conv.catalog(db, "public.t")) == {}
    assert conv.left_behind(db) == 0


LATE = {
    "table": "grant insert on {} to public",
    "column": "grant update (x) on {} to public",
    "revoked": "revoke all on {} from public",
    "sequence": "grant usage on sequence public.t_id_seq to public",
}


@pytest.mark.parametrize("what", LATE)
def test_rights_given_at_the_last_moment_are_not_lost(database: str, db: Any, what: str) -> None:
    """GRANT waits for no lock of ours: between the look at the table and the lock others may give and take rights."""
    db.execute("grant select on public.t to public")
    with help_.session(database) as session:

        def grant(statement: str) -> None:
            if statement.lower().startswith("lock table") and "access exclusive" in statement and checked(db):
                session.trace = None
                db.execute(LATE[what].format("public.t"))

        session.trace = grant
        _, _, outcome = conv.convert(session, WHAT)
        assert session.trace is None
    granted = conv.catalog(db, "public.t")
    assert outcome.status == "skipped", granted
    assert "given or taken" in (outcome.message or "")
    assert "PRIMARY" in str(granted["constraints"])
    assert conv.left_behind(db) == 0


def checked(db: Any) -> bool:
    """Return whether the rows are checked: the next lock is that of the exchange."""
    row = db.execute("select exists (select from pg_constraint where conname like 'upkeep%' and convalidated)")
    return bool(row.fetchone()[0])


def test_rights_given_at_the_last_moment_of_an_undo_are_not_lost(database: str, db: Any) -> None:
    with help_.session(database) as session:
        _, action, outcome = conv.convert(session, WHAT)

        def grant(statement: str) -> None:
            if statement.lower().startswith("lock table") and "access exclusive" in statement:
                session.trace = None
                db.execute("grant insert on public.t to public")

        session.trace = grant
        undone = undo(JOB, session, action, outcome)
    assert undone.status == "skipped", undone
    assert "given or taken" in (undone.message or "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("create rule r as on delete to public.t do also select 1", "rules"),
        ("create statistics public.st on id, x from public.t", "statistics"),
        ("comment on column public.t.x is 'what'", "columns"),
        ("comment on table public.t is 'what'", "comment"),
        ("create policy p on public.t using (true)", "policies"),
        ("grant select on public.t to public", "grants"),
        ("grant update (x) on public.t to public", "grants"),
        ("revoke select on {part} from app_owner", "grants"),
        ("alter table {part} enable row level security", "row_security"),
        ("create trigger own after insert on {part} for each row execute function public.f()", "triggers"),
        ("create view public.v as select x from public.t", "view public.v"),
        ("create table public.o (i int default nextval('public.t_id_seq'))", "column i of table public.o"),
    ],
)
def test_undo_refuses_what_would_be_lost(database: str, db: Any, change: str, says: str) -> None:
    db.execute(FUNCTION)
    with help_.session(database) as session:
        _, action, outcome = conv.convert(session, WHAT)
        db.execute(change.format(part=f"public.{action.args['part']['name']}"))
        before = conv.catalog(db, "public.t")
        refused = undo(JOB, session, action, outcome)
    assert refused.status == "skipped", refused
    assert says in (refused.message or "")
    assert "nothing was changed" in (refused.message or "")
    assert conv.differences(before, conv.catalog(db, "public.t")) == {}


def test_undo_keeps_what_has_changed_since(database: str, db: Any) -> None:
    help_.only(db, since=15)
    db.execute(FUNCTION)
    db.execute("create index by_x on public.t (x)")
    db.execute("create statistics public.st on id, x from public.t")
    db.execute("create trigger old after insert on public.t for each row execute function public.f()")
    db.execute("create publication since_old for table public.t with (publish_via_partition_root = true)")
    db.execute("create publication since_new for table public.t with (publish_via_partition_root = true)")
    db.execute("alter publication since_new drop table public.t")
    with help_.session(database) as session:
        _, action, outcome = conv.convert(session, WHAT)
        db.execute("drop trigger old on public.t")
        db.execute("create trigger new after update on public.t for each row execute function public.f()")
        db.execute("alter publication since_old drop table public.t")
        db.execute("alter publication since_new add table public.t (id, at)")
        db.execute("drop index public.by_x")
        db.execute(f'drop statistics public."{action.args["names"]["statistics"]["st"]}"')
        db.execute("alter table public.t add y int default 4")
        db.execute("create index by_y on public.t (y)")
        db.execute("alter table public.t alter x set default 'z'")
        undone = undo(JOB, session, action, outcome)
        assert undone.status == "skipped", undone  # the statistics on the table as a whole would be lost
        db.execute("drop statistics public.st")
        undone = undo(JOB, session, action, outcome)
    assert undone.status == "done", undone
    found = conv.catalog(db, "public.t")
    assert [t[0] for t in found["triggers"]] == ["new"]
    assert found["publications"] == [("since_new", None, ["at", "id"])]
    assert [i[0] for i in found["indexes"]] == [f"{action.args['part']['name']}_y_idx", "t_pkey"]
    assert db.execute("insert into public.t default values returning id, x, y").fetchone() == (4, "z", 4)
    assert conv.left_behind(db) == 0


def test_undo_waits_for_what_retention_has_detached(database: str, db: Any) -> None:
    """Its rows are to come back by an undo of their own until the grace is over."""
    retain = "retain: {for: 1 year, then: delete, requires: nothing}"
    what = help_.target({"public.t": f"{conv.POLICY}\n{retain}"})
    with help_.session(database) as session:
        _, action, outcome = conv.convert(session, what)
        db.execute("create table public.old partition of public.t for values from ('2001-01-01') to ('2001-02-01')")
        db.execute("insert into public.t (at) values ('2001-01-15')")
        gone = retention(what).run(session)
        assert gone.kinds == ["detach_partition"]
        refused = undo(JOB, session, action, outcome)
        assert refused.status == "skipped"
        assert "public.old was detached from it" in (refused.message or "")
        db.execute("drop table public.old")
        undone = undo(JOB, session, action, outcome)
        assert undone.status == "done", undone


def test_retention_by_rows_thins_the_first_partition(database: str, db: Any) -> None:
    db.execute("insert into public.t (at) select now() - g * interval '1 day' from generate_series(1, 100) g")
    for precision, left in (("partition", 103), ("row", 3 + 49)):
        retain = f"retain: {{for: 50 days, then: delete, precision: {precision}, requires: nothing}}"
        what = help_.target({"public.t": f"{conv.POLICY}\n{retain}"})
        with help_.session(database) as session:
            if precision == "partition":
                conv.convert(session, what)
            retention(what).run(session)
        assert db.execute("select count(*) from public.t").fetchone() == (left,)


def test_undo_without_a_record_of_the_first_run(database: str, db: Any) -> None:
    """A run that was killed after its transaction wrote no outcome: the approved plan, run again, can be taken back."""
    with help_.session(database) as session:
        observation = creation(WHAT).observe(session)
        (action,) = JOB.plan(observation, WHAT).actions
        creation(WHAT).apply(session, action, observation)
        again = creation(WHAT).apply(session, action, observation)
        assert again.status == "done"
        assert again.message == "it was converted already"
        undone = undo(JOB, session, action, again)
        assert undone.status == "done", undone


@pytest.mark.parametrize("stop", ["the server ends it", "the run is asked to stop"])
def test_stopped_after_the_exchange_it_is_on_record_as_done(database: str, db: Any, stop: str) -> None:
    """The partitions ahead are missing, the next run makes them; and it can be taken back."""
    with help_.session(database) as session:
        observation = creation(WHAT).observe(session)
        (action,) = JOB.plan(observation, WHAT).actions

        def checkpoint(message: str = "", *, rows: int = 0) -> None:
            del rows
            if not message.startswith("creating"):
                return
            if stop == "the run is asked to stop":
                session.cancel()
            else:
                db.execute("select pg_terminate_backend(%s, 5000)", [session.backend_pid])

        outcome = creation(WHAT).apply(session, action, observation, checkpoint=checkpoint)
    assert outcome.status == "done", outcome
    assert outcome.evidence["not_created"]
    assert outcome.evidence["analyzed"] is False
    with help_.session(database) as session:
        planned, outcomes = creation(WHAT).run(session)
        assert len(planned.actions) == len(outcomes) == 2
        assert all_done(outcomes)
        undone = undo(JOB, session, action, outcome)
        assert undone.status == "done", undone


def test_a_before_trigger_that_may_set_the_column(database: str, db: Any) -> None:
    db.execute(FUNCTION)
    db.execute("create trigger b before update on public.t for each row execute function public.f('x', 'at')")
    db.execute("create trigger c before update on public.t for each row execute function public.f('x')")
    db.execute("create trigger d after update on public.t for each row execute function public.f('at')")
    with help_.session(database) as session:
        planned = creation(WHAT).plan(session)
    (found,) = [f for f in planned.findings if f.check == "conversion_before_trigger"]
    assert found.severity is Severity.WARNING
    assert found.evidence == {"triggers": ["b"]}
