"""The control connection: the only place where the ledger meets the driver.

Statements come from ``include/sql/control`` by name and run with autocommit: when a call returns, what it
wrote is committed. Errors become `LedgerError`; they never carry the values of a statement.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

from upkeep import libpq
from upkeep.engines import Address
from upkeep.errors import LedgerError, UpkeepError
from upkeep.sqlfiles import load

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Row]

KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
}
"""A dead network is noticed within half a minute instead of the kernel's two hours."""
CONNECT_TIMEOUT = "10"
_SHUTDOWN = "57P"  # SQLSTATEs of a server or session that is being stopped
_DATA_EXCEPTION = "22"  # SQLSTATE class whose messages quote the offending value


class StatementError(LedgerError):
    """The control database refused a statement.

    Attributes
    ----------
    sqlstate
        The server's error code, or ``None`` when the connection was lost.
    """

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def connect(address: Address, application: str) -> Connection:
    """Connect to the control database and fix the session's settings.

    The extras of the connection that libpq knows (``sslmode`` …) are passed on, others left out.

    Raises
    ------
    LedgerError
        It does not answer or refuses the login; the message names host, port, database and user.
    """
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    parameters: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **KEEPALIVE}
    parameters |= {key: value for key, value in address.options.items() if key in known}
    try:
        secured = libpq.options(address)
    except UpkeepError as error:
        raise LedgerError(f"the control database: {error}") from None
    host, port = libpq.hosts(address)
    named = {"host": host, "port": port, "user": address.user, "password": address.password, "dbname": address.database}
    parameters |= secured | {key: value for key, value in named.items() if value}
    parameters |= {"application_name": application, "client_encoding": "UTF8"}
    connection: Connection | None = None
    try:
        # Nothing is prepared on the server: a pooler may answer the next statement from another session,
        # which knows none.
        connection = psycopg.connect("", autocommit=True, row_factory=dict_row, prepare_threshold=None, **parameters)
        connection.execute(load("control", "session_settings"))
    except psycopg.Error as error:
        if connection is not None:
            connection.close()
        if trouble := libpq.trouble(reason(error), address, secured):
            raise LedgerError(f"the control database: {trouble}; without the ledger nothing is changed") from None
        message = (
            f"the control database (connection '{address.connection_id}', {where(address)}) cannot be reached: "
            f"{reason(error)}; check that the server runs and that the connection is right: "
            "without the ledger nothing is changed"
        )
        raise LedgerError(message) from None
    return connection


def where(address: Address) -> str:
    """Return host, port, database and user for messages, never the password."""
    host = address.place(libpq.DEFAULT_PORT) if address.host else "the local socket"
    return f"{host}/{address.database} as {address.user or 'the default user'}"


class Control:
    """One connection to the control database, shared safely by the threads of a process.

    Parameters
    ----------
    application
        ``application_name`` on the server.
    revive
        Whether an idle connection that the server has closed is opened anew, once, before a statement
        (a lock must never be revived, a ledger may).
    """

    def __init__(self, address: Address, *, application: str, revive: bool = True) -> None:
        self.address = address
        self._application = application
        self._revive = revive
        self._guard = threading.RLock()
        self._in_transaction = False
        self._connection = connect(address, application)

    @property
    def backend_pid(self) -> int:
        """The server process that the server announced to this connection when it was opened."""
        return self._connection.info.backend_pid

    def close(self) -> None:
        """Close the connection; never raises."""
        with self._guard:
            self._connection.close()

    def fetch(self, name: str, **values: Any) -> list[Row]:
        """Run a statement that only reads and return its rows; sent again, once, when the connection is lost."""
        with self._guard:
            try:
                return self._execute(name, values)
            except StatementError as error:
                # A read changes nothing, so it may be asked twice; inside a transaction the first
                # answers belong to a snapshot that is gone.
                if error.sqlstate is not None or self._in_transaction or not self._revive:
                    raise
                return self._execute(name, values)

    def write(self, name: str, **values: Any) -> list[Row]:
        """Run a statement that writes and return its rows; committed when this returns.

        Never sent twice: when the connection is lost while the statement runs, nobody knows whether it
        was committed.
        """
        with self._guard:
            return self._execute(name, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run several statements as one transaction, committed at the end, rolled back by an exception."""
        with self._guard:
            self._wake()
            self._in_transaction = True
            try:
                with self._connection.transaction():
                    yield
            except psycopg.Error as error:
                raise _translated(error) from None
            finally:
                self._in_transaction = False

    def _execute(self, name: str, values: Row) -> list[Row]:
        if not self._in_transaction:
            self._wake()
        try:
            cursor = self._connection.execute(load("control", name), values or None)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise _translated(error) from None

    def _wake(self) -> None:
        """Open the connection anew when the server has closed it while it was idle.

        A closed socket is readable: seen here without a round trip, before a statement is sent, so that no
        statement is ever sent twice.
        """
        if self._revive and self._is_lost():
            self._connection.close()
            self._connection = connect(self.address, self._application)

    def _is_lost(self) -> bool:
        if self._connection.closed:
            return True
        try:
            poll = select.poll()
            poll.register(self._connection.fileno(), select.POLLIN)
            while poll.poll(0):  # its last words first, the end of the stream next
                self._connection.pgconn.consume_input()
        except (psycopg.Error, OSError):
            return True
        return self._connection.closed


def _translated(error: psycopg.Error) -> LedgerError:
    if isinstance(error, psycopg.errors.CheckViolation) and error.diag.constraint_name is None:
        return StatementError(
            "the ledger has no partition for this month; run `upkeep init`, which creates it", error.sqlstate
        )
    if error.sqlstate is None or error.sqlstate.startswith(_SHUTDOWN):
        message = f"the connection to the control database was lost ({reason(error)})"
        return StatementError(f"{message}; nothing more is changed until it is back", None)
    return StatementError(f"the control database refused to record: {reason(error)}", error.sqlstate)


def reason(error: psycopg.Error) -> str:
    """Return what went wrong, without the values that DETAIL, CONTEXT and data exceptions quote."""
    kind = type(error).__name__
    if error.sqlstate is None:
        lines = str(error).strip().splitlines()
        return lines[0] if lines else kind
    if error.sqlstate.startswith(_DATA_EXCEPTION) or not error.diag.message_primary:
        return f"{kind} ({error.sqlstate})"
    return f"{error.diag.message_primary} ({error.sqlstate})"
