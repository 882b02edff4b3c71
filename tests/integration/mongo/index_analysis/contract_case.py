"""An index that is there twice, once from each end; a wider one; a name that the fleet file keeps in vain."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.mongo import Place


def make(place: Place) -> None:
    place.db["app.events"].insert_many([{"a": n, "b": -n} for n in range(5)])
    place.db["app.events"].create_index([("a", 1), ("b.c", -1)], name="up")
    place.db["app.events"].create_index([("a", -1), ("b.c", 1)], name='do"wn; x')
    place.db["app.events"].create_index([("a", 1)], name="narrow")


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
