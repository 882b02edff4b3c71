"""What PostgreSQL's errors say, without values of rows: the one place whose words reach plans, logs and the ledger.

Rows are quoted by the DETAIL of constraint violations, by the messages of class 22 (a value that does not fit), of
syntax errors in statements that a trigger builds, and by whatever a function of the user's raises. The session takes
these words out of every error as it comes from the server (`redact`), so that no later ``str(error)``, and no
traceback, can show them.
"""

from __future__ import annotations

import re
from typing import Any, Final

import psycopg
from psycopg import errors

from upkeep.jobs.errors import (
    ActionError,
    ConnectionLostError,
    LockNotObtainedError,
    OverloadedError,
    StateChangedError,
)

_QUOTES_VALUES: Final = ("22", "42601", "P0", "38", "39")
"""Data exceptions, syntax errors, and what functions raise (PL/pgSQL; other languages)."""
_RAISED: Final = frozenset({"exec_stmt_raise", "exec_stmt_assert"})
"""Where PL/pgSQL raises what the user wrote, under any error code."""
TRANSIENT: Final = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)
"""Each of them has rolled back all that the attempt did, and says nothing of the next one."""
_NOT_THERE: Final = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedObject,
    errors.InvalidSchemaName,
)
_MEANINGS: Final[tuple[tuple[tuple[type[psycopg.Error], ...], type[ActionError]], ...]] = (
    (TRANSIENT, LockNotObtainedError),
    (_NOT_THERE, StateChangedError),
    # No memory, no connection, a limit of the server's own; a full disk is not over by the next run.
    ((errors.OutOfMemory, errors.TooManyConnections, errors.ConfigurationLimitExceeded), OverloadedError),
)
_FUNCTION: Final = re.compile(r"function (\S+?\([^)]*\))")


def describe(error: psycopg.Error) -> str:
    """Return what the server said, without values of rows."""
    state, diag = error.sqlstate or "", error.diag
    if not state:
        return _driver(error)
    if state.startswith(_QUOTES_VALUES) or diag.source_function in _RAISED:
        found = _FUNCTION.search(diag.context or "")
        raised = f" in {found[1]}" if found else ""
        return f"{type(error).__name__}{raised} ({state})"
    hint = f"; {diag.message_hint}" if diag.message_hint else ""
    return f"{diag.message_primary or type(error).__name__}{hint} ({state})"


def classify(error: Exception, connection: psycopg.Connection[Any] | None = None) -> ActionError | None:
    """Return what an error of the driver or the server means to an action; ``None``: it is neither's."""
    if not isinstance(error, psycopg.Error):
        return None
    if connection is not None and (connection.closed or connection.broken):
        # Whether the last statement took effect nobody knows; every step can be looked at and done again.
        return ConnectionLostError("the connection was lost; the next run looks at the state and carries on")
    meaning = next((kind for errors_, kind in _MEANINGS if isinstance(error, errors_)), ActionError)
    if meaning is StateChangedError and _FUNCTION.search(error.diag.context or ""):
        meaning = ActionError  # what a function of the user's does not find was not planned for by us
    return meaning(describe(error))


def _driver(error: psycopg.Error) -> str:
    """Return what the driver itself said: of the connection, but never of a value that it could not take."""
    lines = str(error).strip().splitlines()
    return type(error).__name__ if isinstance(error, psycopg.DataError) or not lines else lines[0]


def redact(error: psycopg.Error) -> None:
    """Take the values of rows out of an error's own text; what the server said otherwise stays in ``diag``."""
    error.args = (describe(error),)
