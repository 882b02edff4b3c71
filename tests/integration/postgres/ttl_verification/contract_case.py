"""Rows and partitions that retention has removed, and some that it should have removed and did not."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from tests.harness.contract import Case


def make(db: psycopg.Connection) -> None:
    db.execute("create schema app")
    for name, days in (("rows", 20), ("kept", 60), ("odd", 5)):
        db.execute(f"create table app.{name} (id bigint primary key, at timestamptz not null)")
        db.execute(f"create index on app.{name} (at)")
        db.execute(f"insert into app.{name} select n, now() - n * interval '1 day' from generate_series(1, {days}) n")
    db.execute("analyze")


CASE = Case(
    make=make,
    right="""
tables:
  app.rows: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
""",
    wrong="""
  app.kept: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
  app.odd: {retain: {by: gone, for: 30 days, then: delete, requires: nothing}}
  app.nowhere: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
""",
    kinds=frozenset(),
    undone=frozenset(),
    at=datetime.now(UTC),
)
