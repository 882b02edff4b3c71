"""A server in use: one of its roles may connect as often as it does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.harness.contract import Case


def make(db: Any) -> None:
    db.execute("create table carts (id int generated always as identity primary key)")


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
