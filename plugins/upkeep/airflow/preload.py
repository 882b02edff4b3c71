"""Import once what every task would import anew: for the process that LocalExecutor forks its workers off.

Called by ``airflow_local_settings.py`` in the scheduler only. A task in a forked child then finds the
runner, the engines' rooms and Great Expectations already there, which saves it seconds of processor time. Nothing is
connected to here: a connection must not be shared with a fork.
"""

from __future__ import annotations

import gc
import importlib
import logging
from collections.abc import Callable
from functools import partial

log = logging.getLogger("upkeep")

_MODULES = (
    "airflow.providers.standard.operators.empty",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "upkeep.airflow.approval",
    "upkeep.airflow.dags",
    "upkeep.airflow.handover",
    "upkeep.airflow.looks",
    "upkeep.airflow.markdown",
    "upkeep.airflow.runtime",
    "upkeep.run.applier",
    "upkeep.gates",
    "upkeep.run.lease",
    "upkeep.run.rounds",
    "upkeep.run.telling",
)


def preload() -> None:
    """Import, build the gates' context, and leave all of it to the forks unchanged (``gc.freeze``)."""
    from upkeep import gates  # noqa: PLC0415 - after the environment is set up by the caller
    from upkeep.jobs import rooms, spec  # noqa: PLC0415 - after the environment is set up by the caller
    from upkeep.model import ENGINES  # noqa: PLC0415 - after the environment is set up by the caller

    for name in (*_MODULES, *(f"upkeep.{engine}.engine" for engine in ENGINES)):
        _attempt(name, partial(importlib.import_module, name))
    for engine in ENGINES:
        for job in spec.JOBS:
            _attempt(f"{job} on {engine}", partial(rooms.job, job, engine))
    gates.preload()
    gc.collect()
    gc.freeze()  # the collector of a forked child then leaves these pages shared


def _attempt(name: str, load: Callable[[], object]) -> None:
    try:
        load()
    except Exception:  # the scheduler must start: the task that needs the module will say what is wrong
        log.exception("not preloaded: %s", name)
