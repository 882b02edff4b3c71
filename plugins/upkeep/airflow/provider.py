"""What Airflow learns about the installed package: its connection types.

Airflow calls `get_provider_info` in every process that asks for providers, so nothing is imported here.
"""

from __future__ import annotations

from typing import Any

_HOOKS = "upkeep.airflow.hooks"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as Airflow's ``provider_info.schema.json`` wants it."""
    return {
        "package-name": "upkeep",
        "name": "Upkeep",
        "description": "Database maintenance: planned, gated, proven.",
        "versions": ["0.1.0"],
        "connection-types": [{"connection-type": "tidb", "hook-class-name": f"{_HOOKS}.TiDBHook"}],
    }
