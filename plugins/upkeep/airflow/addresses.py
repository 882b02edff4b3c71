"""Airflow connections as addresses: inside Airflow, connection ids resolve through Airflow's own secrets."""

from __future__ import annotations

import os
from typing import Any

from upkeep import connections
from upkeep.engines import Address
from upkeep.errors import ConfigurationError


def from_connection(connection: Any) -> Address:
    """Return the address that an Airflow connection describes (the SDK's or the core's)."""
    try:
        return connections.address(
            str(connection.conn_id),
            kind=connection.conn_type or "",
            host=connection.host or "",
            port=connection.port,
            user=connection.login or "",
            database=connection.schema or "",
            password=connection.password or "",
            extra=connection.extra_dejson,
        )
    except ValueError:  # a port that is none; without its text, which may be part of a password
        raise ConfigurationError(
            f"Airflow's connection '{connection.conn_id}' cannot be read: see its host and port"
        ) from None


def of_environment(connection_id: str) -> Address | None:
    """Return the address that the environment has, which Airflow itself cannot read: several hosts with their ports."""
    text = os.environ.get(connections.variable(connection_id))
    return connections.parse(connection_id, text) if text else None


def resolve(connection_id: str) -> Address:
    """Return the address behind a connection id, in a task.

    Raises
    ------
    ConfigurationError
        No such connection is defined in Airflow.
    """
    from airflow.sdk import BaseHook  # noqa: PLC0415 - this module is also read where no task runs
    from airflow.sdk.exceptions import AirflowNotFoundException  # noqa: PLC0415

    try:
        return from_connection(BaseHook.get_connection(connection_id))
    except AirflowNotFoundException as error:
        if known := of_environment(connection_id):
            return known
        raise ConfigurationError(
            f"Airflow has no connection '{connection_id}'; add it under Admin → Connections, in airflow_settings.yaml, "
            f"or as {connections.variable(connection_id)}"
        ) from error
