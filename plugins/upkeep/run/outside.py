"""What Upkeep calls outside: the heartbeat's address, and where people are told. Addresses may be secret.

What is said of a failure names the host and nothing else of an address: its path often is the key to it.
"""

from __future__ import annotations

import json
import logging
import smtplib
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from upkeep import connections
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, UpkeepError
from upkeep.model import Json

log = logging.getLogger("upkeep")

SECONDS: Final = 10.0
_AGENT: Final = {"User-Agent": "upkeep"}


class OutsideError(UpkeepError):
    """What was called outside did not answer as it should; the text names its host only."""


def heartbeat(url: str) -> None:
    """Say that a round was complete; once more when that fails; a failure is a warning and nothing else."""
    for last in (False, True):
        try:
            _send(urllib.request.Request(url, headers=_AGENT))  # noqa: S310 - http(s): the fleet file is checked
        except OutsideError as error:
            if last:
                log.warning("the heartbeat was not heard: %s; whoever watches it will take Upkeep for dead", error)
            else:
                time.sleep(1)
        else:
            return


def tell(url: str, addresses: Callable[[str], Address], subject: str, text: str, document: Json) -> None:
    """Tell people: ``http(s)`` gets a JSON document with its ``text``, ``mailto`` a mail.

    Raises
    ------
    OutsideError
        It cannot be said whether anybody was told.
    """
    if urlsplit(url).scheme == "mailto":
        _mail(url, addresses, subject, text)
        return
    body = json.dumps({"text": f"{subject}\n{text}", **document}).encode()
    headers = {**_AGENT, "Content-Type": "application/json"}
    _send(urllib.request.Request(url, data=body, headers=headers))  # noqa: S310 - as above


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a POST would arrive as a GET without a word of what it says."""

    def redirect_request(self, *_: Any) -> None:
        """Return that there is nowhere to go."""


def _send(request: urllib.request.Request) -> None:
    where = host(request.full_url)
    try:
        opener = urllib.request.build_opener(*((_Stay,) if request.data else ()))
        with opener.open(request, timeout=SECONDS) as response:
            response.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        raise OutsideError(f"{where} answered with status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise OutsideError(f"{where}: {_reason(error)}") from None


def host(url: str) -> str:
    """Return what may be said of an address: its host, or where a mail goes."""
    parts = urlsplit(url)
    return f"mail to {parts.path}" if parts.scheme == "mailto" else parts.hostname or "the address"


def _mail(url: str, addresses: Callable[[str], Address], subject: str, text: str) -> None:
    to = unquote(urlsplit(url).path)
    try:
        server = addresses(connections.MAIL)
    except ConfigurationError as error:
        raise OutsideError(f"no mail can be sent: {error}") from None
    try:
        with _smtp(server) as smtp:
            if server.user:
                smtp.login(server.user, server.password)
            message = EmailMessage()
            sender = server.options.get("from") or server.options.get("from_email") or f"upkeep@{smtp.local_hostname}"
            message["From"], message["To"], message["Subject"] = sender, to, subject
            message.set_content(f"{subject}\n\n{text}\n")
            refused = smtp.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise OutsideError(f"mail to {to} through {server.host}: {_reason(error)}") from None
    if refused:
        raise OutsideError(f"mail through {server.host} was refused for {', '.join(refused)}")


def _smtp(server: Address) -> smtplib.SMTP:
    """Connect; the extras ``ssl`` and ``starttls`` of the connection say how it is secured (default: STARTTLS)."""
    off = {"false", "0", "no"}
    if server.options.get("ssl", "false").lower() not in off:
        return smtplib.SMTP_SSL(server.host, server.port or 465, timeout=SECONDS)
    smtp = smtplib.SMTP(server.host, server.port or 587, timeout=SECONDS)
    if server.options.get("starttls", "true").lower() not in off:
        try:
            smtp.starttls()
        except BaseException:
            smtp.close()
            raise
    return smtp


def _reason(error: Exception) -> str:
    """Return why, without what was sent or to which path."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, smtplib.SMTPResponseException):
        return f"status {inner.smtp_code}"
    if isinstance(inner, OSError):
        return inner.strerror or type(inner).__name__
    return type(inner).__name__
