"""A server in use, with a threshold that it is above of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.harness.contract import Case


def make(place: Any) -> None:
    place.db.events.insert_one({"_id": 1})


CASE = Case(
    make=make,
    right="""
health: {thresholds: {connections_used: {warning: 70 %}}}
""",
    wrong="",
    kinds=frozenset(),
    undone=frozenset(),
    at=datetime.now(UTC),
)
