"""Running a job on one target without ledger, lock and gates: what a benchmark measures is the engine's work."""

from __future__ import annotations

import time
from datetime import datetime

from upkeep.engines import Session
from upkeep.fleet import Target
from upkeep.jobs import rooms
from upkeep.jobs.contract import Ask, Work
from upkeep.model import NOTHING_ASKED, Action, Json, Memory, Observation, Outcome, OutcomeStatus


def run(session: Session, target: Target, job_name: str, at: datetime, memory: Memory | None = None) -> list[Outcome]:
    """Observe, plan and apply; every action must be done.

    Raises
    ------
    RuntimeError
        An action was not done, or there was none: the figures would mean nothing.
    """
    job = rooms.job(job_name, target.engine)
    if job is None:
        raise RuntimeError(f"no {job_name} on {target.engine}")
    observation = look(session, target, job_name, at, memory)
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


def look(
    session: Session, target: Target, job_name: str, at: datetime | None = None, memory: Memory | None = None
) -> Observation:
    """Return what a job sees of a target, now or as of an instant."""
    job, server = rooms.job(job_name, target.engine), session.facts()
    if job is None:
        raise RuntimeError(f"no {job_name} on {target.engine}")
    return job.observe(Ask(job_name, session, target, at or server.clock, memory or Memory(), NOTHING_ASKED, server))


def undo(session: Session, target: Target, action: Action, observation: Observation, outcome: Outcome) -> Outcome:
    """Take a done action back."""
    job = rooms.job(observation.job, target.engine)
    if job is None:
        raise RuntimeError(f"no {observation.job} on {target.engine}")
    return job.undo(Work(session, target, action, observation, _nothing, time.sleep, _ignore), outcome)


def _nothing(message: str = "", *, rows: int = 0) -> None:
    """Stand in for the runner's checkpoint."""


def _ignore(note: Json) -> None:
    """Stand in for the ledger's note."""
