"""A connection's options as MongoDB's driver takes them, and the TLS that they ask for. Pure but for files."""

from __future__ import annotations

from typing import Any, Final

from upkeep import tls
from upkeep.engines import Address

DEFAULT_PORT: Final = 27017
WORDS: Final = tls.Words("tls", "tlsCAFile", "tlsCertificateKeyFile (both in one file)")
_AIRFLOW_OPTIONS: Final = ("srv", "ssl", "allow_insecure")
"""Extras of Airflow's connection type that are not options of the driver."""
_ELSEWHERE: Final = ("readpreference", "readpreferencetags", "maxstalenessseconds")
"""Whatever the connection prefers: what is looked at before something is deleted comes from the primary."""
_FILES: Final = ("tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile")
_CERTIFICATE: Final = ("tlsinsecure", "tlsallowinvalidcertificates")
_NAME: Final = "tlsallowinvalidhostnames"
_FLAGS: Final = ("tls", *_CERTIFICATE, _NAME)


def is_srv(address: Address) -> bool:
    """Return whether the hosts are to be asked of the name service."""
    return address.kind == "mongodb+srv" or bool(tls.flag(address.connection_id, address.options, "srv"))


def driver_options(address: Address) -> dict[str, Any]:
    """Return the options of a connection as the driver takes them, its switches for TLS among them.

    Raises
    ------
    ConfigurationError
        A switch is neither on nor off.
    UnreachableError
        A file of a certificate cannot be read.
    """
    called, given = address.connection_id, address.options
    options: dict[str, Any] = {
        key: value for key, value in given.items() if value and key.lower() not in (*_AIRFLOW_OPTIONS, *_ELSEWHERE)
    }
    names = {key.lower(): key for key in options}
    tls.require_files(called, options, [names[file.lower()] for file in _FILES if file.lower() in names])
    for key in [key for key in _FLAGS if key in names]:
        on = tls.flag(called, given, names[key])
        if on is None:
            del options[names.pop(key)]
        else:
            options[names[key]] = on
    asking = [*(["ssl"] if tls.flag(called, given, "ssl") else []), *(key for key in _FILES if key.lower() in names)]
    tls.refuse_both(called, ["tls=false"] if options.get(names.get("tls", "")) is False else [], asking)
    if "ssl" in asking:
        options[names.setdefault("tls", "tls")] = True
    if tls.flag(called, given, "allow_insecure") and options.get(names.get("tls", "")):
        options.setdefault("tlsAllowInvalidCertificates", True)
    if any(key.startswith("tls") for key in names):  # the driver takes some of them for a wish, and not all
        options.setdefault(names.get("tls", "tls"), True)
    return options


def of(address: Address) -> str:
    """Return how a connection that stands is protected, in words: the driver does what it is told, or fails."""
    options = {key.lower(): value for key, value in driver_options(address).items()}
    if address.local:
        return tls.SOCKET
    if not options.get("tls", is_srv(address)):
        return tls.PLAIN
    insecure = any(options.get(key) for key in _CERTIFICATE)
    return tls.protection(certificate=not insecure, name=not options.get(_NAME))


def explained(address: Address, reason: str) -> str:
    """Return an error's reason, and what the server would say of our certificate if it said anything."""
    if of(address) in (tls.PLAIN, tls.SOCKET):
        return reason
    shown = any(key.lower() == "tlscertificatekeyfile" for key in address.options)
    return tls.unspoken(reason, "connection closed", shown=shown)
