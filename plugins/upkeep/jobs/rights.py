"""What a user that lacks a right is told by `upkeep check`: the job, the right, and the command that grants it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from upkeep.fleet import Target
from upkeep.jobs.spec import JOBS, JobSpec
from upkeep.model import Finding, Severity
from upkeep.rolefiles import ALWAYS

CHECK: Final = "privileges"


@dataclass(frozen=True, slots=True)
class Declared:
    """What declares something for a job: whether a policy of the target does, and which objects, by name or glob."""

    own: bool
    objects: tuple[str, ...]


def declared(target: Target) -> Iterator[tuple[JobSpec, Declared]]:
    """Yield the jobs that a target declares something for, with what declares it."""
    for job in JOBS.values():
        if target.engine in job.engines:
            what = Declared(target.declares(job.policy_keys), tuple(target.objects(job.policy_keys)))
            if what.own or what.objects:
                yield job, what


def severity(job: JobSpec, target: Target, what: Declared) -> Severity:
    """Return how bad it is when a job lacks a right: what only looks, or nobody asked for, says what it cannot do."""
    asked = bool(what.objects) or not target.model_fields_set.isdisjoint(
        key.removeprefix("target.") for key in job.policy_keys
    )
    return Severity.ERROR if asked and not job.looks_only else Severity.WARNING


def lacking(name: str, severity: Severity, missing: Sequence[str], remedy: str, *, subject: str = "") -> Finding:
    """Return the finding about the rights that a job lacks, or every job (`ALWAYS`), with what grants them.

    Parameters
    ----------
    subject
        The object that they are about, where it is one; else the finding is about the job.
    """
    job = "every job" if name == ALWAYS else name
    lacks = f"lacks {', '.join(missing)}"
    text = f"{job} {lacks}" if subject else lacks
    return Finding.of(CHECK, subject or job, severity, text, remedy, evidence={"missing": [*missing]})
