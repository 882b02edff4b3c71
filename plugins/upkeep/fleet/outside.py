"""Addresses outside that a fleet file names: who is called, who is told. Secret: whoever has one can use it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError

from upkeep.errors import ConfigurationError

SECRET: Final = "secret_address"  # noqa: S105 - a kind of error
"""The kind of error whose input is not shown."""
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WEB: Final = ("http", "https")
_PRINTED: Final = re.compile(r"[!-~]+")
_MAIL: Final = re.compile(r"[^@,?&]+@[^@,?&]+(,[^@,?&]+@[^@,?&]+)*")


def problem(value: str, schemes: tuple[str, ...]) -> str | None:
    """Return what is wrong with an address, without showing it; ``None`` when nothing is."""
    forms = " or ".join({"mailto": "mailto:somebody@example.org"}.get(s, f"{s}://…") for s in schemes)
    wanted = f"write {forms}, or ${{NAME}} of an environment variable that holds it"
    try:
        parts = urlsplit(value)
        host = parts.hostname
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        return f"this is no address: {wanted}"
    if parts.scheme not in schemes or not _PRINTED.fullmatch(value):
        return f"this is no address: {wanted}"
    if parts.scheme == "mailto":
        return None if _MAIL.fullmatch(parts.path) and not parts.query else f"this is no mail address: {wanted}"
    if not host:
        return f"the address names no host: {wanted}"
    return "a user and password before the @ are not sent: leave them out" if "@" in parts.netloc else None


def _checked(*schemes: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(text, str):
            raise PydanticCustomError(SECRET, "write an address as text")
        wrong = None if _VARIABLE.fullmatch(text) else problem(text, schemes)
        if wrong:
            raise PydanticCustomError(SECRET, "{wrong}", {"wrong": wrong})
        return text

    return check


WebAddress = Annotated[SecretStr, BeforeValidator(_checked(*_WEB))]
PeopleAddress = Annotated[SecretStr, BeforeValidator(_checked(*_WEB, "mailto"))]


def said(key: str, address: SecretStr) -> str:
    """Return the address that a key of the fleet file says, or that the environment variable holds which it names.

    Raises
    ------
    ConfigurationError
        The variable is not set, or holds no address; what it holds is not shown.
    """
    text = address.get_secret_value()
    variable = _VARIABLE.fullmatch(text)
    if variable is None:
        return text
    name = variable.group(1)
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"{key}: the environment variable {name} is not set where this runs")
    wrong = problem(value, (*_WEB, "mailto"))
    if wrong:
        raise ConfigurationError(f"{key}: the environment variable {name}: {wrong}")
    return value
