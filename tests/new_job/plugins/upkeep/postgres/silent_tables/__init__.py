"""Tables on PostgreSQL that say nothing of themselves: a job that only looks."""

from __future__ import annotations

from typing import Final

from upkeep.fleet import Target
from upkeep.fleet.policies.comments import CommentsPolicy
from upkeep.jobs.contract import Ask, Job
from upkeep.model import Finding, FindingStatus, Observation, Plan, Request, Severity
from upkeep.postgres.session import PostgresSession


def _observe(ask: Ask[PostgresSession]) -> Observation:
    policy = CommentsPolicy.of(ask.target)
    wanted = list(policy.tables) if policy is not None else []
    return ask.answer({"tables": ask.session.rows("table_comments/tables", {"names": wanted})})


def _plan(observation: Observation, _target: Target, _request: Request) -> Plan:
    return Plan.make(observation, (), [_judged(**row) for row in observation.frames["tables"]])


def _judged(subject: str, comment: str | None) -> Finding:
    status, severity = FindingStatus.OK, Severity.INFO
    if comment is None:
        status, severity = FindingStatus.FINDING, Severity.ERROR
    said = {"characters": len(comment or "")}
    return Finding.of("comment", subject, severity, "its comment", "say what it is", evidence=said, status=status)


JOB: Final[Job[PostgresSession]] = Job(observe=_observe, decide=_plan)
