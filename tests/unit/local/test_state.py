"""Ports and secrets of the local stack."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.errors import LocalError
from local.process import free_port
from local.stack import state


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory() as made:
        monkeypatch.setenv("UPKEEP_STATE_DIR", made)
        yield Path(made)


def test_what_is_made_up_once_is_remembered() -> None:
    first = state.load_or_create()
    assert state.load_or_create() == first == state.State.load()
    assert len(set(first.ports.values())) == len(state.PORTS)
    assert len(set(first.secrets.values())) == len(state.SECRETS)


def test_only_the_owner_reads_it() -> None:
    state.load_or_create()
    assert stat.S_IMODE(state.state_file().stat().st_mode) == 0o600


def test_before_the_first_start() -> None:
    assert state.remembered() is None
    with pytest.raises(LocalError, match="make run"):
        state.State.load()


def test_a_damaged_file_says_what_to_do() -> None:
    state.state_file().write_text("{")
    with pytest.raises(LocalError, match="make clean"):
        state.State.load()


def test_a_foreign_listener_is_named_with_the_remedy() -> None:
    known = state.load_or_create()
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        known.ports["redis"] = foreign.getsockname()[1]
        with pytest.raises(LocalError, match=f"used for redis, is taken by process {os.getpid()}.*--new-ports"):
            state.check_ports(known, set())
        state.check_ports(known, {os.getpid()})


def test_free_ports_are_fine() -> None:
    state.check_ports(state.State({"redis": free_port()}, {}, ""), set())


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UPKEEP_STATE_DIR", str(tmp_path / "file" / "state"))
    with pytest.raises(LocalError, match="UPKEEP_STATE_DIR"):
        state.make_state_dir()


def test_a_path_too_long_for_sockets_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPKEEP_STATE_DIR", str(tmp_path / ("x" * 100)))
    with pytest.raises(LocalError, match="shorter"):
        state.make_state_dir()


def test_an_older_folder_that_others_could_read_is_closed(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "logs").mkdir(mode=0o755)
    for file in (folder / "stack.json", folder / "logs" / "scheduler.log"):
        file.touch(0o644)
    state.make_state_dir()
    assert stat.S_IMODE(folder.stat().st_mode) == (0o710 if os.geteuid() == 0 else 0o700)
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*")} == {
        "logs": 0o700,
        "stack.json": 0o600,
        "scheduler.log": 0o600,
    }


def test_ports_that_are_used_no_longer_are_forgotten() -> None:
    known = state.load_or_create()
    known.ports["trigger_logs"] = 1
    known.save()
    assert set(state.load_or_create().ports) == set(state.PORTS)
