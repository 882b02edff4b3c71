"""`upkeep check`: can every target be reached, with which version, role and privileges?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from upkeep import connections, engines
from upkeep.engines import Address, Session
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.fleet import Fleet, Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs.contract import Ask
from upkeep.model import NOTHING_ASKED, Finding, FindingStatus, Json, Memory, Severity
from upkeep.run import verifying


@dataclass(frozen=True, slots=True)
class TargetCheck:
    """What was found about one target."""

    target: str
    engine: str
    findings: tuple[Finding, ...]
    unreachable: bool = False

    @property
    def heading(self) -> str:
        """The line above its findings."""
        return f"{self.target} ({self.engine})"

    @property
    def bad(self) -> bool:
        """Whether anything is at least an ERROR."""
        return any(f.status is not FindingStatus.OK and f.severity.rank >= Severity.ERROR.rank for f in self.findings)

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
        return {"target": self.target, "engine": self.engine, "status": self.status, "findings": findings}


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
    except (UnreachableError, ConfigurationError) as error:
        severity = Severity.ERROR
        finding = Finding(
            check="connection", subject=target.name, status=FindingStatus.FAILED, severity=severity, summary=str(error)
        )
        return TargetCheck(target.name, target.engine, (finding,), unreachable=isinstance(error, UnreachableError))
    return TargetCheck(target.name, target.engine, tuple(found))


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
