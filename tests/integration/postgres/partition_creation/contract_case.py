"""Months ahead, rows in a default partition, list and hash partitions, a plain table to be converted."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

from tests.harness.contract import Case

LOGS = "(id bigint not null, at timestamptz not null, msg text, primary key (id, at)) partition by range (at)"
MAY = "for values from ('2024-05-01+00') to ('2024-06-01+00')"


def make(db: psycopg.Connection) -> None:
    for statement in (
        "create schema app",
        f"create table app.logs {LOGS}",
        f"create table app.logs_may partition of app.logs {MAY}",
        "create index on app.logs (msg)",
        "comment on table app.logs is 'what happened'",
        "insert into app.logs select n, '2024-05-10+00', 'x' from generate_series(1, 20) n",
        f"create table app.events {LOGS}",
        f"create table app.events_may partition of app.events {MAY}",
        "create table app.events_default partition of app.events default",
        "insert into app.events select n, '2024-06-10+00', 'x' from generate_series(1, 20) n",
        "create table app.alerts (region text not null, server int not null) partition by list (region)",
        "create table app.alerts_eu partition of app.alerts for values in ('eu')",
        "create table app.shards (id int not null) partition by hash (id)",
        "create table app.shards_0 partition of app.shards for values with (modulus 2, remainder 0)",
        "create table app.plain (id bigint not null, at timestamptz not null, primary key (id, at))",
        "insert into app.plain select n, '2024-06-10+00' from generate_series(1, 20) n",
        "create table app.odd (id int not null, at timestamptz not null) partition by range (id)",
        "analyze",
    ):
        db.execute(statement)


CASE = Case(
    make=make,
    right="""
tables:
  app.logs: {partition: {by: at, every: 1 month, ahead: 2}}
  app.events: {partition: {by: at, every: 1 month, ahead: 1}}
  app.alerts: {partition: {by: region, list: {eu: [eu], us: [us]}}}
  app.shards: {partition: {by: id, modulus: 2}}
  app.plain: {partition: {by: at, every: 1 month, ahead: 1}}
""",
    wrong="""
  app.odd: {partition: {by: at, every: 1 month, ahead: 1}}
  app.nowhere: {partition: {by: at, every: 1 month, ahead: 1}}
""",
    kinds=frozenset({"create_partition", "convert_table"}),
    undone=frozenset({"create_partition", "convert_table"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
)
