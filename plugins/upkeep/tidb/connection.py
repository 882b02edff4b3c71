"""The one place that opens a connection to TiDB, with the settings that everything else relies on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pymysql

if TYPE_CHECKING:
    from upkeep.jobs import Address

DEFAULT_PORT: Final = 4000
CONNECT_TIMEOUT_SECONDS: Final = 10
_TLS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password")
_TLS_FLAGS: Final = ("ssl_verify_cert", "ssl_verify_identity", "ssl_disabled")


def connect(address: Address) -> pymysql.connections.Connection[Any]:
    """Connect with autocommit, UTF-8 and a time-out.

    Raises
    ------
    pymysql.MySQLError, OSError
        The server does not answer, or refuses the login.
    """
    options: dict[str, Any] = {k: address.options[k] for k in _TLS if k in address.options}
    options |= {k: address.options[k].lower() in ("1", "true", "yes") for k in _TLS_FLAGS if k in address.options}
    timeout = address.options.get("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    return pymysql.connect(
        host=address.host or "127.0.0.1",
        port=address.port or DEFAULT_PORT,
        user=address.user or "root",
        password=address.password,
        database=address.database or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=int(timeout),
        **options,
    )
