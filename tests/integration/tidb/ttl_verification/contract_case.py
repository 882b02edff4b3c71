"""Carts that expire as declared, some that do not, and rows that retention should have removed."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.tidb import Db


def make(db: Db) -> None:
    db.run("set time_zone = '+00:00'")
    for name, ttl in (("carts", "ttl = at + interval 30 day"), ("bare", ""), ("kept", "")):
        db.run(f"create table {name} (id bigint primary key, at datetime not null, key (at)) {ttl}")
        rows = ", ".join(f"({n}, now() - interval {n} day)" for n in range(60 if name == "kept" else 20))
        db.run(f"insert into {name} values {rows}")


CASE = Case(
    make=make,
    right="""
tables:
  carts: {ttl: {by: at, after: 30 days}}
""",
    wrong="""
  bare: {ttl: {by: at, after: 30 days}}
  kept: {retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}}
  nowhere: {ttl: {by: at, after: 30 days}}
""",
    kinds=frozenset(),
    undone=frozenset(),
    at=datetime.now(UTC),
)
