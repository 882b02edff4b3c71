"""An index that is there twice, with a comment; a wider one; a name that the fleet file keeps in vain."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from tests.harness.contract import Case


def make(db: psycopg.Connection) -> None:
    for statement in (
        "create schema app",
        "create table app.logs (id bigint primary key, at timestamptz, level int, msg text)",
        "create index by_at on app.logs (at desc, level) include (msg) with (fillfactor = 70) where level > 1",
        'create index "By ""At""; x" on app.logs (at desc, level) include (msg) with (fillfactor = 70) where level > 1',
        """comment on index app."By ""At""; x" is '100 % "twice"'""",
        "create index by_level on app.logs (level)",
        "create index by_level_and_at on app.logs (level, at)",
    ):
        db.execute(statement)


CASE = Case(
    make=make,
    right="""
indexes:
  drop_duplicates: approval
""",
    wrong="""
  keep: [app.nothing_like_it]
""",
    kinds=frozenset({"drop_index"}),
    undone=frozenset({"drop_index"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
)
