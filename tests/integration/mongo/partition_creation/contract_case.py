"""Collections and indexes that are missing, and differences that are corrected."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness.contract import Case
from tests.harness.mongo import Place


def make(place: Place) -> None:
    place.db.create_collection("metrics", timeseries={"timeField": "at", "metaField": "meta"})
    place.db.metrics.insert_one({"at": datetime(2024, 6, 1, tzinfo=UTC), "meta": {"asset": 1}, "value": 1.5})
    place.db.assets.insert_many([{"hostname": "a", "parent": 1}, {"hostname": "b"}])
    place.db.create_collection("plain")
    place.db.assets.create_index("parent", name="by_parent", sparse=True, hidden=True)


CASE = Case(
    make=make,
    right="""
collections:
  metrics:
    timeseries: {time: at, meta: meta, granularity: minutes}
    corrections: apply
  events:
    indexes: [{keys: {at: 1}, name: at_idx}]
  assets:
    validator: include/mongo/assets.validator.json
    corrections: apply
    indexes:
      - {keys: {hostname: 1}, name: by_host}
      - {keys: {parent: 1}, name: by_parent, sparse: true}
""",
    wrong="""
  plain: {timeseries: {time: at}}
  'nothing_*': {indexes: [{keys: {at: 1}, name: at_idx}]}
""",
    kinds=frozenset({"create_collection", "create_index", "raise_granularity", "modify_validator", "unhide_index"}),
    undone=frozenset({"create_collection", "create_index", "modify_validator", "unhide_index"}),
    at=datetime(2024, 6, 15, 12, tzinfo=UTC),
    # The server cannot forget that there was a validator: what it then says of level and action are its defaults.
    left='"validationLevel": "strict", "validationAction": "error"',
)
