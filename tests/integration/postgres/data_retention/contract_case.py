"""Partitions that are kept for a while, go at once or are archived; rows that are deleted or moved."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from tests.harness.contract import Case

LOGS = "(id bigint not null, at timestamptz not null, msg text, primary key (id, at)) partition by range (at)"
PLAIN = "(id bigint primary key, at timestamptz not null, msg text)"


def make(db: psycopg.Connection) -> None:
    db.execute("create schema app")
    for table in ("logs", "brief", "whole"):
        db.execute(f"create table app.{table} {LOGS}")
        for month in range(4, 8):
            db.execute(
                f"create table app.{table}_{month} partition of app.{table} "
                f"for values from ('2024-{month:02}-01+00') to ('2024-{month + 1:02}-01+00')"
            )
    for table in ("rows", "moved", "moved_kept", "whole_kept", "odd"):
        db.execute(f"create table app.{table} {PLAIN}")
        db.execute(f"create index on app.{table} (at)")
    for table in ("logs", "brief", "whole", "rows", "moved"):
        db.execute(
            f"insert into app.{table} select n, timestamptz '2024-04-01 12:00+00' + n * interval '1 day', 'row ' || n "
            "from generate_series(0, 89) n"
        )
    db.execute("comment on table app.logs is 'what happened'")
    db.execute("analyze")


CASE = Case(
    make=make,
    right="""
limits: {share: 100 %}
tables:
  app.logs: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
  app.brief: {retain: {by: at, for: 30 days, then: delete, grace: 0, requires: nothing}}
  app.whole: {retain: {by: at, for: 30 days, then: archive, into: app.whole_kept, grace: 0, requires: nothing}}
  app.rows: {retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}}
  app.moved: {retain: {by: at, for: 30 days, then: archive, into: app.moved_kept, precision: row, requires: nothing}}
""",
    wrong="""
  app.odd: {retain: {by: gone, for: 30 days, then: delete, precision: row, requires: nothing}}
  app.nowhere: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
""",
    kinds=frozenset(
        {"detach_partition", "drop_partition", "archive_partition", "delete_rows", "archive_rows", "analyze"}
    ),
    undone=frozenset({"detach_partition"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
    # PostgreSQL gives a table that it detaches concurrently a CHECK of its bounds, which it keeps when it is put back.
    left=r",\n    CONSTRAINT \w+_at_check CHECK \(\(\(at IS NOT NULL\) .*(?=\n\))",
)
