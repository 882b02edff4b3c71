"""Streams with due entries, one of them half read by a consumer group."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.redis import Place


def make(place: Place) -> None:
    place.fill("alerts:1")
    place.fill("alerts:2")
    place.client.xgroup_create("alerts:2", "readers", id="0")
    read = place.client.xreadgroup("readers", "one", {"alerts:2": ">"}, count=10)
    place.client.xack("alerts:2", "readers", *(entry for entry, _ in read[0][1]))
    place.client.set("alerts:text", "no stream")


CASE = Case(
    make=make,
    right="""
limits: {share: 100 %}
streams:
  'alerts:*': {retain: {for: 30 days, then: delete, requires: nothing}}
""",
    wrong="""
  'alerts:text': {retain: {for: 30 days, then: delete, requires: nothing}}
  nowhere: {retain: {for: 30 days, then: delete, requires: nothing}}
""",
    kinds=frozenset({"delete_entries"}),
    undone=frozenset(),
    at=datetime.now(UTC),
)
