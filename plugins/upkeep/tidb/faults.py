"""What TiDB's errors mean to a run: which are worth another try, which say that a batch was too large.

Codes: https://docs.pingcap.com/tidb/stable/error-codes
"""

from __future__ import annotations

import re
from typing import Final

import pymysql

from upkeep.jobs.errors import ActionError, LockNotObtainedError, OverloadedError, StateChangedError

LOCK_WAIT: Final = frozenset({1205, 3572})
DEADLOCK: Final = 1213
INTERRUPTED: Final = frozenset({1317, 3024})
"""The statement was killed, or took longer than max_execution_time."""
TRANSIENT: Final = LOCK_WAIT | {DEADLOCK, 8002, 8022, 8028, 9004, 9005, 9007}
"""Others held rows, wrote them first, changed the schema meanwhile, or a region moved: rolled back, try again."""
TOO_LARGE: Final = frozenset({8004, 8025, 8175, 8176, 8180, 1114})
"""The transaction is larger than the server takes, or its memory quota is used up: halve the batch."""
LOST: Final = frozenset({0, 1053, 2006, 2013, 2014, 4031})
PRIVILEGE: Final = frozenset({1044, 1142, 1143, 1227, 8121})
GONE: Final = frozenset({1049, 1051, 1054, 1146, 1507, 1735})
"""No such database, table, column or partition (any more)."""
NO_CONNECTION: Final = frozenset({1040, 1203})
OVERLOADED: Final = NO_CONNECTION | frozenset({8176, 8252, 8253, 8254, 9001, 9002, 9003, 9005, 9008})
"""No free connection, no memory, more than the resource group may take, a server of the cluster too busy to answer."""
FOREIGN_KEY: Final = frozenset({1451, 1217})
DUPLICATE: Final = 1062
NO_PARTITION: Final = 1526
UNSUPPORTED: Final = 8200
WRITE_CONFLICT: Final = frozenset({8005, 9007})
_ANYTHING: Final = frozenset({1064, 1105})
"""Part of a statement, or an error that TiDB has no number for."""
_QUOTES_VALUES: Final = _ANYTHING | frozenset(
    {1062, 1264, 1265, 1292, 1366, 1406, 1411, 1441, 1525, 1526, 1690, 3140, 3141, 3156, 8141}
)
"""Messages that show values of rows: they are left out."""


_KEY: Final = re.compile(r" for key '([^']*)'$")


def code(error: BaseException) -> int:
    """Return the server's (or driver's) error number; -1 without one."""
    first = error.args[0] if error.args else -1
    return first if isinstance(first, int) else -1


def is_lost(error: pymysql.MySQLError, *, still_open: bool) -> bool:
    """Return whether the connection is gone."""
    return not still_open or (
        code(error) in LOST and isinstance(error, pymysql.OperationalError | pymysql.InterfaceError)
    )


def classify(error: Exception) -> ActionError | None:
    """Return what an error of the driver or the server means to an action; ``None``: it is neither's."""
    if not isinstance(error, pymysql.MySQLError):
        return None
    number = code(error)
    meanings = ((GONE, StateChangedError), (OVERLOADED, OverloadedError), (TRANSIENT, LockNotObtainedError))
    return next((kind for numbers, kind in meanings if number in numbers), ActionError)(describe(error))


def describe(error: pymysql.MySQLError) -> str:
    """Return what the server said, without values of rows."""
    number = code(error)
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if number == DUPLICATE:
        key = _KEY.search(text)  # a name, no value
        named = f" ({key[1]})" if key else ""
        text = (
            f"a row with the same key{named} is in the archive already, and nothing of this batch was moved. Compare "
            "the two: what the archive holds may be all that is left of rows archived earlier, under a key given anew"
        )
    elif number == NO_PARTITION:
        text = "the archive has no partition for these rows: create it"
    elif number in WRITE_CONFLICT:
        text = "another session wrote the same rows first"
    elif number in _QUOTES_VALUES:
        text = "what the server says is left out, it may quote a row" if number in _ANYTHING else "a value does not fit"
    return f"{text} ({number})" if number >= 0 else text
