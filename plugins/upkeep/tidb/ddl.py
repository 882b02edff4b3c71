"""Schema changes, waited for through their job.

TiDB carries a schema change out in the background, as a job of a queue: the client only waits. The change is
sent on a connection of its own, while ours looks at the job, calls the checkpoint, and cancels the job when
the run must stop or the time is over. Readers and writers pass all the time; a job waits only for
transactions that began before it (metadata locks).

A job that waits for others is rolled back when they end, not when it is cancelled: nobody waits for that but
the next run (`settle`). After a kill of ours the job goes on or not: either way the next run looks at the table
and carries on. A mark in the statement's text says which job is ours.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pymysql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Checkpoint
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.tidb import faults, keys, names, sql
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.sql import Sql

WAIT_SECONDS: Final = 60.0
"""For a change that only writes to the catalog: 0.05 s unless old transactions hold the table."""
COPY_SECONDS: Final = 600.0
"""For one that copies rows (REORGANIZE of a MAXVALUE partition)."""
LOOK_SECONDS: Final = 0.5
QUICK_SECONDS: Final = 0.3
"""Most jobs are over by then: the queue is not even asked."""
STUCK_SECONDS: Final = 600.0
"""A job that old is reported."""
_HEAD: Final = re.compile(r"/\* upkeep [0-9a-f]{32} \*/ ")


@dataclass(frozen=True, slots=True)
class Tools:
    """What every step needs."""

    session: TiDBSession
    checkpoint: Checkpoint
    sleep: Callable[[float], None]


@dataclass
class _Sent:
    """The statement on its own connection, in a thread that does nothing but wait for it."""

    error: BaseException | None = None


_CANCELLED: Final = "its job was cancelled"
_LEFT: Final = (
    "our user may not cancel its job (that takes super on *.*), so it is still to come, or end it by hand: admin show "
    "ddl jobs"
)


def run(tools: Tools, statement: Sql, *, what: str, seconds: float = WAIT_SECONDS) -> None:
    """Carry a schema change out; return when its job is over.

    Raises
    ------
    LockNotObtainedError
        It was not over in time; its job was cancelled, nothing was changed.
    LeaseLostError, StopError, OverLimitError, CancelledError
        The run must stop; the job was cancelled where that was still possible.
    pymysql.MySQLError
        What the server said.
    """
    tools.checkpoint(what)
    # information_schema.ddl_jobs keeps a job's text, and nothing else there tells ours from another's on the same
    # table
    mark = f"upkeep {uuid.uuid4().hex}"
    if tools.session.trace is not None:
        tools.session.trace(statement.text)
    sent = _Sent()
    with contextlib.closing(tools.session.another()) as other:
        marked = Sql(f"/* {mark} */ {statement.text}")
        thread = threading.Thread(target=_send, args=(other, marked, sent), name="upkeep ddl", daemon=True)
        thread.start()
        try:
            _wait(tools, thread, mark, what, seconds)
        except BaseException as error:
            # the job first: a connection that only breaks may leave its job in the queue, with nobody waiting for it
            may = _cancel(tools.session, mark)
            thread.join(1)
            other.abort()  # a job that was told to cancel ends only when the old transactions do: not waited for
            thread.join(5)
            if isinstance(error, LockNotObtainedError) and not may:
                raise LockNotObtainedError(str(error).replace(_CANCELLED, _LEFT)) from error
            raise
    if sent.error is not None:
        raise sent.error


def _send(session: TiDBSession, statement: Sql, sent: _Sent) -> None:
    try:
        session.execute(statement)
    except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
        sent.error = error


def _wait(tools: Tools, thread: threading.Thread, mark: str, what: str, seconds: float) -> None:
    started = time.monotonic()
    thread.join(QUICK_SECONDS)
    while thread.is_alive():
        job = _job(tools.session, mark)
        state = f"{job['state']}, {job['schema_state']}, {job['row_count']} rows" if job else "queued"
        # before the time is looked at: a run that is asked to stop says that, not that others held the table
        tools.checkpoint(f"{what}: {state}")
        if time.monotonic() - started > seconds:
            raise LockNotObtainedError(
                f"{what}: not over after {seconds:.0f} s ({state}): transactions begun before it still use the table, "
                f"or other changes are in the queue; {_CANCELLED}, the next run tries again"
            )
        thread.join(LOOK_SECONDS)


def _job(session: TiDBSession, mark: str) -> Row | None:
    rows = session.rows("ddl_job", {"mark": f"/* {mark} */%"})
    return rows[0] if rows else None


def _cancel(session: TiDBSession, mark: str) -> bool:
    """Cancel our job from a fresh connection: ours may be the one that was cancelled or lost.

    Returns False when our user may not: then it goes on by itself when what it waits for has ended.
    """
    try:
        with contextlib.closing(session.another()) as other:
            job = _job(other, mark)
            # TiDB takes this only in some states of a job (model.Job.IsRollbackable); a job beyond them ends as if
            # nobody had asked, and the next run looks at the table anyway
            if job is not None:
                other.rows("cancel_ddl", {"job": job["job_id"]})
    except pymysql.MySQLError as error:
        return faults.code(error) not in faults.PRIVILEGE
    except (UpkeepError, OSError):
        pass
    return True


@contextmanager
def claim(session: TiDBSession, table_id: int) -> Iterator[None]:
    """Hold the right to change a table's partitions, against other runs of Upkeep; never waits.

    Raises `LockNotObtainedError`. The server releases it when the session ends, however it ends.
    """
    # by id, not by name: a table that is renamed meanwhile must not be claimed twice
    name = {"name": f"upkeep {table_id}"}
    try:
        obtained = session.rows("claim", name)[0]["obtained"]
    except pymysql.MySQLError as error:
        # a named lock is a row of mysql.advisory_locks in a transaction that never commits
        # (session/advisory_locks.go): that another holds it may come as the error of a row lock
        if faults.code(error) not in faults.LOCK_WAIT:
            raise
        obtained = 0
    if not obtained:
        raise LockNotObtainedError("another run of Upkeep works on this table; the next run tries again")
    try:
        yield
    finally:
        if not session.closed and not session.cancelled:
            # what cannot be released here ends with the session
            with contextlib.suppress(pymysql.MySQLError, UpkeepError):
                session.rows("release", name)


def settle(tools: Tools, schema: str, name: str) -> None:
    """Wait until no schema change of the table is under way: one may be left of a run that was killed.

    Raises `LockNotObtainedError` when it takes too long.
    """
    started = time.monotonic()
    while ahead := [job for job in jobs(tools.session) if is_on(job, schema, name)]:
        if time.monotonic() - started > WAIT_SECONDS:
            raise LockNotObtainedError(
                f"schema change {ahead[0]['job_id']} ({ahead[0]['type']}) of {names.display(schema, name)} is still "
                f"{ahead[0]['state']}; the next run tries again"
            )
        tools.checkpoint(f"waiting for schema change {ahead[0]['job_id']}")
        tools.sleep(LOOK_SECONDS)


def show_create(session: TiDBSession, schema: str, name: str) -> str:
    """Return the table as SQL. Raises `pymysql.MySQLError` when it is gone."""
    row = session.rows("show_create", table=sql.identifier(schema, name))[0]
    return str(row.get("Create Table") or row.get("Create View") or "")


def jobs(session: TiDBSession) -> list[Row]:
    """Return the schema changes that are not over; empty when they cannot be seen."""
    try:
        rows = session.rows("ddl_jobs")
    except pymysql.MySQLError:
        return []
    return [_shown(row) for row in rows]


def _shown(row: Row) -> Row:
    text = str(row["query"] or "")
    return {
        "job_id": row["job_id"],
        "schema": row["db_name"],
        "table": row["table_name"],
        "type": row["job_type"],
        "state": row["state"],
        "seconds": float(row["seconds"] or 0),
        "ours": _HEAD.match(text) is not None,
    }


def is_on(job: dict[str, Any], schema: str, name: str) -> bool:
    """Return whether a job changes that table."""
    return names.same(str(job["schema"]), schema) and names.same(str(job["table"]), name)


def definition(name: str, bound: str) -> Sql:
    """Return one partition's definition; ``bound`` as the catalog has it."""
    return sql.fill(
        "partition {name} values less than ({bound})", name=sql.identifier(name), bound=bound_literal(bound)
    )


def bound_literal(text: str) -> Sql:
    """Return a partition's bound as a statement takes it: numbers and MAXVALUE as they are, the rest in quotes."""
    known = keys.bare(text)
    return Sql(known) if known.lstrip("-").isdigit() or known.upper() == "MAXVALUE" else sql.literal(known)
