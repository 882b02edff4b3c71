"""A database with documents and measurements, and a backup that the ledger knows and nobody finds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tests.harness.copying import contract_case
from tests.harness.mongo import Place


def make(place: Place) -> None:
    place.db.orders.insert_many([{"_id": n, "note": None if n % 2 else "one"} for n in range(3)])
    place.db.orders.create_index("note")
    place.db.create_collection("metrics", timeseries={"timeField": "at", "metaField": "meta"})
    place.db.metrics.insert_one({"at": datetime(2026, 1, 1, tzinfo=UTC), "meta": 1, "value": 1.5})


CASE = replace(contract_case("mongo", make), since="6.0")
