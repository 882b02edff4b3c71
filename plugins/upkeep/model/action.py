"""One change that would be made."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import Field

from upkeep.model.value import Json, Value, digest

LeaseName: TypeAlias = Literal["change", "backup", "warm", "verify"]
"""What is done to a physical database by one run at a time: changes, a backup, the warming of a cache; a proof of a
backup of it, which holds up nothing else."""


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
    OVERLOADED = "overloaded"
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


WAITING: Final = frozenset({ReasonCode.NEEDS_APPROVAL, ReasonCode.OVER_LIMIT})
"""Reasons that say "a person must look"."""
ON_PURPOSE: Final = WAITING | {
    ReasonCode.NEEDS_BACKUP,
    ReasonCode.OBSERVE_ONLY,
    ReasonCode.PAUSED,
    ReasonCode.OUTSIDE_WINDOW,
    ReasonCode.QUALITY_FAILED,
}
"""Reasons that leave an action undone on purpose: the state after is not expected to be as declared."""


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
        What the engine needs to carry it out, JSON values only (typed: `upkeep.jobs.args`). Where rows before a cut-off
        go, ``cut_off`` is theirs (``seconds`` where the server expires by itself), and ``leaves`` the tables that hold
        them, each with ``oid``.
    intent
        Digest of kind, subject, the object's identity and the effect, without what moves from day to day (cut-offs,
        leaves, estimates): by it an action that was planned earlier is found in today's plan (`upkeep.run.veto`).
    reach
        How far it goes, as a number that orders: the cut-off on the age's own axis (a smaller one takes less);
        ``None`` for whole objects.
    rough
        Whether ``rows`` is the server's estimate, not a count.
    not_during
        Names of leases on the same database (``backup``) beside whose holders it must not run.
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
    args: Json = Field(default_factory=dict)
    intent: str = ""
    reach: float | None = None
    rough: bool = False
    not_during: tuple[LeaseName, ...] = Field(default=(), exclude_if=lambda names: not names)

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
