"""The one place that opens a connection to TiDB, with the settings that everything else relies on."""

from __future__ import annotations

import socket
from typing import Any, Final, TypeAlias

import pymysql
from pymysql.constants import CR
from pymysql.cursors import Cursor, DictCursor

from upkeep.engines import Address
from upkeep.errors import ConfigurationError

Connection: TypeAlias = "pymysql.connections.Connection[Any]"

DEFAULT_PORT: Final = 4000
CONNECT_TIMEOUT_SECONDS: Final = 10
READ_TIMEOUT_SECONDS: Final = 660
"""Above the server's own limit of ten minutes for one statement: a server that is silent for longer is gone."""
WRITE_TIMEOUT_SECONDS: Final = 60
_TIMEOUTS: Final = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "read_timeout": READ_TIMEOUT_SECONDS,
    "write_timeout": WRITE_TIMEOUT_SECONDS,
}
_TLS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password")
_TLS_FLAGS: Final = ("ssl_verify_cert", "ssl_verify_identity", "ssl_disabled")
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")


def connect(address: Address, *, application: str = "upkeep", as_dict: bool = False) -> Connection:
    """Connect with autocommit, UTF-8, time-outs and TLS as the connection's extras say.

    Raises
    ------
    ConfigurationError
        A connection option is wrong.
    pymysql.MySQLError, OSError
        The server does not answer, or refuses the login.
    """
    local = address.host.startswith("/")
    connection = pymysql.connect(
        host=address.host or "127.0.0.1",
        unix_socket=address.host if local else None,
        defer_connect=local,
        port=address.port or DEFAULT_PORT,
        user=address.user or "root",
        password=address.password,
        database=address.database or None,
        charset="utf8mb4",
        autocommit=True,
        cursorclass=DictCursor if as_dict else Cursor,
        program_name=application[:63],
        **_options(address),
    )
    if local:
        connection.connect(_dialled(address.host))
    return connection


def _dialled(path: str) -> socket.socket:
    """Return an open socket; the driver itself would leave one behind where nobody answers."""
    found = socket.socket(socket.AF_UNIX)
    try:
        found.settimeout(CONNECT_TIMEOUT_SECONDS)
        found.connect(path)
    except OSError as error:
        found.close()
        raise pymysql.OperationalError(CR.CR_CONNECTION_ERROR, f"Can't connect to {path} ({error.strerror})") from error
    return found


def _options(address: Address) -> dict[str, Any]:
    options: dict[str, Any] = {k: address.options[k] for k in _TLS if address.options.get(k)}
    for key in _TLS_FLAGS:
        if key in address.options:
            options[key] = _flag(address, key)
    for key, default in _TIMEOUTS.items():
        text = address.options.get(key, str(default))
        if not text.isdigit() or int(text) < 1:
            raise ConfigurationError(f"connection '{address.connection_id}': {key} is {text!r}; write whole seconds")
        options[key] = int(text)
    return options


def _flag(address: Address, key: str) -> bool:
    text = address.options[key].strip('"').lower()
    if text not in _TRUE + _FALSE:
        raise ConfigurationError(f"connection '{address.connection_id}': {key} is {text!r}; write true or false")
    return text in _TRUE
