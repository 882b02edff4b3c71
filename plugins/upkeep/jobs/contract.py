"""The job contract: what a job's room on an engine offers, and what it is given.

A job is observe (I/O) → plan (pure) → apply (I/O), with frames for the gates in between. The runner
(`upkeep.run.runner`) owns the order, the ledger, the lease and the decisions that are alike on all engines
(approval, backup, window, limits, pause); the engine's room owns what is to be done and how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from upkeep.engines import Session
from upkeep.errors import OverLimitError
from upkeep.fleet import Target
from upkeep.model import Action, Json, Memory, Observation, Outcome, Plan, Stage

TOLERATED_SHARE: Final = 0.1
TOLERATED_ROWS: Final = 1_000
"""So much more than was planned may go: rows that came of age or arrived late between the plan and its doing."""
ROUGH: Final = 2
"""A server's estimate of millions of rows may be wrong by that: an unchanged plan must go through all the same."""


def tolerated(rows: int, *, rough: bool = False) -> int:
    """Return how many rows may go where so many were planned; an estimate may be half of what is there."""
    # of ten planned rows one more would be a tenth already: so few are never worth asking a person again
    most = rows * ROUGH if rough else rows
    return most + max(round(most * TOLERATED_SHARE), TOLERATED_ROWS)


class Checkpoint(Protocol):
    """Called by an engine before every batch and before every statement that changes something."""

    def __call__(self, message: str = "", *, rows: int = 0) -> None:
        """Report progress; raise `LeaseLostError`, `StopError` or `CancelledError` when the run must stop.

        Parameters
        ----------
        rows
            Rows (documents, entries) that went since the last call: counted against what was approved.
        """


@dataclass(frozen=True, slots=True)
class Work:
    """One action to carry out.

    Attributes
    ----------
    observation
        What the plan was made from (for preconditions).
    checkpoint
        To be called with no transaction open, before each batch or statement.
    sleep
        Waits so many seconds, ending early (by raising) when the run must stop.
    note
        Writes a JSON note to the ledger under the action's intent, committed at once: progress that the
        next run needs after a kill.
    seen
        With the owner's expectations: what was seen of the rows (`RowBatch.seen`); only such rows may go.
    most
        The most rows that it may take, where it was approved, or planned too long ago; ``None``: no limit of that kind.
    """

    session: Session
    target: Target
    action: Action
    observation: Observation
    checkpoint: Checkpoint
    sleep: Callable[[float], None]
    note: Callable[[Json], None]
    seen: str | None = None
    most: int | None = None

    def allow(self, rows: int) -> None:
        """Raise `OverLimitError` when ``rows``, all that went and are about to go, are more than was approved."""
        # before rows go, not after: what is above the number stays, and a person sees a new plan
        if self.most is not None and rows > self.most:
            planned = f"{self.action.rows or 0:,} that were planned (tolerated: {self.most:,})"
            raise OverLimitError(f"by now more would go than the {planned}: plan again and approve that plan")


def go_on(message: str = "", *, rows: int = 0) -> None:
    """Stand in for a checkpoint where nothing can ask to stop: the taking back of one change."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some of the rows that an action is about to remove, for the owner's own expectations.

    Attributes
    ----------
    rows
        Column → value; numbers and booleans as they are, the rest as text.
    keys
        Columns of the primary key: all that is ever shown of a row.
    seen
        The engine's word for the snapshot that the rows are of, the same in all batches.
    """

    rows: Sequence[Mapping[str, Any]]
    keys: tuple[str, ...]
    seen: str


class Examines(Protocol):
    """What a job offers whose rows can be looked at before they go."""

    def doomed_rows(self, work: Work) -> Iterator[RowBatch]:
        """Yield the rows that the action would remove, in batches of bounded size, all of one snapshot."""


class Job(Protocol):
    """One job on one engine: what ``<room>/<job>/`` offers as ``JOB``."""

    name: str

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need, in as few round trips as possible; change nothing."""

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure. Per-table problems become findings and blocked actions, not exceptions."""

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at; each row has a ``subject``. Pure."""

    def apply(self, work: Work) -> Outcome:
        """Carry one action out. Re-checks its precondition. Expected trouble becomes an outcome, not an exception."""

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Take one done action back (re-attach …), or say that it cannot be undone."""


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Which archived rows are to come back.

    Attributes
    ----------
    table
        The archived table, as in the fleet file.
    since, until
        The range of ages (``since`` inside, ``until`` outside); ``None``: no end there.
    into
        The table that gets the rows; default: the archived one.
    location
        Where the files are; default: the policy's ``retain.into``.
    identity
        Whose files: a physical database, or ``all``; default: the target's own.
    again
        Load also what was restored into a table, or a history of the server, that is gone.
    """

    table: str
    since: datetime | None = None
    until: datetime | None = None
    into: str | None = None
    location: str | None = None
    identity: str | None = None
    again: bool = False


class Restores(Protocol):
    """What a job offers whose archives can come back."""

    def plan_restore(self, session: Session, target: Target, request: RestoreRequest, observation: Observation) -> Plan:
        """Return what would be loaded. Raises `ConfigurationError` when the request cannot be met."""
