"""The one place that opens a connection to PostgreSQL, as its options say, and tells people why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeAlias, cast

import psycopg
from psycopg.rows import dict_row

from upkeep import libpq, tls
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.jobs.errors import NoConnectionError
from upkeep.libpq import DEFAULT_PORT
from upkeep.postgres import names

Row: TypeAlias = dict[str, Any]

# A server that vanished (a fail-over, a firewall that forgot us) is noticed after a minute. Linux alone would let two
# hours pass before its first probe (tcp_keepalive_time).
_KEEPALIVE: Final = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_VERIFIED: Final = ("verify-ca", "verify-full")
_FULL: Final = ("too many clients", "too many connections for", "remaining connection slots")


def connect(address: Address, application: str) -> psycopg.Connection[Row]:
    """Connect.

    Raises
    ------
    UnreachableError
        The server does not answer or refuses the login.
    ConfigurationError
        A connection option is wrong.
    """
    host, port = libpq.hosts(address)
    wanted = {
        "host": host,
        "port": port,
        "user": address.user,
        "password": address.password,
        "dbname": address.database,
        # The server shows no more of it (NAMEDATALEN - 1).
        "application_name": f"upkeep {application}".replace("upkeep upkeep", "upkeep")[:63],
        "client_encoding": "UTF8",  # names are Unicode, whatever the role's setting
    }
    known = libpq.options(address)
    try:
        return psycopg.Connection[Row].connect(
            **{**_KEEPALIVE, **known, **{key: value for key, value in wanted.items() if value}},  # type: ignore[arg-type]
            # Else the driver opens a transaction with the first statement, whatever it is, and keeps its locks and
            # snapshot.
            autocommit=True,
            row_factory=cast("Any", dict_row),
        )
    except psycopg.ProgrammingError as error:
        # Not chained ("from None"): the driver's own text and its traceback may show the password.
        text = f"{where(address)}: a connection option is wrong: {clean(error, address)}"
        raise ConfigurationError(text) from None
    except psycopg.Error as error:
        if trouble := libpq.trouble(clean(error, address), address, known):
            raise UnreachableError(trouble) from None
        text = f"{where(address)}: cannot connect: {clean(error, address)}; {_remedy(error, address)}"
        full = any(words in str(error).lower() for words in _FULL)
        raise (NoConnectionError if full else UnreachableError)(text) from None


def reached(connection: psycopg.Connection[Any], address: Address) -> Address:
    """Return an address with the host that was taken, of several: another connection must not lead elsewhere."""
    if len(address.hosts) == 1:
        return address
    there = connection.info.get_parameters().get("hostaddr", "") and connection.info.hostaddr
    more = {"hostaddr": there} if there else {}
    options_ = {key: value for key, value in address.options.items() if key != "hostaddr"}
    return replace(address, host=connection.info.host, port=connection.info.port, options={**options_, **more})


def protection(connection: psycopg.Connection[Any]) -> str:
    """Return how a connection is protected, in words."""
    if connection.info.host.startswith("/"):
        return tls.SOCKET
    known = connection.info.get_parameters()
    if connection.pgconn.ssl_in_use:
        mode = known.get("sslmode", "")
        # an old habit of libpq: with authorities to hand, to require is to verify
        certificate = mode in _VERIFIED or (mode == "require" and bool(known.get("sslrootcert")))
        return tls.protection(certificate=certificate, name=mode == "verify-full")
    return "GSSAPI" if known.get("gssencmode") == "require" else tls.PLAIN


def where(address: Address) -> str:
    """Return which database an address leads to, for messages; never the password."""
    user, database = address.user or "(default)", address.database or "(default)"
    host = address.place(DEFAULT_PORT) if address.host else f"the local socket:{address.port or DEFAULT_PORT}"
    return f"PostgreSQL at {host}, user {user}, database {database} (connection '{address.connection_id}')"


def clean(error: BaseException, address: Address) -> str:
    """Return what an error says, in one line, without the password."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.replace(address.password, "***") if address.password else text


def _remedy(error: BaseException, address: Address) -> str:
    text = str(error).lower()
    if "permission denied for database" in text:
        return f"grant connect on database {names.quote(address.database)} to {names.quote(address.user)}"
    if "password" in text or "pg_hba" in text or "role" in text:
        return "check user and password, and that pg_hba.conf lets this host in"
    if "does not exist" in text:
        return "check the name of the database"
    if any(words in text for words in _FULL):
        return "the server has no free connection: raise max_connections or close idle ones"
    if any(words in text for words in ("starting up", "shutting down", "recovery mode", "not currently accepting")):
        return "the server is not ready: the next run tries again"
    return "check host and port, and that the server is running and reachable from here"
