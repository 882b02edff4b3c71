"""Import once what every task would import anew: for the process that LocalExecutor forks its workers off.

Called by ``airflow_local_settings.py`` in the scheduler only. A task in a forked child then finds the
runner, the engines' rooms and Great Expectations already there, which saves it seconds of processor time. Nothing is
connected to here: a connection must not be shared with a fork.
"""

from __future__ import annotations

import gc
import importlib
import logging

log = logging.getLogger("upkeep")

_MODULES = (
    "airflow.providers.standard.operators.empty",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "upkeep.airflow.approval",
    "upkeep.airflow.dags",
    "upkeep.airflow.markdown",
    "upkeep.airflow.runtime",
    "upkeep.application",
    "upkeep.gates",
    "upkeep.locks",
    "upkeep.postgres.engine",
    "upkeep.postgres.partition_creation",
    "upkeep.postgres.data_retention",
)


def preload() -> None:
    """Import, build the gates' context, and leave all of it to the forks unchanged (``gc.freeze``)."""
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except Exception:  # the scheduler must start: the task that needs the module will say what is wrong
            log.exception("not preloaded: %s", name)
    from upkeep import gates  # noqa: PLC0415 - after the environment is set up by the caller

    gates.preload()
    gc.collect()
    gc.freeze()  # the collector of a forked child then leaves these pages shared
