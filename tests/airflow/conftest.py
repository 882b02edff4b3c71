# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
"""Airflow on SQLite, in the test's own process; the targets and the ledger on the real PostgreSQL server.

The environment is set before Airflow is imported for the first time: this file is read first, and no other
test imports Airflow at its top.
"""

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from upkeep import settings
from upkeep.connections import CONTROL, parse
from upkeep.ledger import Ledger

if TYPE_CHECKING:
    from airflow.sdk import DAG

CHECKOUT = Path(__file__).resolve().parents[2]
_SETTINGS = {
    "CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
    "CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__UNIT_TEST_MODE": "False",
    "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer,nobody:user",
    "API_AUTH__JWT_SECRET": "a secret of thirty-two bytes or more for the tests alone, made up here",
    "API__SECRET_KEY": "another made-up secret",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
    "LOGGING__LOGGING_LEVEL": "WARNING",
}


@pytest.fixture(scope="session")
def airflow_home() -> Iterator[Path]:
    """An Airflow home with an initialised SQLite metadata database; Airflow may be imported after this."""
    assert "airflow.settings" not in sys.modules, "something imported Airflow before its settings were there"
    home = Path(tempfile.mkdtemp(prefix="upkeep-airflow-"))
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home / 'airflow.db'}"
    os.environ |= {f"AIRFLOW__{key}": value for key, value in _SETTINGS.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.utils.db import initdb

        initdb()
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def dags(airflow_home: Path) -> dict[str, "DAG"]:
    """The DAGs of the checkout, stored in the metadata database as the DAG processor does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(CHECKOUT / "dags", bundle_name="dags-folder")
        assert not bag.import_errors, bag.import_errors
        sync_bag_to_db(bag, "dags-folder", None)
    return dict(bag.dags)


@pytest.fixture(scope="session")
def client(airflow_home: Path) -> Iterator[Any]:
    """Airflow's own API server application, with the plugin's pages in it."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with TestClient(create_app()) as opened:
            yield opened


@pytest.fixture(scope="session")
def tokens(client: Any) -> dict[str, str]:
    """A token of an admin, of a viewer, of somebody who may see nothing, and one that has expired."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def made(role: str | None, seconds: int = 3600) -> str:
        user = SimpleAuthManagerUser(username=role or "nobody", role=role)
        return str(get_auth_manager().generate_jwt(user, expiration_time_in_seconds=seconds))

    return {"admin": made("admin"), "viewer": made("viewer"), "nobody": made(None), "expired": made("viewer", -60)}


@pytest.fixture
def fleet(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write a fleet file over the test's database; the ledger is there and empty."""
    monkeypatch.setenv("UPKEEP_HOME", str(CHECKOUT))
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    monkeypatch.setenv("AIRFLOW_CONN_GOOD", database)
    nowhere = urlsplit(database)._replace(netloc="nobody@127.0.0.1:1").geturl()
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", nowhere)
    Ledger.open(parse(CONTROL, control_database), migrate=True).close()
    path = tmp_path / "fleet.yaml"
    monkeypatch.setenv("UPKEEP_FLEET", str(path))

    def write(text: str) -> Path:
        path.write_text(text)
        assert settings.fleet_file() == path
        return path

    return write


@pytest.fixture
def ledger(fleet: object, control_database: str) -> Iterator[Any]:
    """The ledger, open."""
    opened = Ledger.open(parse(CONTROL, control_database), migrate=False)
    yield opened
    opened.close()
