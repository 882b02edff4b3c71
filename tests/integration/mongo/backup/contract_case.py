"""A database with documents, and a backup that the ledger knows and nobody finds."""

from __future__ import annotations

from dataclasses import replace

from tests.harness.copying import contract_case
from tests.harness.mongo import Place


def make(place: Place) -> None:
    place.db.orders.insert_many([{"_id": n, "note": None if n % 2 else "one"} for n in range(3)])
    place.db.orders.create_index("note")


CASE = replace(contract_case("mongo", make), since="6.0")
