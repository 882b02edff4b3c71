"""TLS as a connection to TiDB asks for it: PyMySQL's options, and those of MySQL's own clients. Pure but for files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from upkeep import tls
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.tls import Tls

WORDS: Final = tls.Words("ssl or ssl_mode", "ssl_ca", "ssl_cert and ssl_key")
_FILES: Final = ("ssl_ca", "ssl_cert", "ssl_key")
_OF_AIRFLOW: Final = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key"}
_FLAGS: Final = ("ssl_verify_cert", "ssl_verify_identity")
_KNOWN: Final = frozenset({*_FILES, *_FLAGS, "ssl", "ssl_mode", "ssl_disabled", "ssl_key_password"})
_MODES: Final = {
    "DISABLED": None,
    "PREFERRED": None,
    "REQUIRED": (False, False),
    "VERIFY_CA": (True, False),
    "VERIFY_IDENTITY": (True, True),
}
"""``ssl_mode`` → whether certificate and name are verified."""


def wanted(address: Address) -> Tls | bool:
    """Return the TLS that a connection asks for; True: what the server offers, unverified; False: none.

    What is encrypted is verified, unless the connection says otherwise: a CA that nobody looks at protects nothing.

    Raises
    ------
    ConfigurationError
        An option is wrong.
    UnreachableError
        A file of a certificate cannot be read.
    """
    options, called = dict(address.options), address.connection_id
    if options.get("ssl", "").startswith("{"):  # as Airflow's own hook for MySQL takes it
        options |= {**_of_airflow(called, options["ssl"]), "ssl": "true"}
    tls.check(called, options, _KNOWN, _FILES)
    mode = options.get("ssl_mode", "").upper()
    if mode and mode not in _MODES:
        raise ConfigurationError(f"connection '{called}': ssl_mode is {mode!r}; write one of {', '.join(_MODES)}")
    off, asking = _wishes(called, options, mode)
    tls.refuse_both(called, off, asking)
    if off or address.local:  # what goes through a socket stays on this machine
        return False
    if not asking:
        return True
    certificate, name = (tls.flag(called, options, key) for key in _FLAGS)
    by_mode = _MODES.get(mode) or (True, True)
    verified = bool(name) or (by_mode[0] if certificate is None else certificate)
    return Tls(
        certificate=verified,
        name=verified and (by_mode[1] if name is None else name),
        ca=options.get("ssl_ca") or None,
        cert=options.get("ssl_cert") or None,
        key=options.get("ssl_key") or None,
        password=options.get("ssl_key_password") or None,
    )


def _wishes(called: str, options: Mapping[str, str], mode: str) -> tuple[list[str], list[str]]:
    """Return what switches TLS off, and what asks for it."""
    flags = {key: tls.flag(called, options, key) for key in ("ssl", "ssl_disabled", *_FLAGS)}
    off = {"ssl=false": flags["ssl"] is False, "ssl_mode=DISABLED": mode == "DISABLED"}
    asking = {**options, **flags, "ssl_mode": _MODES.get(mode)}
    return (
        [key for key, said in {**off, "ssl_disabled": flags["ssl_disabled"]}.items() if said],
        [key for key in ("ssl", "ssl_mode", *_FLAGS, *_FILES) if asking.get(key)],
    )


def _of_airflow(called: str, text: str) -> dict[str, str]:
    try:
        given = {key: str(value) for key, value in json.loads(text).items() if value is not None}
    except ValueError:
        raise ConfigurationError(f"connection '{called}': ssl is no JSON; write true, or the ssl_… options") from None
    for key in given:
        if key not in _OF_AIRFLOW:
            message = f"connection '{called}': ssl has no {key!r}; it takes {', '.join(_OF_AIRFLOW)}"
            raise ConfigurationError(f"{message}; for more write {', '.join(sorted(_KNOWN))}")
    return {_OF_AIRFLOW[key]: value for key, value in given.items()}
