"""The one place that opens a connection to TiDB, with the settings that everything else relies on."""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final, TypeAlias

import pymysql
from pymysql.constants import CR
from pymysql.cursors import Cursor, DictCursor

from upkeep import tls
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.tidb import protection

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


def connect(address: Address, *, application: str = "upkeep", as_dict: bool = False) -> Connection:
    """Connect with autocommit, UTF-8, time-outs and TLS as the connection's extras say.

    Raises
    ------
    ConfigurationError
        A connection option is wrong.
    pymysql.MySQLError, OSError
        The server does not answer, or refuses the login.
    """
    connection = pymysql.connect(
        host=address.host or "127.0.0.1",
        unix_socket=address.host if address.local else None,
        defer_connect=address.local,
        port=address.port or DEFAULT_PORT,
        user=address.user or "root",
        password=address.password.encode(),  # of a text the driver takes the bytes of Latin-1, and fails beyond it
        database=address.database or None,
        charset="utf8mb4",
        autocommit=True,
        cursorclass=DictCursor if as_dict else Cursor,
        program_name=application[:63],
        **_options(address),
    )
    if address.local:
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
    how = protection.wanted(address)
    options: dict[str, Any] = {} if how is True else {"ssl": how.context()} if how else {"ssl_disabled": True}
    for key, default in _TIMEOUTS.items():
        text = address.options.get(key, str(default))
        if not text.isdigit() or int(text) < 1:
            raise ConfigurationError(f"connection '{address.connection_id}': {key} is {text!r}; write whole seconds")
        options[key] = int(text)
    return options


def protection_of(connection: Connection, address: Address) -> str:
    """Return how an open connection is protected, in words."""
    how = protection.wanted(address)
    if address.local:
        return tls.SOCKET
    if not isinstance(getattr(connection, "_sock", None), ssl.SSLSocket):
        return tls.PLAIN
    return how.protection if isinstance(how, tls.Tls) else tls.protection(certificate=False, name=False)


def certificate_of(connection: Connection) -> str | None:
    """Return the server's certificate as text (PEM); ``None``: the connection is not encrypted."""
    found = getattr(connection, "_sock", None)
    shown = found.getpeercert(binary_form=True) if isinstance(found, ssl.SSLSocket) else None
    return ssl.DER_cert_to_PEM_cert(shown) if shown else None
