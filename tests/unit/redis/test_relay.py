"""The way to an encrypted server for a tool: what goes wrong on it is said in words."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from upkeep.connections import parse
from upkeep.engines import Address
from upkeep.errors import NotAvailableError
from upkeep.jobs.errors import ConnectionLostError
from upkeep.redis.backup import relay
from upkeep.tls import Tls

LONGEST = 108
"""So many bytes the path of a socket may have on Linux."""


@pytest.fixture
def silent() -> Iterator[Address]:
    """One who takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield parse("c", f"rediss://127.0.0.1:{server.getsockname()[1]}/0")


def test_a_server_that_says_nothing_is_told_with_the_reason(silent: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "CONNECT_SECONDS", 0.1)
    with pytest.raises(ConnectionLostError, match="timed out"), relay.relay(silent, Tls()):
        pass


def test_a_folder_too_deep_for_a_socket_is_told(
    silent: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * LONGEST)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    trusted: Any = SimpleNamespace(context=lambda: SimpleNamespace(wrap_socket=lambda plain, **_: plain))
    with pytest.raises(NotAvailableError, match="set TMPDIR to a shorter path"), relay.relay(silent, trusted):
        pass
    assert not list(deep.iterdir())
