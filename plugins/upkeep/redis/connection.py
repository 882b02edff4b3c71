"""A connection's options as Redis' driver takes them, and the TLS that they ask for. Pure but for files."""

from __future__ import annotations

from typing import Any, Final

from upkeep import tls
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.tls import Tls

DEFAULT_PORT: Final = 6379
WORDS: Final = tls.Words("rediss:// or ssl", "ssl_ca_certs", "ssl_certfile and ssl_keyfile")
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_KNOWN: Final = frozenset({*_FILES, "ssl", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"})
_HUNG_UP: Final = "while (writing to|reading from) socket|Connection closed by server"
_UNVERIFIED: Final = ("none", "cert_none", "0")
_VERIFIED: Final = ("required", "cert_required", "2")


def wanted(address: Address) -> Tls | None:
    """Return the TLS that a connection asks for; it is verified unless the connection says otherwise.

    Raises
    ------
    ConfigurationError
        An option is wrong.
    UnreachableError
        A file of a certificate cannot be read.
    """
    called, options = address.connection_id, address.options
    tls.check(called, options, _KNOWN, _FILES)
    on = tls.flag(called, options, "ssl")
    asking = [*(["rediss://"] if address.kind == "rediss" else []), *(key for key in _FILES if options.get(key))]
    tls.refuse_both(called, ["ssl=false"] if on is False else [], asking)
    if not (on or asking) or address.local:
        return None
    how = (options.get("ssl_cert_reqs") or "required").lower()
    if how not in _UNVERIFIED + _VERIFIED:
        raise ConfigurationError(f"connection '{called}': ssl_cert_reqs is {how!r}; write required or none")
    name = tls.flag(called, options, "ssl_check_hostname")
    return Tls(
        certificate=how in _VERIFIED,
        name=how in _VERIFIED and name is not False,
        ca=options.get("ssl_ca_certs") or None,
        cert=options.get("ssl_certfile") or None,
        key=options.get("ssl_keyfile") or None,
        password=options.get("ssl_password") or None,
    )


def driver_options(address: Address) -> dict[str, Any]:
    """Return what leads the driver to a server and logs in there; the database is the caller's to say."""
    login = {"username": address.user or None, "password": address.password or None}
    if address.local:
        return {**login, "unix_socket_path": address.host}
    where = {"host": address.host or "localhost", "port": address.port or DEFAULT_PORT}
    how = wanted(address)
    if how is None:
        return {**login, **where}
    return {
        **login,
        **where,
        "ssl": True,
        "ssl_cert_reqs": "required" if how.certificate else "none",
        "ssl_check_hostname": how.name,
        "ssl_ca_certs": how.ca,
        "ssl_certfile": how.cert,
        "ssl_keyfile": how.key,
        "ssl_password": how.password or "",  # without one it must not be asked for at a terminal
    }


def protection(address: Address) -> str:
    """Return how a connection that stands is protected, in words: the driver does what it is told, or fails."""
    how = wanted(address)
    return tls.SOCKET if address.local else how.protection if how else tls.PLAIN


def explained(address: Address, reason: str) -> str:
    """Return an error's reason, and what the server would say of our certificate if it said anything."""
    how = wanted(address)
    return reason if how is None else tls.unspoken(reason, _HUNG_UP, shown=how.cert is not None)
