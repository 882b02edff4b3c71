"""``airflow_settings.yaml``: the connections, pools and variables of the local Airflow, and of the command line.

The file has the format that the Astro CLI reads; passwords and ports are ``${NAME}`` placeholders, because both are
made up on each machine. This module fills them in, writes the connections file of the command line, and hands the
rest to Airflow (`local.stack.airflow_import`).
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import yaml

from local.errors import LocalError
from local.servers.mongo import REPLICA_SET
from local.stack.servers import TIDB_DATABASE, external_tidb
from local.stack.state import State, write_private
from upkeep import settings

URI_SCHEMES = {"postgres": "postgresql"}  # connection type → scheme, where they differ


@dataclass(frozen=True)
class AirflowSettings:
    """The file's content with every placeholder filled in."""

    connections: list[dict[str, Any]]
    pools: list[dict[str, Any]]
    variables: list[dict[str, Any]]


def settings_file() -> Path:
    """Return the file, in the checkout."""
    return settings.checkout() / "airflow_settings.yaml"


def placeholders(state: State) -> dict[str, str]:
    """Return the values of all placeholders: ``<SERVER>_PORT``, ``<USER>_PASSWORD``, and the place of TiDB."""
    values = {f"{name.upper()}_PORT": str(port) for name, port in state.ports.items()}
    values |= {f"{name.upper()}_PASSWORD": secret for name, secret in state.secrets.items()}
    values |= {"TIDB_HOST": "127.0.0.1", "TIDB_USER": "root", "TIDB_DATABASE": TIDB_DATABASE}
    values |= {"MONGO_REPLICA_SET": REPLICA_SET}
    address = external_tidb()
    if address:
        parts = urlsplit(address)
        values |= {
            "TIDB_HOST": parts.hostname or "127.0.0.1",
            "TIDB_PORT": str(parts.port or 4000),
            "TIDB_USER": unquote(parts.username or "root"),
            "TIDB_PASSWORD": unquote(parts.password or ""),
            "TIDB_DATABASE": parts.path.strip("/") or TIDB_DATABASE,
        }
    return values


def read(path: Path, values: Mapping[str, str]) -> AirflowSettings:
    """Read the file and fill in its placeholders.

    Placeholders are replaced in the parsed values, not in the text: a password may contain anything.

    Raises
    ------
    LocalError
        When the file is not YAML, or has a placeholder that nobody fills.
    """
    try:
        document = yaml.safe_load(path.read_text())
        filled = _fill(document["airflow"], values)
    except KeyError as error:
        known = ", ".join(f"${{{name}}}" for name in sorted(values))
        message = f"{path}: nothing is known for {error}; the placeholders are {known}"
        raise LocalError(message) from error
    except (OSError, yaml.YAMLError, TypeError) as error:
        message = f"{path} cannot be read: {error}"
        raise LocalError(message) from error
    return AirflowSettings(filled.get("connections") or [], filled.get("pools") or [], filled.get("variables") or [])


def _fill(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, values) for value in node]
    if isinstance(node, str) and "$" in node:
        return string.Template(node).substitute(values)
    return node


def uri(connection: Mapping[str, Any]) -> str:
    """Return one connection of the file as a URI; its extras become the query.

    >>> uri(
    ...     {
    ...         "conn_type": "postgres",
    ...         "conn_host": "h",
    ...         "conn_port": 5,
    ...         "conn_login": "u",
    ...         "conn_password": "p/@",
    ...         "conn_schema": "db",
    ...     }
    ... )
    'postgresql://u:p%2F%40@h:5/db'
    """
    kind = connection["conn_type"]
    login = quote(str(connection.get("conn_login") or ""), safe="")
    password = quote(str(connection.get("conn_password") or ""), safe="")
    who = f"{login}:{password}@" if password else f"{login}@" if login else ""
    port = f":{connection['conn_port']}" if connection.get("conn_port") else ""
    schema = quote(str(connection.get("conn_schema") or ""), safe="")
    extra = connection.get("conn_extra") or {}
    query = f"?{urlencode(extra)}" if extra else ""
    return f"{URI_SCHEMES.get(kind, kind)}://{who}{connection.get('conn_host') or ''}{port}/{schema}{query}"


def write_connections(content: AirflowSettings) -> Path:
    """Write the connections file of the command line (JSON, id → URI, mode 0600) and return it."""
    path = settings.connections_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps({entry["conn_id"]: uri(entry) for entry in content.connections}, indent=1) + "\n")
    return path
