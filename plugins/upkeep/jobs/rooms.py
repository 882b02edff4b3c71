"""The room that does a job on an engine, and what of the fleet file it is for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from upkeep import engines
from upkeep.fleet import Target
from upkeep.jobs import spec
from upkeep.jobs.contract import Job


def job(name: str, engine_name: str) -> Job[Any] | None:
    """Return the job on that engine, or ``None`` when it is not available there. Raises as `engines.room` does."""
    if engine_name not in spec.require(name).engines:
        return None
    # only the room that is asked for: each brings its driver along, and the command line has to start fast
    return cast("Job[Any]", engines.room(engine_name, name).JOB)


def policies(target: Target, job_name: str) -> Iterator[str]:
    """Yield the names in the target's fleet entry that declare something for this job.

    Where the engine has no such job, a key that another of its jobs reads asks for that one alone.
    """
    row = spec.require(job_name)
    others = {key for other in spec.JOBS.values() if target.engine in other.engines for key in other.policy_keys}
    yield from target.declared(row.policy_keys if target.engine in row.engines else {*row.policy_keys} - others)
