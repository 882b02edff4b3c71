"""What both jobs read of the server, and what a single node cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pymysql

from upkeep.model import Finding, FindingStatus, Severity
from upkeep.tidb import ddl, faults, names, sql
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


def placement_driver(session: TiDBSession) -> bool | None:
    """Return whether a placement driver answers; ``None`` when we may not ask.

    A single node on its embedded store has none.
    """
    try:
        session.rows("regions")
    except pymysql.MySQLError as error:
        # "may not ask" and "is not there" are two things: the first a person can mend
        return None if faults.code(error) in faults.PRIVILEGE else False
    return True


def not_seen(driver: bool | None) -> str | None:  # noqa: FBT001 - what `placement_driver` returned
    """Return what cannot be told without a placement driver, or without the right to ask it; else ``None``."""
    what = "regions, hot spots and the GC safe point cannot be seen"
    if driver is None:
        return f"our user may not ask the placement driver (grant process on *.*): {what}"
    return None if driver else f"no placement driver answers (a single node): {what}"


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


def sample(session: TiDBSession, table: Sql, column: str) -> list[int]:
    """Return some of a column's numbers; none when that took too long."""
    try:
        rows = session.rows("sample_numbers", key=sql.identifier(column), table=table)
    except pymysql.MySQLError as error:
        if faults.code(error) in faults.INTERRUPTED:
            return []
        raise
    return [int(row["number"]) for row in rows]


def sees_others(session: TiDBSession) -> bool:
    """Return whether our user sees the sessions and transactions of others."""
    granted = " ".join(str(text) for row in session.rows("show_grants") for text in row.values())
    return "PROCESS" in granted or "ALL PRIVILEGES ON *.*" in granted


def _longest(session: TiDBSession) -> float | None:
    """Return how long the oldest transaction is open, in seconds; ``None`` when those of others cannot be seen."""
    try:
        if not sees_others(session):
            return None
        return float(session.rows("transactions")[0]["longest"] or 0)
    except pymysql.MySQLError:
        return None


def stuck_jobs(jobs: Any) -> Iterator[Finding]:
    """Yield the schema changes that have been in TiDB's queue for too long."""
    for job in jobs:
        if job["seconds"] < ddl.STUCK_SECONDS:
            continue
        age = timedelta(seconds=round(job["seconds"]))
        subject = names.display(job["schema"] or "-", job["table"] or "-")
        text = f"the schema change {job['job_id']} ({job['type']}) has been {job['state']} for {age}"
        remedy = f"admin show ddl jobs; end the transaction it waits for, or admin cancel ddl jobs {job['job_id']}"
        yield Finding.of("ddl_job", subject, Severity.WARNING, text, remedy, evidence=dict(job))


def not_available(server: Any) -> Iterator[Finding]:
    """Yield what this server cannot tell."""
    yield _unseen("disk_free", "free disk space cannot be seen through SQL", "watch it on the hosts")
    text = not_seen(server["placement_driver"])
    if text is not None:
        yield _unseen("placement_driver", text, "nothing is decided from them")
    if server["longest_transaction_seconds"] is None:
        text = "how long the oldest transaction is open is unknown: our user does not see those of others"
        yield _unseen("transactions", text, "grant process on *.* to it")


def _unseen(check: str, summary: str, remedy: str) -> Finding:
    return Finding.of(check, "server", Severity.INFO, summary, remedy, status=FindingStatus.NOT_AVAILABLE)
