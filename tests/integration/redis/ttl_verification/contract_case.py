"""Sessions that expire, one that does not, and one that lives too long."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.redis import Place


def make(place: Place) -> None:
    for number in range(20):
        place.client.set(f"session:{number}", "x", ex=3600)
    place.client.set("token:1", "x", ex=10 * 86_400)
    place.client.set("token:2", "x")


CASE = Case(
    make=make,
    right="""
keys:
  'session:*': {ttl: {at_most: 1 day}}
""",
    wrong="""
  'token:*': {ttl: {at_most: 1 day}}
""",
    kinds=frozenset(),
    undone=frozenset(),
    at=datetime.now(UTC),
)
