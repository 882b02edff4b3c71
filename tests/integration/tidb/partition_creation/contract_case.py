"""Months ahead, and INTERVAL partitions day by day."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.tidb import Db


def make(db: Db) -> None:
    db.run(
        "create table logs (id bigint not null, at datetime, msg text, key (at)) comment 'what happened' "
        "partition by range columns (at) "
        "(partition p0 values less than ('2024-05-01'), partition p1 values less than ('2024-06-01'))"
    )
    db.run("insert into logs values (1, '2024-04-10', 'x'), (2, '2024-05-10', 'y'), (3, null, 'z')")
    db.run(
        "create table days (id bigint not null, at date not null) partition by range columns (at) interval (1 day) "
        "first partition less than ('2024-06-10') last partition less than ('2024-06-16')"
    )
    db.run("create table odd (id bigint not null, at datetime) partition by hash (id) partitions 2")


CASE = Case(
    make=make,
    right="""
tables:
  logs: {partition: {by: at, every: 1 month, ahead: 2}}
  days: {partition: {by: at, every: 1 day, ahead: 3}}
""",
    wrong="""
  odd: {partition: {by: at, every: 1 month, ahead: 1}}
  nowhere: {partition: {by: at, every: 1 month, ahead: 1}}
""",
    kinds=frozenset({"create_partition"}),
    undone=frozenset({"create_partition"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
)
