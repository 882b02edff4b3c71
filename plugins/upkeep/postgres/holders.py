"""Whom a lock was not obtained from: process, user, application, state, since when. Never what it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg

from upkeep.errors import UnreachableError
from upkeep.postgres.session import PostgresSession

SHOWN: Final = 3
_RIGHT: Final = "grant pg_monitor to our role to see more of it"


def held_by(
    session: PostgresSession, oids: Sequence[int] | None = None, *, writers: bool = False, key: int | None = None
) -> str:
    """Return who holds locks on tables, as the end of a sentence (``; held by …``); empty when nobody does by now.

    Parameters
    ----------
    oids
        The tables; without them those that the last statement named which did not get its locks.
    writers
        Leave out who only reads.
    key
        An advisory lock of ours.
    """
    names = session.refused if oids is None and key is None else []
    params = {"names": names, "oids": list(oids or ()), "writers": writers, "key": key}
    try:
        return said(session.rows("holders", params))
    except (psycopg.Error, UnreachableError):  # it is only for a message
        return ""


def said(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the holders as the end of a sentence.

    >>> said(
    ...     [
    ...         {
    ...             "pid": 7,
    ...             "gid": None,
    ...             "username": "app",
    ...             "application": "report",
    ...             "backend_type": "client backend",
    ...             "state": "idle in transaction",
    ...             "since": "2024-05-06 07:08:09",
    ...             "seen": True,
    ...         }
    ...     ]
    ... )
    "; held by process 7 (user app, application 'report', idle in transaction, since 2024-05-06 07:08:09Z)"
    >>> said([{"pid": 7, "gid": None, "username": "app", "seen": False}])
    '; held by process 7 (user app; grant pg_monitor to our role to see more of it)'
    >>> said([])
    ''
    """
    if not rows:
        return ""
    more = " and others" if len(rows) > SHOWN else ""
    return f"; held by {', '.join(one(row) for row in rows[:SHOWN])}{more}"


def one(row: Mapping[str, Any]) -> str:
    """Return one holder in words."""
    if row["gid"] is not None:
        return f"prepared transaction '{row['gid']}' (user {row['username']}, since {row['since']}Z)"
    user = f"user {row['username']}" if row["username"] else "user unknown"
    if not row["seen"]:
        return f"process {row['pid']} ({user}; {_RIGHT})"
    parts = [user]
    if row["backend_type"] not in (None, "client backend"):
        parts = [str(row["backend_type"])]
    if row["application"]:
        parts.append(f"application '{row['application']}'")
    if row["state"]:
        parts.append(str(row["state"]))
    if row["since"]:
        parts.append(f"since {row['since']}Z")
    return f"process {row['pid']} ({', '.join(parts)})"
