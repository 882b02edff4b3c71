"""What both jobs read of the server, and what a single node cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql

from upkeep.tidb import faults

if TYPE_CHECKING:
    from upkeep.tidb.session import Row, TiDBSession
    from upkeep.tidb.sql import Sql


def observe(session: TiDBSession) -> Row:
    """Return the frame ``server``'s row."""
    return {
        "subject": "server",
        "reachable": True,
        "is_replica": session.is_replica,
        "version": session.version,
        "version_tested": session.tested,
        "disk_free_bytes": None,  # SQL does not tell
        "replication_lag_seconds": None,  # TiKV's replicas answer for themselves
        "longest_transaction_seconds": _longest(session),
        "placement_driver": placement_driver(session),
        "database": session.database,
        "now": session.now().isoformat(),
    }


def placement_driver(session: TiDBSession) -> bool:
    """Return whether a placement driver answers; a single node on its embedded store has none."""
    try:
        session.rows("regions")
    except pymysql.MySQLError:
        return False
    return True


def count(session: TiDBSession, source: Sql, predicate: Sql, most: int) -> int | None:
    """Return how many rows a predicate finds, up to ``most``; ``None`` when that took too long."""
    try:
        return int(session.rows("count_bounded", {"most": most}, source=source, predicate=predicate)[0]["found"])
    except pymysql.MySQLError as error:
        if faults.code(error) in faults.INTERRUPTED:
            return None
        raise


def count_whole(session: TiDBSession, source: Sql) -> int | None:
    """Return how many rows a table holds; ``None`` when that took too long."""
    try:
        return int(session.rows("count_whole", source=source)[0]["found"])
    except pymysql.MySQLError as error:
        if faults.code(error) in faults.INTERRUPTED:
            return None
        raise


def _longest(session: TiDBSession) -> float:
    try:
        longest = session.rows("transactions")[0]["longest"]
    except pymysql.MySQLError:  # not allowed to see others' transactions: ours is the longest we know
        return 0.0
    return float(longest or 0)
