"""The values that travel through a run: observation, plan, action, outcome, finding, gate result.

All of them are frozen, compare by value, and go to JSON and back unchanged. They hold no connection
and know no engine; what an engine needs to carry an action out lies in ``Action.args``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

Json: TypeAlias = dict[str, Any]


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Severity(StrEnum):
    """How much a finding matters, rising."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """Return 0 for INFO up to 3 for CRITICAL."""
        return list(Severity).index(self)


class FindingStatus(StrEnum):
    """What a check can say. "Could not look" (the last two) is never "nothing found"."""

    OK = "ok"
    FINDING = "finding"
    FAILED = "failed"
    NOT_AVAILABLE = "not_available"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


class Finding(Value):
    """What a check saw, with the evidence it saw it in."""

    check: str
    subject: str
    status: FindingStatus
    severity: Severity
    summary: str
    evidence: Json = {}
    remedy: str | None = None

    @classmethod
    def of(
        cls,
        check: str,
        subject: str,
        severity: Severity,
        summary: str,
        remedy: str | None = None,
        *,
        evidence: Json | None = None,
        status: FindingStatus = FindingStatus.FINDING,
    ) -> Self:
        """Build a finding from what it says, in the order of its reading."""
        return cls(
            check=check,
            subject=subject,
            status=status,
            severity=severity,
            summary=summary,
            evidence=evidence or {},
            remedy=remedy,
        )


class ReasonCode(StrEnum):
    """Why an action was skipped or failed, for programs."""

    NEEDS_APPROVAL = "needs_approval"
    NEEDS_BACKUP = "needs_backup"
    OUTSIDE_WINDOW = "outside_window"
    OVER_LIMIT = "over_limit"
    PAUSED = "paused"
    OBSERVE_ONLY = "observe_only"
    STATE_CHANGED = "state_changed"
    LOCK_NOT_OBTAINED = "lock_not_obtained"
    NOT_SUPPORTED = "not_supported"
    GATE_FAILED = "gate_failed"
    QUALITY_FAILED = "quality_failed"
    DEPENDENCY = "dependency_not_done"
    CONNECTION_LOST = "connection_lost"
    CONSERVATION = "conservation_violated"
    LEASE_BUSY = "lease_busy"
    LEASE_LOST = "lease_lost"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class Requirement(Value):
    """What a destructive action needs before it may run.

    Attributes
    ----------
    kind
        ``nothing``, ``approval`` or ``backup``.
    backup_age_seconds
        With ``backup``: the greatest age of the verified backup's snapshot.
    """

    kind: str = "nothing"
    backup_age_seconds: float | None = None


class Action(Value):
    """One change that would be made, and everything a person needs to judge it.

    Attributes
    ----------
    id
        Digest of kind, subject and ``args``: equal for the same intent in two plans.
    subject
        What it changes, as the owner writes it (``public.pipeline_logs``).
    kind
        ``create_partition``, ``detach_partition``, ``delete_rows`` …
    detail
        What of the subject, for people: the partition and its range, the rows' cut-off.
    statements
        The exact statements, for reading; row batches are shown once.
    lock
        The strongest lock taken and on what, in words.
    rows, bytes
        Estimates of what it touches (rows; bytes); ``None`` when unknown.
    requires
        What must be there before it may run.
    over_limit
        Why it exceeds the policy's limits, so that it waits for approval; else ``None``.
    blocked
        Set when the plan already knows that it cannot run: ``(reason code, message)``.
    after
        Ids of actions that must be done first.
    args
        What the engine needs to carry it out, JSON values only. Where rows before a cut-off go, ``cut_off`` is theirs
        (``seconds`` where the server expires by itself), and ``leaves`` the tables that hold them, each with ``oid``.
    intent
        Digest of kind, subject, the object's identity and the effect, without what moves from day to day (cut-offs,
        leaves, estimates): by it an action that was planned earlier is found in today's plan (`upkeep.veto`).
    reach
        How far it goes, as a number that orders: the cut-off on the age's own axis (a smaller one takes less);
        ``None`` for whole objects.
    rough
        Whether ``rows`` is the server's estimate, not a count.
    """

    id: str
    subject: str
    kind: str
    statements: tuple[str, ...]
    reason: str
    destructive: bool
    precondition: str
    detail: str = ""
    undo: str | None = None
    lock: str = ""
    rows: int | None = None
    bytes: int | None = None
    requires: Requirement = Requirement()
    over_limit: str | None = None
    blocked: tuple[ReasonCode, str] | None = None
    after: tuple[str, ...] = ()
    args: Json = {}
    intent: str = ""
    reach: float | None = None
    rough: bool = False

    @classmethod
    def make(cls, *, kind: str, subject: str, args: Json, intent: Json | None = None, **rest: Any) -> Self:
        """Build an action whose id is the digest of its kind, subject and args.

        Parameters
        ----------
        intent
            The object's identity (oid, uuid, key; bounds) and the effect (what becomes of it, archive and its identity,
            age column, unit). Default: all of ``args``, so that an action which differs in anything is another one.
        """
        wish = digest(kind, subject, args if intent is None else intent)[:16]
        return cls(id=digest(kind, subject, args)[:16], kind=kind, subject=subject, args=args, intent=wish, **rest)

    @property
    def needs_person(self) -> bool:
        """Whether it waits for a person's approval."""
        if self.blocked or self.requires.kind == "backup":
            return False
        return self.requires.kind == "approval" or self.over_limit is not None


