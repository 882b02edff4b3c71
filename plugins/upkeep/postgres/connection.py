"""The one place that opens a connection to PostgreSQL, as its options say, and tells people why there is none."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias, cast

import psycopg
from psycopg.rows import dict_row

from upkeep import tls
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.jobs.errors import NoConnectionError
from upkeep.postgres import names

Row: TypeAlias = dict[str, Any]

DEFAULT_PORT: Final = 5432
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
_FULL: Final = ("too many clients", "too many connections for", "remaining connection slots")
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SYSTEM: Final = "system"
"""As ``sslrootcert``: the authorities that this machine trusts."""
_VERIFIED: Final = ("verify-ca", "verify-full")
_LIBPQ: Final = frozenset(
    {*_FILES, "sslmode", "sslcrldir", "sslpassword", "sslcompression", "sslsni", "sslcertmode", "sslnegotiation"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version", "channel_binding", "require_auth", "passfile"}
    | {"gssencmode", "krbsrvname", "requirepeer", "target_session_attrs", "load_balance_hosts", "hostaddr"}
    | set(_KEEPALIVE)
)
"""Connection extras that libpq understands; others belong to Airflow and are left out."""
_WORDS: Final = tls.Words("sslmode", "sslrootcert", "sslcert and sslkey")
_PROBE_SECONDS: Final = 5.0
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""What asks a server to go on in TLS (https://www.postgresql.org/docs/current/protocol-message-formats.html)."""


def options(address: Address) -> dict[str, str]:
    """Return the extras of a connection that libpq understands.

    Raises
    ------
    ConfigurationError
        One about TLS is not known.
    UnreachableError
        A file of a certificate cannot be read.
    """
    tls.refuse_unknown(address.connection_id, address.options, _LIBPQ)
    found = {key: value for key, value in address.options.items() if key in _LIBPQ}
    named = {key: value for key, value in found.items() if value != _SYSTEM}
    tls.require_files(address.connection_id, named, _FILES)
    if found.get("sslrootcert") and not address.local:
        # libpq itself would not even look at it
        found.setdefault("sslmode", "verify-full")
    return found


def hosts(address: Address) -> tuple[str, str]:
    """Return hosts and ports as libpq takes them: lists of equal length; empty where libpq's own defaults count."""
    ports = [str(port or "") for _, port in address.hosts]
    return ",".join(host for host, _ in address.hosts), ",".join(ports) if any(ports) else ""


def connect(address: Address, application: str) -> psycopg.Connection[Row]:
    """Connect.

    Raises
    ------
    UnreachableError
        The server does not answer or refuses the login.
    ConfigurationError
        A connection option is wrong.
    """
    host, port = hosts(address)
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
    known = options(address)
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
        said = f"{clean(error, address)} {_verdict(error, address, known)}"
        if trouble := tls.trouble(said, address.place(DEFAULT_PORT), address.connection_id, _WORDS):
            raise UnreachableError(trouble) from None
        text = f"{where(address)}: cannot connect: {clean(error, address)}; {_remedy(error, address)}"
        full = any(words in str(error).lower() for words in _FULL)
        raise (NoConnectionError if full else UnreachableError)(text) from None


def _verdict(error: psycopg.Error, address: Address, known: Mapping[str, str]) -> str:
    """Return why a server's certificate is not taken: libpq says only that it is not."""
    if "certificate verify failed" not in str(error):
        return ""
    ca = known.get("sslrootcert")
    context = tls.Tls(name=False, ca=None if ca == _SYSTEM else ca).context()
    for host, port in address.hosts:
        with contextlib.suppress(OSError):
            try:
                with socket.create_connection((host, port or DEFAULT_PORT), _PROBE_SECONDS) as plain:
                    if known.get("sslnegotiation") != "direct":
                        plain.sendall(_SSL_REQUEST)
                        plain.recv(1)
                    context.wrap_socket(plain).close()
            except ssl.SSLCertVerificationError as refused:
                return refused.verify_message
    return ""


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
