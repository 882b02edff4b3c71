"""Bringing archived rows back: a run of its own, planned, fenced and recorded like every other."""

from __future__ import annotations

from datetime import datetime

from upkeep.engines import Session
from upkeep.errors import CancelledError, ConfigurationError, UpkeepError
from upkeep.fleet import Target
from upkeep.jobs import data_retention
from upkeep.jobs.contract import Job, RestoreRequest
from upkeep.model import Observation, Plan, RunReport
from upkeep.run import asking
from upkeep.run.runner import Runner

RESTORED_JOB = data_retention.NAME
"""The job whose archives come back; its actions carry the restoring out."""


def restore(runner: Runner, name: str, request: RestoreRequest, *, actor: str, apply: bool) -> RunReport:
    """Plan, and with ``apply`` carry out, the restoring of archived rows on one target.

    Raises
    ------
    ConfigurationError
        The engine cannot, or the request names what is not there.
    """
    target = runner.fleet.target(name)
    job = runner.job(RESTORED_JOB, target)
    if apply and target.mode == "observe":
        raise ConfigurationError(f"target '{name}' is in mode: observe; nothing is restored there")
    now = runner.now()
    planned = _tried(runner, target, job, request, now)
    # asked for like any request: what it plans takes no other plan's place
    asked = asking.options_of(request)
    options = {"restore": request.table, "into": request.into, "plan_only": not apply, **asked}
    run_id = runner.ledger.start_run(RESTORED_JOB, now, trigger=asking.RESTORE, actor=actor, options=options)
    runner.ledger.start_target(run_id, name, target.engine)
    try:
        with runner.step(run_id, name):
            if isinstance(planned, Exception):
                raise planned
            observation, plan = planned
            runner.ledger.save_plan(run_id, plan)
            runner.ledger.save_findings(run_id, name, plan.findings)
            rows = sum(action.rows or 0 for action in plan.actions)
            runner.say(name, f"{len(plan.actions)} action(s), at most {rows:,} rows")
            if apply and plan.actions:
                runner.applier(run_id, target, job, plan, observation).carry_out()
        runner.finish(run_id, name)
    except CancelledError as error:
        raise CancelledError(
            f"{error}. Files that were loaded stay, the one in work was rolled back, and the same command goes on from "
            f"there. What was done until then: upkeep show {run_id}"
        ) from error
    except ConfigurationError:
        raise
    except UpkeepError:
        return runner.report(run_id)
    finally:
        runner.ledger.finish_run(run_id)
    return runner.report(run_id)


def _tried(
    runner: Runner, target: Target, job: Job[Session], request: RestoreRequest, now: datetime
) -> tuple[Observation, Plan] | Exception:
    """Return the plan, or what is to be recorded as the run's failure; a wrong request is no run and raises."""
    try:
        return _plan(runner, target, job, request, now)
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - the run's step tells what is expected from what is not
        return error


def _plan(
    runner: Runner, target: Target, job: Job[Session], request: RestoreRequest, now: datetime
) -> tuple[Observation, Plan]:
    with runner.open(target) as session:
        observation = Observation(
            target=target.name,
            engine=target.engine,
            job=RESTORED_JOB,
            at=now,
            server=session.facts(),
            frames={},
        )
        if job.plan_restore is None:
            raise ConfigurationError(f"archives in files are not available on {target.engine} yet")
        return observation, job.plan_restore(session, target, request, observation).asked(request)
