"""Which jobs there are, and the room that does a job on an engine."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import cast

from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.jobs.contract import Job

JOBS = ("partition_creation", "data_retention")
"""Jobs that exist; the DAG ids are the same names."""


def require(name: str) -> None:
    """Raise `ConfigurationError` for an unknown job."""
    if name not in JOBS:
        raise ConfigurationError(f"unknown job {name!r}; there are: {', '.join(JOBS)}")


def job(name: str, engine_name: str) -> Job | None:
    """Return the job's module on that engine, or ``None`` when it is not available there yet."""
    require(name)
    module = f"upkeep.{engine_name}.{name}"
    try:
        # only the room that is asked for: each brings its driver along, and the command line has to start fast
        return cast("Job", importlib.import_module(module).JOB)
    except ModuleNotFoundError as error:
        # the room itself is missing; what a room cannot import is a fault and stays one
        if error.name in (module, f"upkeep.{engine_name}"):
            return None
        raise


def policies(target: Target, job_name: str) -> Iterator[str]:
    """Yield the names in the target's fleet entry that declare something for this job."""
    yield from target.declared(job_name)
