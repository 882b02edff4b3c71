"""TiDB as an engine: how the runner opens a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from upkeep.engines import Address, Session
from upkeep.fleet import Target
from upkeep.model import Finding
from upkeep.tidb import check
from upkeep.tidb.reader import TiDBReader
from upkeep.tidb.session import TiDBSession


class TiDBEngine:
    """Opens sessions on TiDB servers."""

    name: Final = "tidb"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[TiDBSession]:
        """Connect; close at the end of the block. Raises `UnreachableError` or `ConfigurationError`."""
        session = TiDBSession.connect(address, application=application)
        try:
            yield session
        finally:
            session.close()

    def reader(self, session: Session) -> TiDBReader:
        """Return what reads rows for a job of another target."""
        return TiDBReader(cast("TiDBSession", session))

    def check(self, session: TiDBSession, target: Target) -> list[Finding]:
        """Return what `upkeep check` says of a target."""
        return check.check(session, target)


ENGINE: Final = TiDBEngine()
