"""Partitions that are kept for a while, go at once or are archived; rows that are deleted or moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.harness.contract import Case
from tests.harness.tidb import Db

FIRST = datetime(2024, 3, 1, 12)  # noqa: DTZ001 - a column without a zone
PARTS = ", ".join(f"partition p{month} values less than ('2024-{month + 1:02}-01')" for month in range(3, 8))


def make(db: Db) -> None:
    rows = [(n, FIRST + timedelta(days=n), f"row {n}") for n in range(120)]
    columns = "id bigint not null, at datetime not null, msg varchar(20), key (at)"
    db.run(f"create table whole_kept ({columns})")
    for table in ("logs", "brief", "whole"):
        db.run(f"create table {table} ({columns}) partition by range columns (at) ({PARTS})")
    for table in ("plain", "moved", "moved_kept", "odd"):
        db.run(f"create table {table} ({columns.replace('not null', 'not null primary key', 1)})")
    for table in ("logs", "brief", "whole", "plain", "moved"):
        db.many(f"insert into {table} values (%s, %s, %s)", rows)


CASE = Case(
    make=make,
    right="""
limits: {share: 100 %}
tables:
  logs: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
  brief: {retain: {by: at, for: 30 days, then: delete, grace: 0 days, requires: nothing}}
  whole: {retain: {by: at, for: 30 days, then: archive, into: whole_kept, requires: nothing}}
  plain: {retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}}
  moved: {retain: {by: at, for: 30 days, then: archive, into: moved_kept, precision: row, requires: nothing}}
""",
    wrong="""
  odd: {retain: {by: gone, for: 30 days, then: delete, precision: row, requires: nothing}}
  nowhere: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
""",
    kinds=frozenset(
        {"detach_partition", "drop_partition", "archive_partition", "merge_partitions", "delete_rows", "archive_rows"}
    ),
    undone=frozenset({"detach_partition"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
    # A partition comes back under another name, which says so: TiDB renames none.
    left=r"(?<=PARTITION )`\w+`",
)
