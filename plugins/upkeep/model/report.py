"""How a run went: what ``--json`` prints and the report page shows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from upkeep.model.action import Action
from upkeep.model.finding import Finding
from upkeep.model.gate import GateResult
from upkeep.model.outcome import Outcome
from upkeep.model.value import Json, Value


class TargetStatus(StrEnum):
    """How a run ended for one target."""

    OK = "ok"
    NOTHING_TO_DO = "nothing_to_do"
    PARTIAL = "partial"
    AWAITING_APPROVAL = "awaiting_approval"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    PAUSED = "paused"
    OBSERVED = "observed"
    PLANNED = "planned"
    NOT_SUPPORTED = "not_supported"
    UNHEALTHY = "unhealthy"


class PlanState(Value):
    """What became of a plan that a person was to decide about.

    Attributes
    ----------
    state
        ``awaiting``, ``granted``, ``expired``, ``rejected``, ``used`` or ``superseded``.
    by, at
        Who decided, and when it came to this; ``None`` while nobody has.
    run_id
        The run that carried it out (or tried to); of a superseded plan the run that planned the newest one.
    reason
        Why it was rejected.
    superseded_by
        The newest plan of the same target and job, when this one no longer counts.
    planned_by
        The newest run that planned exactly this.
    """

    state: str
    planned_by: str
    by: str | None = None
    at: datetime | None = None
    run_id: str | None = None
    reason: str | None = None
    superseded_by: str | None = None

    def document(self) -> Json:
        """Return its part of the ``--json`` document."""
        document = self.model_dump(mode="json", exclude_none=True)
        return {"by": None, "at": None, "run_id": None, **document}


class TargetReport(Value):
    """Everything that a run did to one target.

    Attributes
    ----------
    running
        Ids of the actions that are being carried out.
    seconds
        How long it took, from its beginning to its end, pauses between the steps included; ``None``: not known.
    """

    target: str
    engine: str
    status: TargetStatus
    at: datetime | None = None
    plan_id: str | None = None
    actions: tuple[Action, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()
    gates: tuple[GateResult, ...] = ()
    running: tuple[str, ...] = ()
    plan_state: PlanState | None = None
    error: str | None = None
    seconds: float | None = None

    def document(self) -> Json:
        """Return the target's part of the ``--json`` document (DESIGN 4)."""
        outcomes = {o.action_id: o for o in self.outcomes}
        document: Json = {
            "target": self.target,
            "engine": self.engine,
            "status": self.status.value,
            "plan_id": self.plan_id,
            "actions": [_action_document(a, outcomes.get(a.id)) for a in self.actions],
            "findings": [f.model_dump(mode="json", exclude_none=True) for f in self.findings],
            "gates": [g.model_dump(mode="json", exclude_none=True) for g in self.gates],
        }
        if self.plan_state is not None:
            document["plan_state"] = self.plan_state.document()
        if self.error:
            document["error"] = self.error
        return document


class RunReport(Value):
    """A run over all its targets: what ``--json`` prints and the report page shows.

    Attributes
    ----------
    at
        The instant that was worked on.
    notes, findings, gates
        What concerns the run as a whole; findings about targets that it has nothing to do with (any more).
    """

    run_id: str
    job: str
    at: datetime
    targets: tuple[TargetReport, ...]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    gates: tuple[GateResult, ...] = ()

    def document(self) -> Json:
        """Return the ``--json`` document."""
        document: Json = {
            "schema_version": 1,
            "run_id": self.run_id,
            "job": self.job,
            "at": self.at.isoformat(),
            "targets": [t.document() for t in self.targets],
        }
        document |= {"notes": list(self.notes)} if self.notes else {}
        found = [f.model_dump(mode="json", exclude_none=True) for f in self.findings]
        document |= {"findings": found} if found else {}
        gates = [g.model_dump(mode="json", exclude_none=True) for g in self.gates]
        return document | ({"gates": gates} if gates else {})


def _action_document(action: Action, outcome: Outcome | None) -> Json:
    document = action.model_dump(mode="json", exclude_none=True, exclude={"args", "after", "blocked", "reach", "rough"})
    if outcome is not None:
        document["outcome"] = outcome.model_dump(mode="json", exclude_none=True, exclude={"action_id"})
    return document
