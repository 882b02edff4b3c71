"""A job that looks, look after look on a real server: what was measured is remembered as the ledger would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.harness.jobs import look
from upkeep.fleet import Target
from upkeep.jobs import rooms
from upkeep.ledger import codec
from upkeep.model import Backup, Finding, Memory, Observation, Plan
from upkeep.run.settling import measured

SAMPLES = 3
"""So many looks see a threshold raised, or cleared."""


@dataclass
class Looks:
    """A job on a target, remembering the looks before.

    Attributes
    ----------
    earlier
        The last looks, newest first, as `upkeep.model.Memory.looks`.
    ages
        As `upkeep.model.Memory.ages`.
    endings
        As `upkeep.model.Memory.endings`.
    backups
        As `upkeep.model.Memory.backups`.
    """

    name: str
    what: Target
    earlier: list[dict[str, Any]] = field(default_factory=list)
    ages: list[dict[str, Any]] = field(default_factory=list)
    endings: list[dict[str, Any]] = field(default_factory=list)
    backups: list[Backup] = field(default_factory=list)

    def once(self, session: Any) -> Plan:
        """Look once; nothing is remembered of it."""
        job = rooms.job(self.name, self.what.engine)
        assert job is not None
        memory = Memory(looks=self.earlier, ages=self.ages, endings=self.endings, backups=self.backups)
        seen = look(self.name, session, self.what, memory=memory)
        plan: Plan = job.plan(Observation.model_validate(codec.unpack(codec.pack(seen.model_dump()))), self.what)
        return plan

    def look(self, session: Any, times: int = 1) -> dict[tuple[str, str], Finding]:
        """Look so many times; return the findings of the last look, by check and subject, healthy ones too."""
        for _ in range(times):
            plan = self.once(session)
            values = measured(plan.findings)
            self.earlier.insert(0, {"at": plan.at.isoformat(), "status": "ok", "measured": values})
        return {(f.check, f.subject): f for f in plan.findings}

    def level(self, session: Any, check: str, subject: str | None = None, times: int = 1) -> str:
        """Return how bad a check (of a subject) is after so many looks: a severity, ``ok``, or why it was not seen."""
        found = [
            f for (name, about), f in self.look(session, times).items() if name == check and subject in (None, about)
        ]
        assert found or subject is not None, f"{check} told nothing"
        if not found:
            return "ok"
        worst = max(found, key=lambda f: (f.status == "finding", f.severity.rank))
        return worst.severity.value if worst.status == "finding" else worst.status.value
