"""Values of rows reach neither what a run says, nor its ledger, nor an exception's text (DESIGN 5.8)."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.harness.commands import Bed, Db
from tests.harness.postgres import session
from upkeep.postgres.session import PostgresSession

VALUE = "quetzal-4711"
AT = ("--at", "2024-03-15T12:00:00+00:00")
RETAIN = "retain: {{by: at, for: 30 days, requires: nothing, precision: row, then: archive, into: app.kept{}}}"


@pytest.fixture
def db(bed: Bed) -> Iterator[Db]:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        connection.execute("set client_min_messages = 'error'")
        connection.execute("create schema app")
        yield connection


def unseen(bed: Bed, *arguments: str) -> str:
    """Run a command, see that the value is neither in what it says nor in the ledger, and return what it says."""
    done = bed.upkeep("run", *arguments, *AT, "--approve")
    assert VALUE not in done.said
    with psycopg.connect(bed.control) as control:
        tables = control.execute(
            "select quote_ident(relname) from pg_class where relnamespace = 'upkeep'::regnamespace and relkind = 'p'"
        ).fetchall()
        texts = [row for (name,) in tables for row in control.execute(f"select t::text from upkeep.{name} t")]
    assert len(texts) > 3
    assert not [text for (text,) in texts if VALUE in text]
    return done.said


def plain(db: Db, kept: str = "") -> None:
    db.execute("create table app.logs (id text primary key, at timestamptz not null)")
    db.execute("create index on app.logs (at)")
    db.execute(f"create table app.kept (id text primary key, at timestamptz not null{kept})")
    db.execute(f"insert into app.logs values ('{VALUE}', '2024-01-10'), ('{VALUE}-2', '2024-01-11')")


def test_partition_creation(bed: Bed, db: Db) -> None:
    db.execute("create table app.logs (at timestamptz not null, note text) partition by range (at)")
    db.execute("create table app.logs_3 partition of app.logs for values from ('2024-03-01+00') to ('2024-04-01+00')")
    db.execute("create table app.logs_d partition of app.logs default")
    db.execute("create index on app.logs_3 ((note::int))")  # given to new partitions too
    db.execute(f"insert into app.logs values ('2024-04-10', '{VALUE}')")
    bed.declare({"app.logs": "partition: {by: at, every: 1 month, ahead: 1}"})
    said = unseen(bed, "partition_creation")
    assert "22P02" in said


def test_archive_with_a_copy(bed: Bed, db: Db) -> None:
    plain(db)
    db.execute(f"insert into app.kept values ('{VALUE}', '2024-01-10')")
    bed.declare({"app.logs": RETAIN.format("")})
    said = " ".join(unseen(bed, "data_retention").split())
    assert "kept_pkey" in said
    assert "delete the copies" not in said


@pytest.mark.parametrize(
    "body",
    [
        "raise exception 'no: %', new.id using errcode = '42501', hint = new.id",
        "perform new.id::int",
        "assert false, new.id",
    ],
)
def test_a_trigger_that_refuses(bed: Bed, db: Db, body: str) -> None:
    plain(db)
    db.execute(f"create function app.refuse() returns trigger language plpgsql as $$begin {body}; return new; end$$")
    db.execute("create trigger refuse before insert on app.kept for each row execute function app.refuse()")
    bed.declare({"app.logs": RETAIN.format(", cascades: declared")})
    said = unseen(bed, "data_retention")
    assert "app.refuse()" in " ".join(said.split())


def test_an_error_of_the_session_quotes_nothing(database: str) -> None:
    opened: PostgresSession
    with session(database) as opened:
        opened.execute(opened.statement("clock"))
        for text in (f"select '{VALUE}'::int", f"select date '{VALUE}'", f"select {VALUE}::nothing"):
            with pytest.raises(psycopg.Error) as caught:
                opened.execute(sql.SQL(text))
            assert VALUE not in str(caught.value)
        with pytest.raises(psycopg.Error) as caught, opened.cursor("odd", withhold=True) as cursor:
            cursor.execute(f"select '{VALUE}'::int")  # type: ignore[arg-type]
        assert VALUE not in str(caught.value)
