"""PostgreSQL as an engine: how the runner opens a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from upkeep.engines import Address, Session
from upkeep.fleet import Target
from upkeep.model import Finding
from upkeep.postgres import check
from upkeep.postgres.reader import PostgresReader
from upkeep.postgres.session import PostgresSession


class PostgresEngine:
    """Opens sessions on PostgreSQL servers."""

    name: Final = "postgres"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[PostgresSession]:
        """Connect; close at the end of the block. Raises `UnreachableError` or `ConfigurationError`."""
        session = PostgresSession.connect(address, application=application)
        try:
            yield session
        finally:
            session.close()

    def reader(self, session: Session) -> PostgresReader:
        """Return what reads rows for a job of another target."""
        return PostgresReader(cast("PostgresSession", session))

    def check(self, session: PostgresSession, target: Target) -> list[Finding]:
        """Return what `upkeep check` says of a target."""
        return check.check(session, target)


ENGINE: Final = PostgresEngine()
