"""TLS as a connection to TiDB asks for it: PyMySQL's options, and those of MySQL's own clients. Pure but for files."""

from __future__ import annotations

import json
from typing import Final

from upkeep import tls
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.tls import Tls

WORDS: Final = tls.Words("ssl or ssl_mode", "ssl_ca", "ssl_cert and ssl_key")
_FILES: Final = ("ssl_ca", "ssl_cert", "ssl_key")
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
    tls.refuse_unknown(called, options, _KNOWN)
    if options.get("ssl", "").startswith("{"):  # as Airflow's own hook for MySQL takes it
        options |= _of_airflow(called, options.pop("ssl"))
    tls.require_files(called, options, _FILES)
    mode = options.get("ssl_mode", "").upper()
    if mode and mode not in _MODES:
        raise ConfigurationError(f"connection '{called}': ssl_mode is {mode!r}; write one of {', '.join(_MODES)}")
    on = tls.flag(called, options, "ssl")
    off = on is False or mode == "DISABLED" or tls.flag(called, options, "ssl_disabled")
    if off or address.local:  # what goes through a socket stays on this machine
        return False
    certificate, name = (tls.flag(called, options, key) for key in _FLAGS)
    said = certificate or name or any(options.get(key) for key in _FILES)
    if not (on or said or _MODES.get(mode)):
        return True
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


def _of_airflow(called: str, text: str) -> dict[str, str]:
    try:
        return {f"ssl_{key}": str(value) for key, value in json.loads(text).items() if f"ssl_{key}" in _FILES}
    except ValueError:
        raise ConfigurationError(f"connection '{called}': ssl is no JSON; write true, or the ssl_… options") from None
