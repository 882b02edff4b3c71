"""A server with keys in two databases, and a backup that the ledger knows and nobody finds."""

from __future__ import annotations

from tests.harness.copying import contract_case
from tests.harness.redis import Place


def make(place: Place) -> None:
    place.fill("alerts:1")
    place.client.set("soon", "x", ex=3600)
    place.client.config_set("repl-diskless-sync-delay", 0)


CASE = contract_case("redis", make)
