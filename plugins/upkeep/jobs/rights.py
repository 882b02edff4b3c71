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


def severity(job: JobSpec, target: Target, names: Sequence[str]) -> Severity:
    """Return how bad it is when a job lacks a right: what only looks, or nobody asked for, says what it cannot do."""
    asked = names != [target.name] or not target.model_fields_set.isdisjoint(
        key.removeprefix("target.") for key in job.policy_keys
    )
    return Severity.ERROR if asked and not job.looks_only else Severity.WARNING


def lacking(name: str, severity: Severity, missing: Sequence[str], remedy: str) -> Finding:
    """Return the finding about the rights that a job lacks, with what grants them."""
    text = f"{name} lacks {', '.join(missing)}"
    return Finding.of(CHECK, name, severity, text, remedy, evidence={"missing": [*missing]})
