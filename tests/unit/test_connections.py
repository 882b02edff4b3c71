"""Connection ids to addresses; a secret never shows."""

import json
import traceback
from pathlib import Path

import pytest

from tests.harness import addresses
from upkeep import connections
from upkeep.errors import ConfigurationError
from upkeep.model import ENGINES


def test_a_uri_with_percent_encoded_parts() -> None:
    address = connections.parse("c", "postgresql://us%40er:p%2Fw%3A@db.example:6432/my%20db?sslmode=require")
    assert (address.host, address.port, address.user, address.database) == ("db.example", 6432, "us@er", "my db")
    assert address.password == "p/w:"
    assert address.options == {"sslmode": "require"}
    assert "p/w:" not in repr(address)


def test_several_hosts_stay_together() -> None:
    address = connections.parse("c", "mongo://u:p@a:27017,b:27018/infra?replicaSet=rs0")
    assert (address.host, address.port) == ("a:27017,b:27018", None)


def test_airflows_json_form() -> None:
    text = json.dumps(
        {
            "conn_type": "tidb",
            "host": "h",
            "port": 4000,
            "login": "u",
            "password": "p",
            "schema": "d",
            "extra": {"ssl": True},
        }
    )
    address = connections.parse("c", text)
    assert (address.kind, address.host, address.port, address.database, address.options) == (
        "tidb",
        "h",
        4000,
        "d",
        {"ssl": "true"},
    )


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "postgres:/secret",
        "postgres://u:secret@h:nan/d",
        "postgres://u:secret",
        '{"host": "secret", "port": "x"}',
        '{"host": "h", "port": "secret"}',
    ],
)
def test_an_unreadable_connection_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connections.parse("c", text)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_the_environment_comes_first_then_the_local_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "connections.json"
    file.write_text(json.dumps({"c": "postgres://u@file/d"}))
    monkeypatch.setenv("UPKEEP_CONNECTIONS_FILE", str(file))
    monkeypatch.delenv("AIRFLOW_CONN_C", raising=False)
    assert connections.resolve("c").host == "file"
    monkeypatch.setenv("AIRFLOW_CONN_C", "postgres://u@env/d")
    assert connections.resolve("c").host == "env"


def test_an_undefined_connection_says_how_to_define_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPKEEP_CONNECTIONS_FILE", str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_NOWHERE="):
        connections.resolve("nowhere")


def test_a_connection_of_another_engine_is_refused() -> None:
    address = connections.parse("c", "redis://h:6379/0")
    with pytest.raises(ConfigurationError, match="engine is postgres"):
        connections.require_engine(address, "postgres")


@pytest.mark.parametrize(("text", "meant"), addresses.FORMS)
def test_every_form_of_an_address(text: str, meant: addresses.Meaning) -> None:
    address = connections.parse("c", text)
    assert addresses.meaning(address) == meant
    connections.require_engine(address, next(name for name, row in ENGINES.items() if address.kind in row.schemes))
    assert addresses.SECRET not in repr(address)


@pytest.mark.parametrize(("text", "says"), addresses.REFUSED)
def test_an_address_that_means_two_things_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connections.parse("c", text)
    assert says in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "sentinel", "redis+cluster"])
def test_what_is_not_followed_yet_is_refused_with_the_reason(scheme: str) -> None:
    address = connections.parse("c", f"{scheme}://a:26379/mymaster")
    with pytest.raises(ConfigurationError, match="primary"):
        connections.require_engine(address, "redis")


def test_places_for_people() -> None:
    assert connections.parse("c", "postgres:///d?host=a,[::1]:5433").place(5432) == "a:5432, [::1]:5433"
    assert connections.parse("c", "unix:///run/x.sock").place(6379) == "/run/x.sock"
