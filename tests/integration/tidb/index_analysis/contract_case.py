"""An index that is there twice; a wider one; a name that the fleet file keeps in vain."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.tidb import Db


def make(db: Db) -> None:
    db.run(
        "create table logs (id bigint primary key, at datetime, level int, msg varchar(100), key by_at (at, msg(5)), "
        "key `by ``at``; x` (at, msg(5)), key by_level (level), key by_level_and_at (level, at))"
    )


CASE = Case(
    make=make,
    right="""
indexes:
  drop_duplicates: approval
""",
    wrong="""
  keep: [nothing_like_it]
""",
    kinds=frozenset({"hide_index"}),
    undone=frozenset({"hide_index"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
)
