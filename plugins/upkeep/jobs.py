"""The job contract, and the registry that finds the module for a job on an engine.

A job is observe (I/O) → plan (pure) → apply (I/O), with frames for the gates in between. The runner
(`runner.py`) owns the order, the ledger, the lock and the decisions that are alike on all engines
(approval, backup, window, limits, pause); the engine's module owns what is to be done and how.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, cast

from upkeep.errors import ConfigurationError, OverLimitError
from upkeep.fleet import Target
from upkeep.plan import Action, Finding, Json, Observation, Outcome, Plan

Stage: TypeAlias = Literal["before", "after"]

JOBS = ("partition_creation", "data_retention")
"""Jobs that exist; the DAG ids are the same names."""


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a server: a resolved Airflow connection, without Airflow.

    ``password`` never appears in ``repr``. ``options`` are the connection's extras, as strings
    (``sslmode``, ``connect_timeout`` …).
    """

    connection_id: str
    host: str
    port: int | None
    user: str
    database: str
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    """The connection's type (URI scheme), to notice a connection that belongs to another engine."""


class Session(Protocol):
    """An open connection to one target, made by its engine's room."""

    @property
    def identity(self) -> str:
        """The physical database, e.g. ``postgres:7301…:16384``; equal whatever the address."""

    @property
    def version(self) -> str:
        """The server's version as it prints it."""

    @property
    def tested(self) -> bool:
        """Whether the version is in the tested list (else observe only, unless the target allows it)."""

    def now(self) -> datetime:
        """Return the server's clock, in UTC."""

    def cancel(self) -> None:
        """Cancel the running statement on the server; callable from another thread or a signal handler."""

    def close(self) -> None:
        """Close; never raises."""


class Engine(Protocol):
    """What each engine's room offers as ``engine.ENGINE``."""

    name: str

    def open(self, address: Address, *, application: str) -> AbstractContextManager[Session]:
        """Connect. Raises `UnreachableError` with host, port, user and a remedy, never the password."""

    def check(self, session: Session, target: Target) -> list[Finding]:
        """Return what `upkeep check` says of a target: version, role, privileges on what is in care."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger remembers that a plan needs.

    Attributes
    ----------
    detached
        Object id (as text) → the evidence recorded when Upkeep detached that partition.
    intents
        Intents without an outcome: what an earlier, killed run had begun. Newest last;
        each the action's JSON with ``run_id`` and ``intended_at``.
    locations
        Archive location → the mark that lay there when rows last went into it.
    expiries
        Collection's uuid → the expiry that Upkeep gave it last: ``kind``, ``seconds``, ``recorded_at``.
    """

    detached: Mapping[str, Json] = field(default_factory=dict)
    intents: Sequence[Json] = ()
    locations: Mapping[str, str] = field(default_factory=dict)
    expiries: Mapping[str, Json] = field(default_factory=dict)


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
        if self.most is not None and rows > self.most:
            planned = f"{self.action.rows or 0:,} that were planned (tolerated: {self.most:,})"
            raise OverLimitError(f"by now more would go than the {planned}: plan again and approve that plan")


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
    """One job on one engine: what ``<room>/<job>.py`` offers as ``JOB``."""

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


def engine(name: str) -> Engine:
    """Return an engine's room, importing its driver only now."""
    return cast("Engine", importlib.import_module(f"upkeep.{name}.engine").ENGINE)


def require(name: str) -> None:
    """Raise `ConfigurationError` for an unknown job."""
    if name not in JOBS:
        raise ConfigurationError(f"unknown job {name!r}; there are: {', '.join(JOBS)}")


def job(name: str, engine_name: str) -> Job | None:
    """Return the job's module on that engine, or ``None`` when it is not available there yet."""
    require(name)
    module = f"upkeep.{engine_name}.{name}"
    try:
        return cast("Job", importlib.import_module(module).JOB)
    except ModuleNotFoundError as error:
        if error.name in (module, f"upkeep.{engine_name}"):
            return None
        raise


def policies(target: Target, job_name: str) -> Iterator[str]:
    """Yield the names in the target's fleet entry that declare something for this job."""
    yield from target.declared(job_name)
