"""How connections are encrypted, and what is wrong when they cannot be: the same words on every engine."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from upkeep.errors import ConfigurationError, UnreachableError

SOCKET: Final = "a Unix socket of this machine"
PLAIN: Final = "plain: nothing is encrypted"
_VERIFIED: Final = "TLS, the server's certificate and name are verified"
_UNNAMED: Final = "TLS, the server's certificate is verified, its name is not"
_UNVERIFIED: Final = "TLS, not verified: whoever stands between could pass for the server"
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")
_UNSAID: Final = ("", "null")
"""What forms leave in fields that nobody filled in."""
_PREFIXES: Final = ("ssl", "tls")
_LONGEST_CHAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Words:
    """How the connections of an engine call what TLS needs: for what is said when it fails.

    Attributes
    ----------
    on
        What asks for TLS.
    ca
        The option that names the certificates of the authorities.
    client
        The options that name our own certificate and its key.
    """

    on: str
    ca: str
    client: str


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS as a connection asks for it.

    Attributes
    ----------
    certificate, name
        Whether the server's certificate, and its name in it, are verified.
    ca
        The file with the certificates of the authorities; without one, those of this machine count.
    cert, key, password
        Our own certificate, its key, and the key's password.
    """

    certificate: bool = True
    name: bool = True
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    password: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """Return what Python's drivers take. Raises `OSError` (`ssl.SSLError`) when a file is none of its kind."""
        made = ssl.create_default_context(cafile=self.ca)
        made.check_hostname = self.certificate and self.name
        made.verify_mode = ssl.CERT_REQUIRED if self.certificate else ssl.CERT_NONE
        if self.cert is not None:
            # a password that is not there must not be asked for at a terminal
            made.load_cert_chain(self.cert, self.key, self.password or "")
        return made

    @property
    def protection(self) -> str:
        """How it protects, in words."""
        return protection(certificate=self.certificate, name=self.name)


def protection(*, certificate: bool, name: bool) -> str:
    """Return how a connection over TLS is protected, in words."""
    return _UNVERIFIED if not certificate else _VERIFIED if name else _UNNAMED


_NO_AUTHORITY: Final = (
    "the server's certificate is of an authority that is not trusted here",
    "name the file with the authority's certificate: {words.ca}",
)
_REFUSED: Final = ("the server does not accept our client certificate", "give one that it trusts: {words.client}")
_TROUBLES: Final[tuple[tuple[str, tuple[str, str]], ...]] = (
    (
        r"certificate required|requires a valid client certificate|peer did not return a certificate",
        ("the server wants a client certificate, and was shown none", "name one and its key: {words.client}"),
    ),
    (r"alert (bad certificate|certificate (expired|revoked|unknown)|unknown ca|access denied)", _REFUSED),
    (r"certificate has expired", ("the server's certificate has expired", "have it renewed")),
    (
        r"certificate is not yet valid",
        ("the server's certificate is not valid yet", "see the clocks of both machines, or wait"),
    ),
    (
        r"(hostname|ip address) mismatch|does not match host ?name",
        ("the server's certificate is for another host name", "connect by a name that it holds, or have it renewed"),
    ),
    (
        r"self.signed certificate|unable to (get|verify) .*(issuer|certificate)|unknown ca|certificate verify failed",
        _NO_AUTHORITY,
    ),
    (
        r"not support SSL|SSL is required but|wrong.version.number|handshake .*timed",
        ("the server offers no TLS, and is asked for it", "switch it on at the server; it is asked for by {words.on}"),
    ),
    (
        r"unexpected.eof",
        (
            "the server offers no TLS, or has no free connection: it hung up when it was asked",
            "switch TLS on at the server, or see how many connections it has; it is asked for by {words.on}",
        ),
    ),
    (
        r"key.values.mismatch",
        ("our client certificate and its key do not belong together", "name those that do: {words.client}"),
    ),
    (
        r"bad.decrypt|bad.password.read",
        ("the key of our client certificate cannot be opened", "see its password, or take a key without one"),
    ),
    (
        r"root certificate file .* does not exist",
        ("the server is to be verified, and no authority is named", "name the file with its certificate: {words.ca}"),
    ),
    (
        r"has group or world access|must be owned by",
        ("the key of our client certificate may be read by others", "chmod 600 on it, as its owner"),
    ),
    (
        r"no.certificate.or.crl|no.start.line|PEM lib|not.enough.data|bad.end.line",
        ("a file of a certificate or a key is none", "see what is in {words.ca} and {words.client}"),
    ),
)
"""What OpenSSL, libpq and the drivers say → what it is, what to do; the first that fits."""


