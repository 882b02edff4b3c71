"""`upkeep check`: can every target be reached, with which version, role and privileges?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from upkeep import connections, engines
from upkeep.engines import Address, Session
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.fleet import Fleet, Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.fleet.target import object_keys
from upkeep.jobs import rights, spec
from upkeep.jobs.contract import Ask
from upkeep.model import NOTHING_ASKED, Finding, FindingStatus, Json, Memory, Severity
from upkeep.run import verifying


@dataclass(frozen=True, slots=True)
class TargetCheck:
    """What was found about one target.

    Attributes
    ----------
    observed
        Why nothing is changed there; ``None``: what is declared is done.
    jobs, idle
        The jobs for which the fleet file declares something; those for which it could, and by which key.
    """

    target: str
    engine: str
    findings: tuple[Finding, ...]
    unreachable: bool = False
    observed: str | None = None
    jobs: tuple[str, ...] = ()
    idle: Mapping[str, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """The line above its findings."""
        return f"{self.target} ({self.engine})"

    @property
    def verdict(self) -> tuple[str, str]:
        """What will come of it, in a line, and whether that is ``red``, ``yellow`` or ``green``."""
        if self.unreachable:
            return "out of reach, so nothing was looked at", "red"
        if self.bad:
            return "not ready: what is ERROR stands in the way", "red"
        if self.observed:
            return f"works, observed only ({self.observed}): plans and reports, changes nothing", "yellow"
        if self.lacking:
            return "works, but for what is told below: that is not done, or was not looked at", "yellow"
        return "works: nothing is missing for what is declared; what a table itself forbids, its plans say", "green"

    @property
    def plans(self) -> tuple[str, ...]:
        """The jobs with something declared that do more than look."""
        return tuple(name for name in self.jobs if not spec.require(name).looks_only)

    @property
    def bad(self) -> bool:
        """Whether anything is at least an ERROR."""
        return any(f.status is not FindingStatus.OK and f.severity.rank >= Severity.ERROR.rank for f in self.findings)

    @property
    def lacking(self) -> bool:
        """Whether anything is a WARNING, or could not be looked at."""
        open_ = [f for f in self.findings if f.status is not FindingStatus.OK]
        return any(f.severity.rank >= Severity.WARNING.rank or f.status is not FindingStatus.FINDING for f in open_)

    @property
    def status(self) -> str:
        """``ok``, ``failed`` or ``unreachable``."""
        return "unreachable" if self.unreachable else "failed" if self.bad else "ok"

    def also(self, finding: Finding) -> TargetCheck:
        """Return the same with one more finding."""
        return replace(self, findings=(*self.findings, finding))

    def document(self) -> Json:
        """Return its part of the ``--json`` document."""
        findings = [f.model_dump(mode="json", exclude_none=True) for f in self.findings]
        return {
            "target": self.target,
            "engine": self.engine,
            "status": self.status,
            "verdict": self.verdict[0],
            "observed_only": self.observed is not None,
            "declared": [*self.jobs],
            "not_declared": dict(self.idle),
            "findings": findings,
        }


def check_fleet(fleet: Fleet, addresses: Callable[[str], Address], names: Sequence[str] = ()) -> list[TargetCheck]:
    """Check the targets (all, or those named); one that fails does not stop the others."""
    chosen = [fleet.target(name) for name in dict.fromkeys(names)] or list(fleet.targets.values())
    return [check_target(target, addresses) for target in chosen]


def check_target(target: Target, addresses: Callable[[str], Address]) -> TargetCheck:
    """Connect to one target and let its engine look at version, role and privileges."""
    try:
        address = addresses(target.connection)
        connections.require_engine(address, target.engine)
        engine = engines.engine(target.engine)
        with engine.open(address, application="upkeep check") as session:
            found = [*engine.check(session, target), _protection(session, target), *_backup(session, target)]
            observed = _observed(target, tested=session.facts().tested)
    except (UnreachableError, ConfigurationError) as error:
        severity = Severity.ERROR
        finding = Finding(
            check="connection", subject=target.name, status=FindingStatus.FAILED, severity=severity, summary=str(error)
        )
        return TargetCheck(target.name, target.engine, (finding,), unreachable=isinstance(error, UnreachableError))
    jobs = tuple(job.name for job, _ in rights.declared(target))
    idle = {job.name: key for job in spec.JOBS.values() if job.name not in jobs and (key := _key(job, target))}
    return TargetCheck(target.name, target.engine, tuple(found), observed=observed, jobs=jobs, idle=idle)


def _key(job: spec.JobSpec, target: Target) -> str | None:
    """Return a key by which something could be declared for a job; ``None``: it is not of this engine, or refused."""
    if target.engine not in job.engines or job.cron is None:
        return None
    of_objects = object_keys(target.engine)
    for place, _, key in (key.rpartition(".") for key in job.policy_keys):
        if key in of_objects or (place == "target" and not target.refuses(key) and key not in target.policies):
            return key
    return None


def _observed(target: Target, *, tested: bool) -> str | None:
    """Return why nothing is changed on a target; ``None`` where its policies are carried out."""
    if target.mode == "observe":
        return "mode: observe"
    return None if tested or target.allow_untested else "its version is not tested"


def _protection(session: Session, target: Target) -> Finding:
    """Return how the connection is protected."""
    text = f"the connection: {session.protection}"
    return Finding.of("protection", target.name, Severity.INFO, text, status=FindingStatus.OK)


def _backup(session: Any, target: Target) -> list[Finding]:
    """Return whether the backup that is declared could be taken from here: tools, rights, room for locks."""
    policy = BackupPolicy.of(target)
    if policy is None or policy.external:
        return []
    copier, server = verifying.copier(target.engine), session.facts()
    check = "backup_possible"
    try:
        survey = copier.survey(Ask("backup", session, target, server.clock, Memory(), NOTHING_ASKED, server))
    except Exception as error:
        trouble = copier.classify(error)
        if trouble is None:
            raise
        text = f"what a backup needs could not be looked at: {trouble}"
        return [Finding.of(check, target.name, Severity.WARNING, text, status=FindingStatus.INSUFFICIENT_EVIDENCE)]
    if survey.refusals:
        return [
            Finding.of(check, target.name, Severity.WARNING, f"no backup can be taken from here: {why}", remedy)
            for why, remedy in survey.refusals
        ]
    text = f"a backup of about {survey.bytes >> 20:,} MiB can be taken: {survey.command}"
    return [Finding.of(check, target.name, Severity.INFO, text, status=FindingStatus.OK)]
