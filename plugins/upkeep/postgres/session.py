"""One connection to one PostgreSQL database: the only door through which statements go.

Every setting that our statements rely on is pinned at connect; transaction-pooled connections, where such
settings and session locks silently land on another backend, are refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final, LiteralString, TypeAlias, cast

import psycopg
from psycopg import sql

from upkeep import sqlfiles
from upkeep.engines import Address
from upkeep.errors import CancelledError, ConfigurationError, UnreachableError
from upkeep.jobs.errors import ConnectionLostError
from upkeep.model import ENGINES, ServerFacts
from upkeep.postgres import connection as connections
from upkeep.postgres import faults
from upkeep.postgres.connection import clean, connect, where

Row: TypeAlias = dict[str, Any]
Params: TypeAlias = Mapping[str, Any]

TESTED_VERSIONS: Final = ENGINES["postgres"].tested_versions
"""Major versions that the test suite has run on. The statements are written for 14 to 18."""
OLDEST_VERSION: Final = 14
"""DETACH … CONCURRENTLY, and the catalog columns read here, exist since then."""
LOCK_TIMEOUT: Final = "2s"
"""For statements that meet a lock nobody expected; work that plans for locks sets its own (`ddl`)."""
STATEMENT_TIMEOUT: Final = "10min"
"""Nothing single that this tool sends should take longer; long work goes in batches."""
IDLE_TIMEOUT: Final = "60s"
"""A job that froze in a transaction must not hold its locks for longer."""
_SETTING: Final = (
    "with 'replica' foreign keys and triggers would not see what changes: alter role (or alter database) … reset "
    "session_replication_role, or (PostgreSQL 15 and later) grant set on parameter session_replication_role to the role"
)
"""What to do about the only setting that is not everybody's to change."""


