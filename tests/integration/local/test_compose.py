"""docker-compose.yaml: valid for Compose's own loader, and the same stack as the local one.

There is no container engine in this test: the loader is the Go library that Compose itself is built on.
"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from local.errors import LocalError
from local.obtain.golang import go_program
from local.stack import airflow_env
from local.stack.servers import stack_servers
from local.stack.state import PORTS, SECRETS, State
from upkeep import settings

LOADER = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
FILE = settings.checkout() / "docker-compose.yaml"


@pytest.mark.slow
def test_compose_accepts_it(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_text(FILE.read_text())
    try:
        go = go_program()
    except LocalError as error:
        pytest.skip(str(error))
    command = [go, "run", LOADER, "-no-interpolation", FILE.name]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_it_has_the_programs_of_the_local_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPKEEP_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("UPKEEP_TIDB_URI", raising=False)
    monkeypatch.setattr("local.servers.base.owned_directory", lambda path: path)
    servers = stack_servers(State(dict.fromkeys(PORTS, 1), dict.fromkeys(SECRETS, "x"), ""))
    services = set(yaml.safe_load(FILE.read_text())["services"])
    assert services == {*servers, *airflow_env.PROGRAMS, "airflow-init"}


def test_it_has_the_connections_of_airflow_settings() -> None:
    environment = yaml.safe_load(FILE.read_text())["x-airflow"]["environment"]
    ours = yaml.safe_load((settings.checkout() / "airflow_settings.yaml").read_text())["airflow"]["connections"]
    theirs = {key.removeprefix("AIRFLOW_CONN_").lower() for key in environment if key.startswith("AIRFLOW_CONN_")}
    assert theirs == {entry["conn_id"] for entry in ours}


def test_every_variable_is_explained_at_the_top() -> None:
    text = FILE.read_text()
    head = text.partition("\nname:")[0]
    variables = {found[1] for found in re.finditer(r"\$\{([A-Z_]+)", text)} | {"WEB_PASSWORDS"}
    assert [name for name in sorted(variables) if name not in head] == []


def test_nothing_listens_beyond_this_machine() -> None:
    services = yaml.safe_load(FILE.read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
