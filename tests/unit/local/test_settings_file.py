"""airflow_settings.yaml: placeholders, URIs, and that the fleet's connections are in it."""

import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from local.errors import LocalError
from local.stack import settings_file, state
from upkeep import connections, settings

STATE = state.State(
    ports={name: 5000 + number for number, name in enumerate(state.PORTS)},
    secrets=dict.fromkeys(state.SECRETS, "s:e/c@r t$X"),
    fernet="",
)


def content() -> settings_file.AirflowSettings:
    return settings_file.read(settings_file.settings_file(), settings_file.placeholders(STATE))


def test_every_connection_of_the_sample_fleet_is_configured() -> None:
    fleet = yaml.safe_load((settings.include_dir() / "fleet.yaml").read_text())
    wanted = {target["connection"] for target in fleet["targets"].values()} | {connections.CONTROL}
    assert wanted <= {entry["conn_id"] for entry in content().connections}


def test_the_file_itself_holds_no_secret_and_no_port() -> None:
    document = yaml.safe_load(settings_file.settings_file().read_text())
    for entry in document["airflow"]["connections"]:
        assert str(entry["conn_password"]).startswith("${")
        assert str(entry["conn_port"]).startswith("${")


@pytest.mark.parametrize("entry", content().connections, ids=lambda entry: entry["conn_id"])
def test_any_password_survives_the_uri(entry: dict[str, str]) -> None:
    parts = urlsplit(settings_file.uri(entry))
    assert unquote(parts.password or "") == STATE.secrets["redis"]
    assert parts.port is not None


def test_the_command_line_reads_what_we_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPKEEP_CONNECTIONS_FILE", str(tmp_path / "connections.json"))
    path = settings_file.write_connections(content())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    address = connections.resolve("infrastructure_mongo")
    assert (address.password, address.database) == (STATE.secrets["mongo"], "infrastructure")
    assert address.options == {"authSource": "admin", "replicaSet": "upkeep"}


def test_an_unknown_placeholder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "airflow_settings.yaml"
    path.write_text("airflow: {variables: [{variable_name: a, variable_value: '${NOBODY}'}]}")
    with pytest.raises(LocalError, match="NOBODY"):
        settings_file.read(path, {})


def test_a_named_tidb_takes_the_place_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPKEEP_TIDB_URI", "tidb://app%40x:p%2F@db.example.com:4001/orders")
    entry = next(entry for entry in content().connections if entry["conn_id"] == "orders_tidb")
    assert settings_file.uri(entry) == "tidb://app%40x:p%2F@db.example.com:4001/orders"
