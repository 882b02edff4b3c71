"""What Airflow learns about the installed package: its connection types.

Airflow calls `get_provider_info` in every process that asks for providers, so nothing else is imported here.
"""

from __future__ import annotations

from typing import Any

from upkeep import __version__

_HOOKS = "upkeep.airflow.hooks"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as Airflow's ``provider_info.schema.json`` wants it."""
    return {
        "package-name": "upkeep",
        "name": "Upkeep",
        "description": "Database maintenance: planned, gated, proven.",
        "versions": [__version__],
        "connection-types": [{"connection-type": "tidb", "hook-class-name": f"{_HOOKS}.TiDBHook"}],
    }
