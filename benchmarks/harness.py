"""Running a job on one target without ledger, lock and gates: what a benchmark measures is the engine's work."""

from __future__ import annotations

import time
from datetime import datetime

from upkeep.engines import Session
from upkeep.fleet import Target
from upkeep.jobs import spec
from upkeep.jobs.contract import Work
from upkeep.model import Json, Memory, Outcome, OutcomeStatus


def run(session: Session, target: Target, job_name: str, at: datetime, memory: Memory | None = None) -> list[Outcome]:
    """Observe, plan and apply; every action must be done.

    Raises
    ------
    RuntimeError
        An action was not done, or there was none: the figures would mean nothing.
    """
    job = spec.job(job_name, target.engine)
    if job is None:
        raise RuntimeError(f"no {job_name} on {target.engine}")
    observation = job.observe(session, target, at, memory or Memory())
    plan = job.plan(observation, target)
    outcomes = []
    for action in plan.actions:
        if action.blocked:
            raise RuntimeError(f"{action.kind} {action.subject}: {action.blocked}")
        started = time.perf_counter()
        outcome = job.apply(
            Work(
                session=session,
                target=target,
                action=action,
                observation=observation,
                checkpoint=_nothing,
                sleep=time.sleep,
                note=_ignore,
            )
        )
        if outcome.status is not OutcomeStatus.DONE:
            raise RuntimeError(f"{action.kind} {action.subject}: {outcome.reason_code} {outcome.message}")
        outcomes.append(outcome.model_copy(update={"seconds": time.perf_counter() - started}))
    if not outcomes:
        raise RuntimeError(f"{job_name}: nothing was planned")
    return outcomes


def _nothing(message: str = "", *, rows: int = 0) -> None:
    """Stand in for the runner's checkpoint."""


def _ignore(note: Json) -> None:
    """Stand in for the ledger's note."""
