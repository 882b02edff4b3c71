"""A table whose partitions end long before what is declared, and one that is declared and not divided at all."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.tidb import Db


def make(db: Db) -> None:
    db.run(
        "create table logs (id bigint not null, at datetime, key (at)) partition by range columns (at) "
        "(partition p0 values less than ('2024-05-01'), partition p1 values less than ('2024-06-01'))"
    )
    db.run("insert into logs values (1, '2024-04-10'), (2, '2024-05-10')")
    db.run("create table plain (id int primary key, at datetime)")


CASE = Case(
    make=make,
    right="""
health: {thresholds: {connections_used: {warning: 70 %}}}
tables:
  logs: {partition: {by: at, every: 1 month, ahead: 3}}
""",
    wrong="""
  plain: {partition: {by: at, every: 1 month, ahead: 3}}
""",
    kinds=frozenset(),
    undone=frozenset(),
    at=datetime.now(UTC),
)