class OutcomeStatus(StrEnum):
    """What became of an action."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Outcome(Value):
    """What an action did.

    Attributes
    ----------
    rows, bytes
        What it really touched.
    seconds
        Wall time.
    evidence
        Counts and hashes that the transactions returned: the proof of conservation.
    """

    action_id: str
    status: OutcomeStatus
    seconds: float = 0.0
    reason_code: ReasonCode | None = None
    rows: int | None = None
    bytes: int | None = None
    message: str | None = None
    evidence: Json = {}


class Observation(Value):
    """The rows that a job read, in named tables of plain values (JSON types and datetimes).

    Attributes
    ----------
    identity
        The physical database: stable across addresses, different for a restored copy.
    at
        min(the run's instant, the server's clock): what "now" means to the plan.
    tested
        Whether the server's version is in the tested list; the runner takes it from the session.
    frames
        Table name → rows; the engine's room knows their columns, the gates look at them as frames.
    """

    target: str
    engine: str
    job: str
    identity: str
    version: str
    at: datetime
    frames: dict[str, list[dict[str, Any]]]
    tested: bool = False


class Plan(Value):
    """What a job would do to a target, and why.

    Attributes
    ----------
    policy
        Digest of what the fleet file said of the target when it was planned; empty: not known.
    """

    plan_id: str
    target: str
    engine: str
    job: str
    identity: str
    at: datetime
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...] = ()
    policy: str = ""

    @classmethod
    def make(cls, observation: Observation, actions: Sequence[Action], findings: Sequence[Finding] = ()) -> Self:
        """Build a plan whose id binds to the server, the objects, the bounds, the predicates and the row estimates."""
        plan_id = digest(
            observation.identity,
            observation.target,
            observation.job,
            [(a.id, a.rows, list(a.statements), a.destructive) for a in actions],
        )[:20]
        return cls(
            plan_id=plan_id,
            target=observation.target,
            engine=observation.engine,
            job=observation.job,
            identity=observation.identity,
            at=observation.at,
            actions=tuple(actions),
            findings=tuple(findings),
        )

    @property
    def awaiting(self) -> tuple[Action, ...]:
        """Return the actions that wait for a person."""
        return tuple(a for a in self.actions if a.needs_person)


class GateFailure(Value):
    """One expectation that did not hold.

    Attributes
    ----------
    subjects
        The subjects whose rows failed; empty when the whole target is concerned.
    stops
        ``target`` or ``subject``: how much of the run stops here.
    """

    expectation: str
    summary: str
    stops: str
    subjects: tuple[str, ...] = ()
    evidence: Json = {}
    remedy: str | None = None


class GateResult(Value):
    """The result of one expectation suite at one stage.

    Attributes
    ----------
    evaluated
        How many expectations were evaluated.
    checked
        What was expected, in words, for people; failed or not.
    left_out
        Subjects that were not looked at because nothing was to be proven: their actions were left undone on
        purpose (observe only, paused, outside the window, waiting for approval or backup).
    """

    suite: str
    stage: str
    success: bool
    evaluated: int
    failed: tuple[GateFailure, ...] = ()
    checked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def stops_target(self) -> bool:
        """Whether the target as a whole must not be touched."""
        return any(f.stops == "target" for f in self.failed)

    @property
    def stopped_subjects(self) -> frozenset[str]:
        """Return the subjects that must not be touched."""
        return frozenset(s for f in self.failed if f.stops == "subject" for s in f.subjects)


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
    """Everything that a run did to one target; ``running``: ids of the actions that are being carried out."""

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
    notes, findings
        What concerns the run as a whole; findings about targets that it has nothing to do with (any more).
    """

    run_id: str
    job: str
    at: datetime
    targets: tuple[TargetReport, ...]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

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
        return document | ({"findings": found} if found else {})


def _action_document(action: Action, outcome: Outcome | None) -> Json:
    document = action.model_dump(mode="json", exclude_none=True, exclude={"args", "after", "blocked", "reach", "rough"})
    if outcome is not None:
        document["outcome"] = outcome.model_dump(mode="json", exclude_none=True, exclude={"action_id"})
    return document


def digest(*parts: Any) -> str:
    """Return a hex SHA-256 over the canonical JSON of ``parts`` (datetimes in ISO form)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