def said(error: BaseException) -> str:
    """Return what an error says, and those that it came from: some drivers leave out what OpenSSL said."""
    texts: list[str] = []
    one: BaseException | None = error
    while one is not None and len(texts) < _LONGEST_CHAIN:
        texts.append(str(one))
        one = one.__cause__ or one.__context__
    return "; ".join(texts)


def unspoken(text: str, signs: str, *, shown: bool) -> str:
    """Return what an error says, and what the server would say if it did: by then the handshake was over.

    One that minds our certificate, or that there is none, often just hangs up. One that is full has done so before.

    Parameters
    ----------
    signs
        How the driver says that the server has hung up (a regular expression).
    shown
        Whether it was shown a certificate of ours.
    """
    if not re.search(signs, text):
        return text
    return f"{text}; alert bad certificate" if shown else f"{text}; certificate required"


def trouble(text: str, place: str, connection_id: str, words: Words) -> str | None:
    """Return what a driver's error says of TLS, in one sentence; ``None``: it is about something else."""
    for pattern, (what, remedy) in _TROUBLES:
        if re.search(pattern.replace(" ", "[ _]"), text, re.IGNORECASE):
            return f"connection '{connection_id}': {what} ({place}); {remedy.format(words=words)}"
    return None


def flag(connection_id: str, options: Mapping[str, str], key: str) -> bool | None:
    """Return whether an option is on, ``None`` without it. Raises `ConfigurationError` when it says neither."""
    text = options.get(key, "").strip('"').lower()
    if text in _TRUE + _FALSE:
        return text in _TRUE
    if text in _UNSAID:
        return None
    raise ConfigurationError(f"connection '{connection_id}': {key} is {options[key]!r}; write true or false")


def require_files(connection_id: str, options: Mapping[str, str], keys: Iterable[str]) -> None:
    """Raise `UnreachableError` when an option names a file that cannot be read from here."""
    for key in keys:
        path = options.get(key)
        if path and not os.access(path, os.R_OK):
            why = "may not be read by our user" if os.path.exists(path) else "is not on this machine"  # noqa: PTH110
            raise UnreachableError(f"connection '{connection_id}': {key} names {path}, which {why}; correct it")


def check(connection_id: str, options: Mapping[str, str], known: Collection[str], files: Iterable[str]) -> None:
    """Do what `refuse_unknown` and `require_files` do."""
    refuse_unknown(connection_id, options, known)
    require_files(connection_id, options, files)


def refuse_both(connection_id: str, off: Collection[str], on: Collection[str]) -> None:
    """Raise `ConfigurationError` for a connection that asks for TLS and switches it off: it would go in plain."""
    if off and on:
        no, yes = " and ".join(off), " and ".join(on)
        message = f"connection '{connection_id}' says two things at once: {no}, and {yes}, which asks for TLS; "
        raise ConfigurationError(f"{message}leave {no} out, or {yes} for a connection in plain")


def refuse_unknown(connection_id: str, options: Mapping[str, str], known: Collection[str]) -> None:
    """Raise `ConfigurationError` for an option about TLS that is not known: left out, it would protect nothing."""
    for key in options:
        if key.lower().startswith(_PREFIXES) and key not in known:
            may = ", ".join(sorted(name for name in known if name.lower().startswith(_PREFIXES)))
            raise ConfigurationError(f"connection '{connection_id}': there is no option {key}; those for TLS: {may}")
