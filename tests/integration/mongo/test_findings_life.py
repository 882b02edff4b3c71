"""What a run on MongoDB puts right is no warning any more; what stands does so since it was first seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers import MongoServer
from tests.harness.command_line import Upkeep
from tests.harness.mongo import Place, fresh_place

FLEET = """\
version: 1
targets:
  shop:
    engine: mongo
    connection: shop_db
    collections:
      events: {indexes: [{keys: {at: 1}, name: at_idx}], corrections: CORRECTIONS}
"""


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made


def test_a_hidden_index(place: Place, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", place.uri)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    upkeep = Upkeep(tmp_path / "fleet.yaml", FLEET.replace("CORRECTIONS", "report"))
    place.db.events.create_index("at", name="at_idx", hidden=True)

    def hidden() -> list[str]:
        target = upkeep.target("run", "partition_creation")
        return [f["state"] for f in target["findings"] if f["check"] == "hidden_index"]

    assert (hidden(), hidden()) == (["new"], ["standing"])
    upkeep.text = FLEET.replace("CORRECTIONS", "apply")
    assert hidden() == ["mended"]
    assert hidden() == []
