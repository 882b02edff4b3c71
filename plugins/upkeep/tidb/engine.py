"""Reaching a TiDB server: identity, version, what a single node can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pymysql

from upkeep import checks
from upkeep.errors import UnreachableError
from upkeep.plan import Finding, FindingStatus, Severity
from upkeep.tidb.connection import connect

if TYPE_CHECKING:
    from upkeep.fleet import Target
    from upkeep.jobs import Address

TESTED: Final = ("8.5",)


class TiDBSession:
    """One connection to a TiDB server."""

    def __init__(self, connection: Any, address: Address) -> None:
        self.connection = connection
        self._address = address
        row = self.one("select version(), @@version_comment, connection_id(), database()")
        self._version, self._comment, self._id, self.database = (str(v) for v in row)

    def one(self, statement: str) -> tuple[Any, ...]:
        """Return the first row of a constant statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            row: tuple[Any, ...] = cursor.fetchone()
            return row

    @property
    def is_tidb(self) -> bool:
        """Whether this is a TiDB server, not another that speaks its protocol."""
        return "TiDB" in self._version or "TiDB" in self._comment

    @property
    def identity(self) -> str:
        """The physical database: the cluster's id, and the database's name."""
        row = self.one("select variable_value from mysql.tidb where variable_name = 'cluster_id'")
        return f"tidb:{row[0] if row else 'single'}:{self.database}"

    @property
    def version(self) -> str:
        """The server's TiDB version."""
        match = re.search(r"TiDB-v?([\d.]+)", self._version)
        return match.group(1) if match else self._version

    @property
    def tested(self) -> bool:
        """Whether the version is in the tested list."""
        return self.is_tidb and self.version.rpartition(".")[0] in TESTED

    def now(self) -> datetime:
        """Return the server's clock."""
        (seconds,) = self.one("select unix_timestamp(now(6))")
        return datetime.fromtimestamp(float(seconds), UTC)

    def cancel(self) -> None:
        """Kill the running statement from a second connection."""
        try:
            other = connect(self._address)
            with other.cursor() as cursor:
                cursor.execute(f"kill tidb query {int(self._id)}")
            other.close()
        except pymysql.MySQLError:  # the server is gone: so is the statement
            self.close()

    def close(self) -> None:
        """Close; never raises."""
        if self.connection.open:
            self.connection.close()


class TiDBEngine:
    """Opens and checks TiDB targets."""

    name = "tidb"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[TiDBSession]:  # noqa: ARG002 - MySQL's protocol has no application name
        """Connect. Raises `UnreachableError` without showing the password."""
        try:
            session = TiDBSession(connect(address), address)
        except (pymysql.MySQLError, OSError) as error:
            message = (
                f"{address.connection_id}: no TiDB at {address.host}:{address.port or 4000} for user '{address.user}': "
                f"{error}; check host, port, password and TLS of the connection"
            )
            raise UnreachableError(message) from error
        try:
            yield session
        finally:
            session.close()

    def check(self, session: TiDBSession, target: Target) -> list[Finding]:
        """Return reachability, version, and whether it really is a TiDB."""
        found = [checks.connected(target, session.version, tested=session.tested, tested_versions=", ".join(TESTED))]
        if not session.is_tidb:
            found.append(
                Finding(
                    check="version",
                    subject=target.name,
                    status=FindingStatus.FINDING,
                    severity=Severity.ERROR,
                    summary=f"this server is not TiDB: it says {session.version}",
                    remedy="give the address of a TiDB server (default port 4000)",
                )
            )
        return found


ENGINE = TiDBEngine()
