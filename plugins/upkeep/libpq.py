"""PostgreSQL's connections as libpq takes them, for the ledger and for targets alike; and why it takes none."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Final

from upkeep import tls
from upkeep.engines import Address

DEFAULT_PORT: Final = 5432
KEEPALIVES: Final = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
)
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SYSTEM: Final = "system"
"""As ``sslrootcert``: the authorities that this machine trusts."""
_LIBPQ: Final = frozenset(
    {*_FILES, "sslmode", "sslcrldir", "sslpassword", "sslcompression", "sslsni", "sslcertmode", "sslnegotiation"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version", "channel_binding", "require_auth", "passfile"}
    | {"gssencmode", "krbsrvname", "requirepeer", "target_session_attrs", "load_balance_hosts", "hostaddr"}
    | KEEPALIVES
)
"""Connection extras that libpq understands; others belong to Airflow and are left out."""
_WORDS: Final = tls.Words("sslmode", "sslrootcert", "sslcert and sslkey")
_BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
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
    if ":" in named.get("sslkey", ""):  # libpq asks an engine of OpenSSL for it, by its id
        del named["sslkey"]
    tls.require_files(address.connection_id, named, _FILES)
    if found.get("sslrootcert") and not address.local:
        # libpq itself would not even look at it
        found.setdefault("sslmode", "verify-full")
    if found.get("sslrootcert") == _SYSTEM:
        # not every libpq knows the word, and one that brings its own OpenSSL looks for them elsewhere
        found["sslrootcert"] = next((path for path in _authorities() if os.access(path, os.R_OK)), _SYSTEM)
    return found


def _authorities() -> list[str]:
    paths = (ssl.get_default_verify_paths().cafile, os.environ.get("SSL_CERT_FILE"), *_BUNDLES)
    return [path for path in paths if path]


def hosts(address: Address) -> tuple[str, str]:
    """Return hosts and ports as libpq takes them: lists of equal length; empty where libpq's own defaults count."""
    ports = [str(port or "") for _, port in address.hosts]
    return ",".join(host for host, _ in address.hosts), ",".join(ports) if any(ports) else ""


def trouble(text: str, address: Address, known: Mapping[str, str]) -> str | None:
    """Return what an error of libpq's says of TLS, in one sentence; ``None``: it is about something else.

    Parameters
    ----------
    known
        The connection's options, see `options`.
    """
    said = f"{text} {_verdict(text, address, known)}"
    return tls.trouble(said, address.place(DEFAULT_PORT), address.connection_id, _WORDS)


def _verdict(text: str, address: Address, known: Mapping[str, str]) -> str:
    """Return why a server's certificate is not taken: libpq says only that it is not."""
    if "certificate verify failed" not in text:
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
