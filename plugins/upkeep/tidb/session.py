"""One connection to one TiDB database: the only door through which statements go.

Every setting that our statements rely on is pinned at connect (``session_settings.sql``).
"""

from __future__ import annotations

import contextlib
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, cast

import pymysql
from pymysql.cursors import SSDictCursor

from upkeep import tls
from upkeep.engines import Address
from upkeep.errors import CancelledError, ConfigurationError, UnreachableError
from upkeep.jobs.errors import ConnectionLostError, NoConnectionError
from upkeep.model import ENGINES, ServerFacts
from upkeep.tidb import faults, sql
from upkeep.tidb.connection import DEFAULT_PORT, Connection, certificate_of, connect, protection_of
from upkeep.tidb.protection import WORDS
from upkeep.tidb.sql import Params, Sql

Row: TypeAlias = dict[str, Any]

TESTED_VERSIONS: Final = ENGINES["tidb"].tested_versions
"""Releases that the test suite has run on."""
OLDEST_VERSION: Final = (8, 0)
"""`information_schema.partitions` with ids, metadata locks and foreign keys are all there since then."""
LOCK_WAIT_SECONDS: Final = 2
"""For rows that others hold; DDL waits through its job instead (`ddl`)."""
STATEMENT_SECONDS: Final = 600
"""Of one statement; TiDB applies it to SELECT alone (executor/adapter.go), so batches and schema changes have limits of
their own."""
IDLE_SECONDS: Final = 600
"""A job that froze must not keep its session, and with it old versions of rows from being collected."""
_RELEASE: Final = re.compile(r"TiDB-v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement returned: its rows, or how many it touched."""

    rows: list[Row]
    count: int


class TiDBSession:
    """An open session; implements `upkeep.engines.Session`.

    Attributes
    ----------
    database
        The connection's database: where names without one belong.
    is_replica
        Whether the server refuses writes.
    trace
        Called with each statement's text before it is sent; for tests that kill the job at each of them.
    """

    def __init__(self, connection: Connection, address: Address, application: str) -> None:
        self._connection = connection
        self._address = address
        self._application = application
        self._cancelled = False
        self.trace: Callable[[str], None] | None = None
        settings = {"lock_wait": LOCK_WAIT_SECONDS, "statement_milliseconds": STATEMENT_SECONDS * 1000}
        self.rows("session_settings", {**settings, "idle_seconds": IDLE_SECONDS})
        about = self.rows("session_begin")
        if not about:
            raise ConfigurationError(f"{where(address)}: the cluster's id cannot be read; {_GRANT}")
        row = about[0]
        self.database: str = row["database_name"] or ""
        self.connection_id: int = row["connection_id"]
        self.is_replica: bool = bool(row["read_only"])
        self._version_text: str = row["version_text"]
        self._comment: str = row["version_comment"]
        birth = zlib.crc32(str(row["born"]).encode())
        self._identity = f"tidb:{row['cluster_id']}-{birth:08x}:{self.database}"

    @classmethod
    def connect(cls, address: Address, *, application: str) -> TiDBSession:
        """Connect and pin the settings.

        Raises
        ------
        UnreachableError
            The server does not answer or refuses the login; without the password.
        ConfigurationError
            It is no TiDB, too old, or a connection option is wrong.
        """
        try:
            connection = connect(address, application=application, as_dict=True)
        except (pymysql.MySQLError, OSError) as error:
            if trouble := tls.trouble(
                f"{type(error).__name__} {error}", address.place(DEFAULT_PORT), address.connection_id, WORDS
            ):
                raise UnreachableError(trouble) from None
            kind = NoConnectionError if faults.code(error) in faults.NO_CONNECTION else UnreachableError
            raise kind(f"{where(address)}: cannot connect: {_clean(error, address)}; {_remedy(error)}") from None
        try:
            return cls(connection, address, application)
        except pymysql.MySQLError as error:
            _quietly_close(connection)
            raise _refused(error, address) from None
        except BaseException:
            _quietly_close(connection)
            raise

    @property
    def identity(self) -> str:
        """``tidb:<cluster id>-<birth>:<database>``: equal whatever the address, another one for a restored copy."""
        return self._identity

    @property
    def is_tidb(self) -> bool:
        """Whether this is a TiDB server, not another that speaks its protocol."""
        return "TiDB" in self._version_text or "TiDB" in self._comment

    @property
    def version(self) -> str:
        """The server's TiDB release."""
        match = _RELEASE.search(self._version_text)
        return match[1] if match else self._version_text

    @property
    def tested(self) -> bool:
        """Whether the test suite ran on this release."""
        return self.is_tidb and self.version.rpartition(".")[0] in TESTED_VERSIONS

    @property
    def address(self) -> Address:
        """Where it is connected to."""
        return self._address

    @property
    def protection(self) -> str:
        """How the connection is protected, in words."""
        return protection_of(self._connection, self._address)

    @property
    def certificate(self) -> str | None:
        """The server's certificate as text (PEM), where the connection is encrypted."""
        return certificate_of(self._connection)

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return not self._connection.open

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def now(self) -> datetime:
        """Return the server's clock, in UTC."""
        return cast("datetime", self.rows("clock")[0]["at"]).replace(tzinfo=UTC)

    def facts(self) -> ServerFacts:
        """Return what the server is."""
        return ServerFacts(
            identity=self.identity,
            version=self.version,
            tested=self.tested,
            replica=self.is_replica,
            role=self._address.user,
            clock=self.now(),
        )

    def rows(self, name: str, params: Params | None = None, /, **parts: Sql) -> list[Row]:
        """Run ``include/sql/tidb/<name>.sql`` and return its rows."""
        return self.execute(sql.statement(name, params, **parts)).rows

    def execute(self, statement: Sql) -> Result:
        """Send one statement.

        Raises
        ------
        ConnectionLostError
            The connection broke.
        CancelledError
            `cancel` was called.
        pymysql.MySQLError
            What the server said otherwise.
        """
        # `cancel` comes from another thread or a signal handler: what was not sent by then must not be sent after it
        if self._cancelled:
            raise CancelledError("the run was asked to stop")
        if self.trace is not None:
            self.trace(statement.text)
        with self._translated(), self._connection.cursor() as cursor:
            cursor.execute(statement.text)
            return Result(list(cursor.fetchall()), cursor.rowcount)

    @contextmanager
    def stream(self, statement: Sql) -> Iterator[SSDictCursor]:
        """Send one statement and give a cursor over its rows, which stay with the server; raises as `execute` does."""
        if self._cancelled:
            raise CancelledError("the run was asked to stop")
        with self._translated(), self._connection.cursor(SSDictCursor) as cursor:
            cursor.execute(statement.text)
            yield cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction; commit at the end of the block, roll back when it raises."""
        # pessimistic, whatever a server or a proxy made of our setting: rows that were copied must stay locked until
        # they are deleted, and a commit must not fail for what others wrote meanwhile
        self.execute(Sql("begin pessimistic"))
        try:
            yield
        except BaseException:
            if not self.closed:
                # not through `execute`: after a cancel that sends nothing any more, and the locks would stay as long
                # as the session
                with contextlib.suppress(pymysql.MySQLError, OSError), self._connection.cursor() as cursor:
                    cursor.execute("rollback")
            raise
        self.execute(Sql("commit"))

    def another(self, application: str = "upkeep ddl") -> TiDBSession:
        """Return a second session to the same place."""
        return TiDBSession.connect(self._address, application=application)

    def cancel(self) -> None:
        """Kill the running statement from a second connection, and refuse further ones; callable from any thread."""
        self._cancelled = True
        with contextlib.suppress(pymysql.MySQLError, OSError, ConfigurationError):
            # from another connection, for ours waits for its answer; the statement alone, for the session has to roll
            # back
            other = connect(self._address, application=f"{self._application} cancel")
            try:
                with other.cursor() as cursor:
                    cursor.execute(sql.statement("kill_query", {"connection": self.connection_id}).text)
            finally:
                _quietly_close(other)

    def close(self) -> None:
        """Close; never raises."""
        _quietly_close(self._connection)

    def abort(self) -> None:
        """Break the connection under a statement that another thread waits for; never raises."""
        # `close` would write into the conversation that the other thread is in the middle of (PyMySQL is not for two
        # threads); a socket that is shut down only wakes that thread
        with contextlib.suppress(OSError, AttributeError):
            cast("socket.socket", getattr(self._connection, "_sock")).shutdown(socket.SHUT_RDWR)  # noqa: B009

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (pymysql.MySQLError, OSError) as error:
            # after a cancel any error is its doing, whatever the server calls it
            if self._cancelled:
                raise CancelledError("the run was asked to stop; its statement was cancelled on the server") from error
            lost = not isinstance(error, pymysql.MySQLError) or faults.is_lost(error, still_open=self._connection.open)
            if lost:
                # nothing may go over a connection whose last answer is not known: it could be taken for the next
                # one's
                self.close()
                raise ConnectionLostError(
                    f"{where(self._address)}: the connection was lost ({_clean(error, self._address)}); "
                    "the next run looks at the state and carries on"
                ) from error
            raise


_GRANT: Final = "grant select on mysql.tidb to the user"


def where(address: Address) -> str:
    """Return which server an address leads to, for messages; never the password."""
    place = replace(address, host=address.host or "127.0.0.1").place(DEFAULT_PORT)
    user, database = address.user or "root", address.database or "(none)"
    return f"TiDB at {place}, user {user}, database {database} (connection '{address.connection_id}')"


def _quietly_close(connection: Connection) -> None:
    with contextlib.suppress(Exception):
        connection.close()


def _refused(error: pymysql.MySQLError, address: Address) -> Exception:
    number = faults.code(error)
    if number in faults.PRIVILEGE:
        return ConfigurationError(f"{where(address)}: {_clean(error, address)}; {_GRANT}")
    if number in {1193, 1146, 1064}:  # unknown variable, no table mysql.tidb
        return ConfigurationError(
            f"{where(address)}: this is no TiDB, or one older than {'.'.join(map(str, OLDEST_VERSION))} "
            f"({_clean(error, address)}); give the address of a TiDB server (default port {DEFAULT_PORT})"
        )
    return UnreachableError(f"{where(address)}: {_clean(error, address)}")


def _clean(error: BaseException, address: Address) -> str:
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    text = " ".join(text.split()) or type(error).__name__
    return text.replace(address.password, "***") if address.password else text


def _remedy(error: BaseException) -> str:
    number = faults.code(error)
    if number == 1044:  # noqa: PLR2004 - told also of a database that is not there, to who may not see it
        return "check the name of the database, and that the user has a right on it"
    if number == 1045:  # noqa: PLR2004 - not let in
        return f"check user and password, and whether the user is to show a client certificate ({WORDS.client})"
    if number == 1049:  # noqa: PLR2004 - unknown database
        return "check the name of the database"
    if number in faults.NO_CONNECTION:
        return "the server has no free connection: close idle ones or raise max_connections"
    return "check host and port, and that the server is running and reachable from here"
