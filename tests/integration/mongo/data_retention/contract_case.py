"""Documents that are deleted or moved, and measurements that the server expires, archived before or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.harness.contract import Case
from tests.harness.mongo import Place

NOW = datetime.now(UTC).replace(microsecond=0)


def make(place: Place) -> None:
    ages = [timedelta(days=n, hours=1) for n in range(95)]
    for name in ("events", "moved"):
        place.db[name].insert_many([{"at": NOW - age, "n": n} for n, age in enumerate(ages)])
        place.db[name].create_index("at", name="at_idx")
    for name, days in (("metrics", 80), ("kept_metrics", 95)):  # nothing that the server expires while a test looks
        place.db.create_collection(name, timeseries={"timeField": "at", "metaField": "meta"})
        measured = [{"at": NOW - age, "meta": {"asset": n % 3}, "v": n} for n, age in enumerate(ages[:days])]
        place.db[name].insert_many(measured)
    place.db.odd.insert_one({"at": "no date"})


CASE = Case(
    make=make,
    right="""
limits: {share: 100 %}
collections:
  events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
  moved: {retain: {by: at, for: 30 days, then: archive, into: moved_kept, requires: nothing}}
  metrics:
    timeseries: {time: at, meta: meta}
    retain: {for: 90 days, then: delete, requires: nothing}
  kept_metrics:
    timeseries: {time: at, meta: meta}
    retain: {for: 90 days, then: archive, into: metrics_archive, requires: nothing}
""",
    wrong="""
  odd: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
  nowhere: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}
""",
    kinds=frozenset({"delete_rows", "archive_rows", "create_archive", "archive_measurements", "set_expiry"}),
    undone=frozenset({"create_archive", "set_expiry"}),
    at=NOW,
    # The server expires by its own clock: what an approval covers is what it would expire at once at that moment.
    by_clock=frozenset({"set_expiry"}),
    since="6.0",
)
