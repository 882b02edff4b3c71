"""Connection ids to addresses, outside Airflow.

The order is Airflow's own: the environment variable ``AIRFLOW_CONN_<ID>`` (a URI or JSON) first, then
the local stack's connections file. Inside Airflow the hooks resolve connections instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from upkeep import settings
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.model import ENGINES

CONTROL = "upkeep_control"
"""Connection id of the control database, where the ledger lives."""
MAIL = "upkeep_mail"
"""Connection id of the SMTP server, for ``notify: mailto:…``."""
_SOCKET: Final = "unix"


def resolve(connection_id: str) -> Address:
    """Return the address behind a connection id.

    Raises
    ------
    ConfigurationError
        When it is defined nowhere, or cannot be read; the message never shows the URI.
    """
    name = variable(connection_id)
    text = os.environ.get(name) or _from_file(connection_id)
    if not text:
        message = f"connection '{connection_id}' is not defined: set {name}=scheme://user:password@host:port/database"
        if not settings.installed():
            message += f", or start the local stack with `make run` (its connections: {settings.connections_file()})"
        raise ConfigurationError(message)
    return parse(connection_id, text)


def variable(connection_id: str) -> str:
    """Return the environment variable that may hold a connection."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


def parse(connection_id: str, text: str) -> Address:
    """Read an Airflow connection URI or JSON. Raises `ConfigurationError` without showing its content."""
    try:
        if text.lstrip().startswith("{"):
            return _from_json(connection_id, json.loads(text))
        return _from_uri(connection_id, text)
    except (ValueError, TypeError, AttributeError):
        message = (
            f"connection '{connection_id}' cannot be read; write scheme://user:password@host:port/database with "
            "special characters percent-encoded, or Airflow's JSON form"
        )
        raise ConfigurationError(message) from None  # what was no port may be part of a password


def require_engine(address: Address, engine: str) -> None:
    """Raise `ConfigurationError` when the connection's type cannot reach that engine."""
    schemes, refused = ENGINES[engine].schemes, ENGINES[engine].refused
    if address.kind in refused:
        raise ConfigurationError(
            f"connection '{address.connection_id}' is of type '{address.kind}': {refused[address.kind]}"
        )
    if address.kind and address.kind not in schemes:
        message = (
            f"connection '{address.connection_id}' is of type '{address.kind}', but the target's engine is {engine}; "
            f"use a connection of type {' or '.join(schemes)}"
        )
        raise ConfigurationError(message)


def _from_file(connection_id: str) -> str | None:
    path = settings.connections_file()
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004, TRY301 - as what is no JSON at all
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        message = f"{path}: cannot read the connections file ({error}); run `make run` again to write it anew"
        raise ConfigurationError(message) from error
    value = known.get(connection_id)
    return str(value) if value else None


def _from_uri(connection_id: str, text: str) -> Address:
    parts = urlsplit(text)
    if "://" not in text or not parts.scheme or not (parts.netloc or parts.path or parts.query):
        raise ValueError(connection_id)
    names = [part.partition("=")[0] for part in parts.query.split("&")]
    # a password that is not encoded: what follows it would be taken for more
    if parts.fragment or any("@" in text for text in (parts.path, *names)):
        raise ValueError(connection_id)
    userinfo, _, hosts = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    extra = options.pop("__extra__", None)
    if extra:
        options |= json.loads(extra)
    several = "," in hosts
    if several and "[" in hosts:  # of these Airflow would take the one in brackets alone, without a word
        raise ValueError(connection_id)
    path = unquote(hosts.partition(":")[0])
    return address(
        connection_id,
        kind=parts.scheme,
        # of a path neither Airflow nor we make small letters, as `hostname` does
        host=unquote(hosts) if several else path if "/" in path else unquote(parts.hostname or ""),
        port=None if several else parts.port,
        user=unquote(user),
        database=unquote(parts.path.removeprefix("/")),
        password=unquote(password),
        extra=options,
    )


def _from_json(connection_id: str, data: dict[str, Any]) -> Address:
    extra = data.get("extra") or {}
    if isinstance(extra, str):
        extra = json.loads(extra)
    return address(
        connection_id,
        kind=str(data.get("conn_type") or ""),
        host=str(data.get("host") or ""),
        port=int(data["port"]) if data.get("port") else None,
        user=str(data.get("login") or ""),
        database=str(data.get("schema") or ""),
        password=str(data.get("password") or ""),
        extra=extra,
    )


def address(connection_id: str, *, kind: str, extra: Mapping[str, Any], **fields: Any) -> Address:
    """Return the address that a connection means, whichever way it was written.

    Parameters
    ----------
    kind
        Its type: the scheme of a URI.
    extra
        Its options; one that is null is not said at all, as forms leave it.
    fields
        ``host``, ``port``, ``user``, ``database`` and ``password``, as they stand in it.

    Raises
    ------
    ConfigurationError
        It says two things at once, or names several hosts where there can be one only.
    ValueError
        A port is no number.
    """
    said = {str(key): value for key, value in extra.items() if value is not None}
    options = {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}
    spec = next((row for row in ENGINES.values() if kind in row.schemes), None)
    if kind == _SOCKET and not fields["host"].startswith("/"):  # the path of the URI is the socket's
        fields |= {"host": f"/{fields['database']}", "database": ""}
    for option, name in (spec.fields if spec else {}).items():
        value = options.pop(option, "")
        if value and fields[name] and str(fields[name]) != value:
            both = "" if name == "password" else f": '{fields[name]}' and '{value}'"
            raise ConfigurationError(
                f"connection '{connection_id}' names its {name} twice{both}; leave one of them out"
            )
        fields[name] = fields[name] or value
    given = Address(
        connection_id=connection_id,
        options=options,
        kind=kind,
        **{**fields, "port": int(fields["port"]) if fields["port"] else None},
    )
    if spec is None:  # of no engine (mail): whatever its host may look like
        return given
    if len(given.hosts) > 1:
        if not spec.hosts:
            raise ConfigurationError(f"connection '{connection_id}' names several hosts; write the one to be worked on")
        return replace(given, host=",".join(_written(*one) for one in given.hosts), port=None)
    ((host, port),) = given.hosts
    return replace(given, host=host, port=port)


def _written(host: str, port: int | None) -> str:
    return host if port is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
