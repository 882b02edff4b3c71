"""What a user that lacks a right is told by `upkeep check`: the job, the right, and the command that grants it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs.spec import JOBS, JobSpec
from upkeep.model import Finding, Severity

CHECK: Final = "privileges"


def declared(target: Target) -> Iterator[tuple[JobSpec, list[str]]]:
    """Yield the jobs that a target declares something for, with the names of what declares it."""
    policy = BackupPolicy.of(target)
    for job in JOBS.values():
        elsewhere = job.verifies and policy is not None and policy.external
        names = [*target.declared(job.policy_keys)] if target.engine in job.engines and not elsewhere else []
        if names:
            yield job, names


def lacking(job: JobSpec, missing: Sequence[str], remedy: str) -> Finding:
    """Return the finding about a job's missing rights: what only looks goes on without, and says what it cannot see."""
    severity = Severity.WARNING if job.looks_only else Severity.ERROR
    text = f"{job.name} lacks {', '.join(missing)}"
    return Finding.of(CHECK, job.name, severity, text, remedy, evidence={"missing": [*missing]})
