"""An index that belongs to a constraint, one with a hostile name, what an interrupted rebuilding left; a wrong name."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from tests.harness.contract import Case

ODD = 'app."By ""At""; %s x"'


def make(db: psycopg.Connection) -> None:
    for statement in (
        "create schema app",
        "create table app.logs (id bigint primary key, at timestamptz, level int, msg text)",
        "insert into app.logs select n, now(), n % 3, 'row' from generate_series(1, 2000) n",
        f"create index {ODD.partition('.')[2]} on app.logs (at desc, level) include (msg) where level > 1",
        f"comment on index {ODD} is '100 % \"twice\"'",
        "alter table app.logs cluster on logs_pkey",
    ):
        db.execute(statement)
    with psycopg.connect(db.info.dsn, password=db.info.password) as writer:
        writer.execute("insert into app.logs values (0)")
        db.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            db.execute(f"reindex index concurrently {ODD}")
    db.execute("reset lock_timeout")
    db.execute("vacuum analyze app.logs")


CASE = Case(
    make=make,
    right="indexes: {}",
    wrong="",
    kinds=frozenset({"reindex_index", "drop_leftover_index"}),
    undone=frozenset(),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
    asked={"index": ["app.logs_pkey", ODD]},
    asked_wrong={"index": ["app.logs_pkey", ODD, "app.logs_pkez"]},
)
