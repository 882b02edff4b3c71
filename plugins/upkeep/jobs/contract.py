"""The job contract: what a job's room on an engine offers, and what it is given.

A job is observe (I/O) → plan (pure) → apply (I/O), with frames for the gates in between; one that only looks has no
apply. The runner (`upkeep.run.runner`) owns the order, the ledger, the lease and the decisions that are alike on all
engines (approval, backup, window, limits, pause); the engine's room owns what is to be done and how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, NoReturn, Protocol, TypeAlias, TypeVar

from upkeep.engines import Reader, Session
from upkeep.errors import ConfigurationError, OverLimitError
from upkeep.fleet import Target
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.marks import Marks
from upkeep.jobs.frames import NO_GATES, Frames
from upkeep.model import (
    NOTHING_ASKED,
    Action,
    Finding,
    Json,
    Memory,
    Observation,
    Outcome,
    Plan,
    Request,
    ServerFacts,
    Stage,
)

S = TypeVar("S", bound=Session)
"""The session of the engine that a job runs on."""
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


Open: TypeAlias = Callable[[str], AbstractContextManager[Reader]]
"""Connects to another target of the fleet, by name, to read rows of it. Raises `UnreachableError`."""


def no_source(name: str) -> NoReturn:
    """Stand in for `Open` where there is no fleet around the target."""
    raise ConfigurationError(f"no rows of '{name}' are to be had here")


@dataclass(frozen=True, slots=True)
class Ask(Generic[S]):
    """What a job is asked to look at.

    Attributes
    ----------
    at
        What "now" means to the plan: the run's instant, never later than the server's clock.
    memory
        What the ledger remembers of what the job wants to remember (`Job.remembers`).
    request
        What a person asks of this run; of the job's own type (`upkeep.jobs.spec.JobSpec.request`).
    server
        What the server is.
    open
        Connects to another target, to see whether rows can be had of it.
    """

    job: str
    session: S
    target: Target
    at: datetime
    memory: Memory
    request: Request
    server: ServerFacts
    open: Open = no_source

    def answer(self, frames: dict[str, list[dict[str, Any]]]) -> Observation:
        """Return what was read as the observation; the frames stay the same lists."""
        return Observation.model_construct(  # up to thousands of rows, all made by the room: nothing to validate
            target=self.target.name,
            engine=self.target.engine,
            job=self.job,
            at=self.at,
            server=self.server,
            frames=frames,
        )


@dataclass(frozen=True, slots=True)
class Work(Generic[S]):
    """One action to carry out, or to take back.

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
    backup
        The verified backup that authorises it, where it requires one: only what predates its snapshot may go.
    marks
        What a restore of it held, by object: what is as it was then may go (`upkeep.jobs.backup.marks`).
    open
        Connects to another target, to read rows of it; they never leave the action.
    """

    session: S
    target: Target
    action: Action
    observation: Observation
    checkpoint: Checkpoint
    sleep: Callable[[float], None]
    note: Callable[[Json], None]
    seen: str | None = None
    most: int | None = None
    backup: Manifest | None = None
    marks: Marks = field(default_factory=dict)
    open: Open = no_source

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


def looks_only(work: Work[S], *_: Outcome) -> Outcome:
    """Stand in for what a job has not that only looks: its plans hold no actions, so nothing ever comes here."""
    raise TypeError(f"{work.observation.job} only looks, and was given {work.action.kind} to do")


class RestoreRequest(Request):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[S]):
    """One job on one engine: what the package ``<engine>/<job>`` offers as ``JOB``.

    Attributes
    ----------
    observe
        Reads what the plan and the gates need, in as few round trips as possible; changes nothing.
    decide
        Makes the plan; pure. Problems of one table become findings and blocked actions, not exceptions.
    gates
        The frames that the suites before and after look at; pure. A job that only looks has no suites.
    apply
        Carries one action out. Re-checks its precondition. Expected trouble becomes an outcome, not an exception.
    undo
        Takes one done action back, or says that it cannot be taken back.
    doomed_rows
        Yields the rows that an action would remove, in batches of bounded size, all of one snapshot: for jobs whose
        owners may have expectations of such rows.
    plan_restore
        Plans what would be loaded from archives. Raises `ConfigurationError` when the request cannot be met.
    conclude
        What was seen after, of what the job did itself (a restored backup, an index that was measured); pure.
    blind
        What it means to a job that only looks when the target could not be looked at, from the error and the last looks
        (`Memory.looks`); pure.
    measures
        What of an observation is worth a history beside the findings' evidence: check → subject → values; pure.
    remembers
        The parts of `Memory` that `observe` is to be given.
    uncovered
        Why `Work.backup` does not hold all that the action would take away, or ``None`` when it does; without it
        nothing that requires a backup is ever done.
    """

    observe: Callable[[Ask[S]], Observation]
    decide: Callable[[Observation, Target, Any], Plan]
    gates: Frames = NO_GATES
    apply: Callable[[Work[S]], Outcome] = looks_only
    undo: Callable[[Work[S], Outcome], Outcome] = looks_only
    doomed_rows: Callable[[Work[S]], Iterator[RowBatch]] | None = None
    plan_restore: Callable[[S, Target, RestoreRequest, Observation], Plan] | None = None
    conclude: Callable[[Observation, Observation, Plan, Sequence[Outcome]], Sequence[Finding]] | None = None
    blind: Callable[[Target, Exception, Sequence[Json]], Sequence[Finding]] | None = None
    measures: Callable[[Observation, Target], Mapping[str, Json]] | None = None
    remembers: frozenset[str] = frozenset()
    uncovered: Callable[[Work[S]], str | None] | None = None

    def plan(self, observation: Observation, target: Target, request: Request = NOTHING_ASKED) -> Plan:
        """Decide; the request becomes part of the plan and of its id."""
        return self.decide(observation, target, request).asked(request)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at; each row has a ``subject``. Pure."""
        if stage == "before":
            return self.gates.before(observation, target)
        return self.gates.after(observation, target, plan, outcomes)
