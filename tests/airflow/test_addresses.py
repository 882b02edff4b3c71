"""A connection means the same through Airflow as outside it; one that only a secrets backend knows stays secret."""

# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
from pathlib import Path

import pytest

from tests.harness.addresses import FORMS, meaning

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's own


def test_every_form_means_the_same_through_airflow(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from upkeep.airflow import addresses
    from upkeep.web import airflow_data

    for text, meant in FORMS:
        monkeypatch.setenv("AIRFLOW_CONN_FORM", text)
        for found in (addresses.resolve("form"), airflow_data.address("form")):
            assert meaning(found) == meant, text
