"""A connection means the same through Airflow as outside it; one that only a secrets backend knows stays secret."""

# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.harness.addresses import FORMS, meaning
from tests.harness.dag_runs import READINGS, execute, run
from upkeep import connections
from upkeep.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's own


def test_every_form_means_the_same_through_airflow(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from upkeep.airflow import addresses
    from upkeep.web import airflow_data

    for text, meant in FORMS:
        monkeypatch.setenv("AIRFLOW_CONN_FORM", text)
        for found in (addresses.resolve("form"), airflow_data.address("form")):
            assert meaning(found) == meant, text


FLEET = """
version: 1
targets:
  good:
    engine: postgres
    connection: of_the_vault
    tables:
      public.readings:
        partition: {by: at, every: 1 month, ahead: 1}
"""


def test_what_only_a_secrets_backend_knows_works_and_stays_secret(  # noqa: PLR0917 - fixtures
    fleet: Callable[..., Path],
    ledger: Any,
    dags: "dict[str, DAG]",
    database: str,
    control_database: str,
    tmp_path: Path,
    airflow_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    vault = tmp_path / "vault.json"
    vault.write_text(json.dumps({"of_the_vault": database}))
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"connections_file_path": str(vault)}))
    with pytest.raises(ConfigurationError):
        connections.resolve("of_the_vault")
    execute(database, READINGS)
    fleet(FLEET)

    finished = run(dags["partition_creation"])

    secret = unquote(urlsplit(database).password or "")
    assert len(secret) > 10
    assert str(finished.state) == "success"
    counted = "select count(*) from pg_inherits where inhparent = 'public.readings'::regclass"
    assert execute(database, counted)[0][0] > 0
    printed = "".join(capfd.readouterr()) + caplog.text
    assert secret not in printed
    logs = [path for path in airflow_home.rglob("*.log") if path.is_file()]
    assert not [path for path in logs if secret in path.read_text(errors="replace")]
    tables = execute(
        control_database,
        "select oid::regclass::text from pg_class where relkind = 'r' and relnamespace = 'upkeep'::regnamespace",
    )
    for (table,) in tables:
        assert secret not in str(execute(control_database, f"select t::text from {table} t")), table