class PostgresSession:
    """An open session; implements `upkeep.engines.Session`.

    Attributes
    ----------
    is_replica
        Whether the server is in recovery.
    version_number
        As ``server_version_num``: 150018 for 15.18.
    instance
        When the server was started: tells copies with the same identity apart.
    refused
        The tables that the last statement named which did not get its locks.
    trace
        Called with each statement's text before it is sent; for tests that kill the job at each of them.
    """

    def __init__(self, connection: psycopg.Connection[Row], address: Address) -> None:
        self._connection = connection
        self._where = where(address)
        self._address = address
        self._second: psycopg.Connection[Row] | None = None
        self._cancelled = False
        self.trace: Callable[[str], None] | None = None
        self.refused: list[str] = []
        timeouts = {"lock_timeout": LOCK_TIMEOUT, "statement_timeout": STATEMENT_TIMEOUT, "idle_timeout": IDLE_TIMEOUT}
        about = self.rows("session_begin", timeouts)[0]
        self.is_replica: bool = about["is_replica"]
        self.role: str = about["role"]
        self.version_number: int = about["version_number"]
        self.backend_pid: int = about["backend_pid"]
        self._version: str = about["version"]
        self.instance: str = about["started"]
        self._identity = f"postgres:{about['system_identifier']}:{about['database_oid']}"

    @classmethod
    def connect(cls, address: Address, *, application: str) -> PostgresSession:
        """Connect and pin the settings.

        Raises
        ------
        UnreachableError
            The server does not answer or refuses the login.
        ConfigurationError
            A transaction pooler stands between, the server is too old, a connection option is wrong, or the role begins
            with a setting that it may not put right.
        """
        connection = connect(address, application)
        address = connections.reached(connection, address)
        try:
            session = cls(connection, address)
            session.refuse_old_version()
            if connection.info.backend_pid != session.backend_pid:
                session.refuse_transaction_pooling(address, application)
        except psycopg.errors.InsufficientPrivilege as error:
            connection.close()
            raise ConfigurationError(f"{where(address)}: {clean(error, address)}; {_SETTING}") from error
        except psycopg.Error as error:
            connection.close()
            raise UnreachableError(f"{where(address)}: {clean(error, address)}") from error
        except BaseException:
            connection.close()
            raise
        return session

    @property
    def identity(self) -> str:
        """``postgres:<system identifier>:<database oid>``: equal whatever the address."""
        return self._identity

    @property
    def version(self) -> str:
        """The server's version as it prints it."""
        return self._version

    @property
    def major(self) -> int:
        """The major version."""
        return self.version_number // 10_000

    @property
    def tested(self) -> bool:
        """Whether the test suite ran on this major version."""
        return str(self.major) in TESTED_VERSIONS

    @property
    def address(self) -> Address:
        """Where it is connected to, for programs that connect themselves: of several hosts the one that was taken."""
        return self._address

    @property
    def protection(self) -> str:
        """How the connection is protected, in words."""
        return connections.protection(self._connection)

    def dumping(self) -> str | None:
        """Return who dumps this database right now, in words; ``None``: nobody that can be seen."""
        for row in self.rows("dumping"):
            return f"{row['application']} (pid {row['pid']}, {row['role']}) dumps the database since {row['since']} UTC"
        return None

    @property
    def connection(self) -> psycopg.Connection[Row]:
        """The driver's connection, for COPY and server-side cursors."""
        return self._connection

    def now(self) -> datetime:
        """Return the server's clock, in UTC."""
        return cast("datetime", self.rows("clock")[0]["at"])

    def facts(self) -> ServerFacts:
        """Return what the server is."""
        return ServerFacts(
            identity=self.identity,
            version=self.version,
            tested=self.tested,
            replica=self.is_replica,
            role=self.role,
            clock=self.now(),
        )

    def rows(self, name: str, params: Params | None = None) -> list[Row]:
        """Run ``include/sql/postgres/<name>.sql`` and return its rows; a literal ``%`` is doubled in the file."""
        return self.execute(self.statement(name), params or {}).fetchall()

    def statement(self, name: str, /, **parts: sql.Composable) -> sql.Composed:
        """Return the statement of a file, without its comments, ``{braces}`` filled by identifiers and literals."""
        # The very first statement is the one that asks for the version.
        return statement(name, getattr(self, "version_number", None), **parts)

    def execute(self, statement: sql.SQL | sql.Composed, params: Params | None = None) -> psycopg.Cursor[Row]:
        """Send one statement.

        Raises
        ------
        ConnectionLostError
            The connection broke.
        CancelledError
            `cancel` was called.
        psycopg.Error
            What the server said otherwise.
        """
        # A cancel request stops only what runs at that moment: the next statement would be sent as if nothing had
        # been.
        if self._cancelled:
            raise CancelledError("the run was asked to stop")
        if self.trace is not None:
            self.trace(statement.as_string(self._connection))
        # Without parameters the driver leaves every % as it is.
        if params is not None and isinstance(statement, sql.Composed):
            statement = self._percents_doubled(statement)
        try:
            with self._translated():
                return self._connection.execute(statement, params)
        except psycopg.errors.LockNotAvailable:
            named = statement if isinstance(statement, sql.Composed) else ()
            # The server does not say which table it was: all that are named with their schema may be the one.
            parts = [part.as_string(self._connection) for part in named if isinstance(part, sql.Identifier)]
            self.refused = [name for name in parts if '"."' in name]
            raise

    @contextmanager
    def copy(self, statement: sql.SQL | sql.Composed) -> Iterator[psycopg.Copy]:
        """Send a COPY statement and give its stream; raises as `execute` does."""
        if self._cancelled:
            raise CancelledError("the run was asked to stop")
        if self.trace is not None:
            self.trace(statement.as_string(self._connection))
        with self._translated(), self._connection.cursor() as cursor, cursor.copy(statement) as stream:
            yield stream

    @contextmanager
    def cursor(self, name: str, *, withhold: bool = False) -> Iterator[psycopg.ServerCursor[Row]]:
        """Give a cursor on the server; raises as `execute` does."""
        with self._translated(), self._connection.cursor(name, withhold=withhold) as cursor:
            yield cursor

    def _percents_doubled(self, statement: sql.Composed) -> sql.Composed:
        """Return the statement with each ``%`` in a name or literal doubled: the driver reads them as placeholders."""
        parts: list[sql.Composable] = []
        for part in statement:
            if isinstance(part, sql.Composed):
                parts.append(self._percents_doubled(part))
            elif isinstance(part, sql.SQL):
                parts.append(part)
            else:
                text = part.as_string(self._connection).replace("%", "%%")
                parts.append(sql.SQL(text))  # quoted by the driver just now
        return sql.Composed(parts)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction (nested: a savepoint); commit at the end of the block, roll back when it raises."""
        with self._translated(), self._connection.transaction():
            yield

    def flush(self, bits: str) -> str | None:
        """Make everything durable that the server has written to its WAL until now, open transactions' too.

        A synchronous commit does that, on a second connection, which is kept for the next time. Where there is none
        to be had nothing happens: the WAL writer does it a few seconds later.

        Parameters
        ----------
        bits
            How to end small transactions before, for a witness: ``1`` commits, ``0`` rolls back.

        Returns
        -------
        str or None
            The witness, durable as well: ``id:bit`` of each, a blank between them; ``None`` when there is none.
        """
        if self.trace is not None:
            self.trace("flush")
        witness: str | None = None
        with contextlib.suppress(psycopg.Error, UnreachableError):
            # Not on our own connection: a transaction is open there, and a commit would end it.
            if self._second is None or self._second.closed:
                self._second = connect(self._address, "flush")
                self._second.execute(self.statement("flush_settings"))
            with contextlib.suppress(psycopg.Error):  # no PL/pgSQL for us
                self._second.execute(self.statement("witness", bits=sql.Literal(bits)))
                witness = self._second.execute(self.statement("witness_read")).fetchall()[0]["witness"]
            try:
                self._second.execute(self.statement("flush"))
            except psycopg.Error:
                # What is not durable for certain may be forgotten by a crash: it bears no witness.
                witness = None
                raise
        return witness

    @contextmanager
    def beside(self, application: str) -> Iterator[PostgresSession]:
        """Open another session on the same database, for what must go on while this one is busy; `cancel` spares it.

        Raises as `connect` does, and `UnreachableError` when the address leads to another database by now.
        """
        other = PostgresSession.connect(self._address, application=application)
        try:
            if other.identity != self.identity:
                raise UnreachableError(f"{self._where}: it leads to another database by now")
            yield other
        finally:
            other.close()

    def cancel(self) -> None:
        """Cancel the running statement on the server, and refuse further ones; callable from any thread."""
        self._cancelled = True
        with contextlib.suppress(psycopg.Error, OSError):
            self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """Close; never raises."""
        for connection in (self._second, self._connection):
            with contextlib.suppress(Exception):
                if connection is not None:
                    connection.close()

    def refuse_old_version(self) -> None:
        """Raise `ConfigurationError` when the server is older than `OLDEST_VERSION`."""
        if self.major < OLDEST_VERSION:
            raise ConfigurationError(
                f"{self._where}: version {self.version} is older than {OLDEST_VERSION}; upgrade it"
            )

    def refuse_transaction_pooling(self, address: Address, application: str) -> None:
        """Raise `ConfigurationError` when a second client is given our backend while we are still connected.

        Called when the process id that the login returned is not the backend's: something stands between.
        A session pooler keeps the backend for us alone; a transaction pooler lends it to the next.
        """
        with contextlib.closing(connect(address, application)) as second:
            # More than once: a pooler with several free backends may lend us one each for a while.
            for _ in range(3):
                ours = self.rows("backend_pid")[0]["pid"]
                with second.transaction():
                    theirs = second.execute(self.statement("backend_pid"), {}).fetchall()[0]["pid"]
                    after = self.rows("backend_pid")[0]["pid"]
                if ours == theirs or after != ours:
                    raise ConfigurationError(
                        f"{self._where}: a transaction pooler stands between, where session settings and locks are "
                        "lost between statements; use the server's own port, or a pool in session mode"
                    )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            # Before anything is made of it: what is raised from here on carries its text into logs and the ledger.
            faults.redact(error)
            if self._cancelled:
                raise CancelledError("the run was asked to stop; its statement was cancelled on the server") from error
            if self._connection.broken or self._connection.closed:
                text = str(error).strip().splitlines()
                raise ConnectionLostError(
                    f"{self._where}: the connection was lost ({text[0] if text else 'no reason given'}); "
                    "the next run looks at the state and carries on"
                ) from error
            raise


def statement(name: str, version: int | None = None, /, **parts: sql.Composable) -> sql.Composed:
    """Return the statement of ``include/sql/postgres/<name>.sql`` with its ``{braces}`` filled, without a server."""
    return sql.SQL(_bare(name, version)).format(**parts)


@cache
def _bare(name: str, version: int | None) -> LiteralString:
    lines = sqlfiles.load("postgres", name, version).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--")).strip().rstrip(";")
