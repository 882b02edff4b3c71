"""Sessions with a TTL index and without, documents that retention should have removed, and measurements that expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.harness.contract import Case
from tests.harness.mongo import Place

NOW = datetime.now(UTC).replace(microsecond=0)


def make(place: Place) -> None:
    later = NOW + timedelta(days=1)
    for name in ("sessions", "tokens"):
        place.db[name].insert_many([{"expires_at": later, "n": n} for n in range(20)])
    place.db.sessions.create_index("expires_at", name="ttl", expireAfterSeconds=0)
    place.db.events.insert_many([{"at": NOW - timedelta(days=n)} for n in range(95)])
    place.db.events.create_index("at", name="at_idx")
    place.db.create_collection(
        "metrics", timeseries={"timeField": "at", "metaField": "meta"}, expireAfterSeconds=90 * 86_400
    )
    place.db.metrics.insert_many([{"at": NOW - timedelta(days=n), "meta": 1} for n in range(80)])


CASE = Case(
    make=make,
    right="""
collections:
  sessions: {ttl: {by: expires_at, after: 0 seconds}}
  metrics:
    timeseries: {time: at, meta: meta}
    retain: {for: 90 days, then: delete, requires: nothing}
""",
    wrong="""
  tokens: {ttl: {by: expires_at, after: 0 seconds}}
  events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
  nowhere: {ttl: {by: expires_at, after: 1 hour}}
""",
    kinds=frozenset(),
    undone=frozenset(),
    at=NOW,
)
