"""What an engine is to the rest: an address to reach it, a session on it, and what its room offers.

Drivers are imported by an engine's own room only, and a room is imported only when a target asks for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any, Protocol, cast, runtime_checkable

from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.model import ENGINES, Finding, FindingStatus, ServerFacts, Severity


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a server: a resolved Airflow connection, without Airflow.

    ``password`` never appears in ``repr``, nor do the ``options``, which may hold a key's: the connection's extras,
    as strings (``sslmode``, ``connect_timeout`` …). ``host`` is a name, an IP address, the path of a Unix socket, or
    several of them with their ports (``a:5432,[::1]:5433``).
    """

    connection_id: str
    host: str
    port: int | None
    user: str
    database: str
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    kind: str = ""
    """The connection's type (URI scheme), to notice a connection that belongs to another engine."""

    @property
    def local(self) -> bool:
        """Whether it is a Unix socket."""
        return self.host.startswith("/")

    @property
    def hosts(self) -> tuple[tuple[str, int | None], ...]:
        """Each host with its port, in the order written; one at least."""
        return tuple(self._host(part.strip()) for part in self.host.split(","))

    def _host(self, text: str) -> tuple[str, int | None]:
        if text.startswith("["):  # an IPv6 address
            name, _, port = text[1:].partition("]")
            return name, int(port[1:]) if port else self.port
        if text.count(":") != 1 or text.startswith("/"):
            return text, self.port
        name, _, port = text.partition(":")
        return name, int(port)

    def place(self, port: int) -> str:
        """Return where it leads, for people: each host with its port, or with this one; a path as it is."""
        return ", ".join(
            name if name.startswith("/") else f"{f'[{name}]' if ':' in name else name}:{own or port}"
            for name, own in self.hosts
        )


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

    @property
    def protection(self) -> str:
        """How the connection is protected, in words: see `upkeep.tls`."""

    def facts(self) -> ServerFacts:
        """Return what the server is; asks for its clock."""

    def cancel(self) -> None:
        """Cancel the running statement on the server; callable from another thread or a signal handler."""

    def close(self) -> None:
        """Close; never raises."""


class Reader(Protocol):
    """Rows of a target that another target's job needs: read, and never changed.

    What its engine or driver refuses is raised as an error of `upkeep.jobs.errors`, without values of rows.
    """

    def ready(self, statement: str) -> None:
        """Ask for a sign of life; reads no rows. Raises `ActionError` for a statement that does not only read."""

    def rows(self, statement: str, *, size: int, seconds: float) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield what a statement returns, column → value, in batches; after ``seconds`` it ends with an error."""


@runtime_checkable
class SeesDumps(Protocol):
    """A session that can see dumps which somebody else takes of its database."""

    def dumping(self) -> str | None:
        """Return who dumps the database right now, in words."""


class Engine(Protocol):
    """What each engine's room offers as ``engine.ENGINE``; ``reader`` where `EngineSpec.also` says ``rows``."""

    name: str

    def open(self, address: Address, *, application: str) -> AbstractContextManager[Session]:
        """Connect. Raises `UnreachableError` with host, port, user and a remedy, never the password."""

    def check(self, session: Session, target: Target) -> list[Finding]:
        """Return what `upkeep check` says of a target: version, role, privileges on what is in care."""


class ReadableEngine(Engine, Protocol):
    """An engine whose rows other targets' jobs may ask for."""

    def reader(self, session: Session) -> Reader:
        """Return what reads rows over a session that nobody else uses."""


def engine(name: str) -> Engine:
    """Return an engine's room, importing its driver only now."""
    return cast("Engine", room(name, "engine").ENGINE)


def room(name: str, part: str) -> ModuleType:
    """Return a module of an engine's room, importing its driver only now.

    Raises
    ------
    ConfigurationError
        The engine's driver is not installed.
    """
    try:
        return importlib.import_module(f"upkeep.{name}.{part}")
    except ModuleNotFoundError as error:
        spec = ENGINES[name]
        if (error.name or "").partition(".")[0] != spec.driver:
            raise
        message = f"the driver of {spec.title} is not installed here: pip install 'upkeep[{name}]'"
        raise ConfigurationError(message) from None


def connected(target: Target, version: str, *, tested: bool, tested_versions: str) -> Finding:
    """Return the finding that every engine begins with: reached, and is this version in the tested list?"""
    if tested or target.allow_untested:
        return Finding(
            check="connection",
            subject=target.name,
            status=FindingStatus.OK,
            severity=Severity.INFO,
            summary=f"connected, version {version}",
            evidence={"version": version, "tested": tested},
        )
    return Finding(
        check="version",
        subject=target.name,
        status=FindingStatus.FINDING,
        severity=Severity.WARNING,
        summary=f"version {version} is not in the tested list ({tested_versions}): observe only",
        evidence={"version": version, "tested": False},
        remedy="set allow_untested: true on the target once you have tried it on a copy",
    )
