"""An entry whose rows come from PostgreSQL; another that needs more memory than there is, a third that is no query."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.redis import Place

QUERY = "tests/integration/redis/cache_warming/rows.sql"


def make(place: Place) -> None:
    place.client.config_set("maxmemory", "100mb")
    place.client.set("row:foreign", "another writer's")


CASE = Case(
    make=make,
    right=f"""
warm:
  rows: {{from: source, query: {QUERY}, key: 'row:{{id}}', ttl: 1 hour, budget: 1 MiB}}
""",
    wrong=f"""
  large: {{from: source, query: {QUERY}, key: 'large:{{id}}', ttl: 1 hour, budget: 512 MiB}}
  other: {{from: source, query: README.md, key: 'other:{{id}}', ttl: 1 hour, budget: 1 MiB}}
""",
    kinds=frozenset({"warm_keys"}),
    undone=frozenset({"warm_keys"}),
    at=datetime.now(UTC),
    others="source: {engine: postgres, connection: source}",
)
