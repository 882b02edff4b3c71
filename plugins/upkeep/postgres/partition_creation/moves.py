"""Many rows leave a default partition for a new one: copied while a trigger writes down every change.

The steps, each a short transaction:

1. make the new table, a log and a trigger on the default partition that writes each change of a row in
   the range into the log; creating it waits for writers under way, so none slips through;
2. copy the rows; the copy and the clearing of the log read one snapshot, so each change is in exactly one;
3. carry over what the log holds, until little is left; then, in one snapshot, compare copy and original
   by count and hash;
4. under ACCESS EXCLUSIVE: carry over the few changes since, delete the rows, compare the counts, attach,
   take trigger and log away.

A reader sees the rows in the default partition until step 4 commits, and in the new one after. The limit:
a REPEATABLE READ snapshot taken between steps 2 and 4 that first looks at the table after step 4 sees
both. Small moves have no such limit: they copy and delete in the one transaction that attaches.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ConservationError
from upkeep.model import Json
from upkeep.postgres import ddl
from upkeep.postgres.partition_creation.leftovers import HALF_MADE, clean
from upkeep.postgres.partition_creation.statements import Args, belongs, make, table
from upkeep.postgres.session import PostgresSession, Row

DIRECT_ROWS: Final = 1_000
"""Up to so many rows are moved in one statement: about 10 ms under the lock. 10,000 take 100 ms, in steps 25."""
SMALL_LOG: Final = 100
"""So few changes are carried over under the lock."""
ROUNDS: Final = 20
"""Rounds of carrying over before the rest is done under the lock, whatever is left."""
SECONDS_A_ROW: Final = 50e-6
"""Allowance for deleting and comparing one row under the lock."""
TRIGGER: Final = "zz_upkeep_move"
"""Fires after the others: triggers fire in the order of their names."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The identifiers and literals that the statements of a move are filled with."""

    args: Args
    columns: Sequence[Row]

    @property
    def log(self) -> sql.Identifier:
        """The log table, beside the parent."""
        return log_name(self.args)

    def fill(self, session: PostgresSession, name: str, **more: sql.Composable) -> sql.Composed:
        """Return the statement of a file with its parts."""
        every = [sql.Identifier(row["name"]) for row in self.columns]
        plain = [sql.Identifier(row["name"]) for row in self.columns if not row["generated"]]
        known: dict[str, sql.Composable] = {
            "child": table(self.args, "child"),
            "default": table(self.args, "default"),
            "log": self.log,
            "function": self.log,
            "trigger": sql.Identifier(TRIGGER),
            "belongs": belongs(self.args, "d"),
            "old_belongs": belongs(self.args, "old"),
            "new_belongs": belongs(self.args, "new"),
            "columns": sql.SQL(", ").join(plain),
            "entry_columns": _each("(net.entry).{}", plain),
            "old_columns": _each("old.{}", every),
            "new_columns": _each("new.{}", every),
            # Generated columns are compared as well: the copy has made them anew.
            "proven": _each("d.{}", every),
            **more,
        }
        if name == "partition_creation/move_log_function":
            known["body"] = sql.Literal(self.fill(session, "partition_creation/move_log_function_body").as_string(None))
        return session.statement(name, **known)


def log_name(args: Args) -> sql.Identifier:
    """Return the name of the log table and of the trigger's function: one for each parent."""
    return sql.Identifier(args["parent"]["schema"], f"upkeep_move_{args['parent']['oid']}")


def move(
    work: Work[PostgresSession], session: PostgresSession, columns: Sequence[Row], finish: Callable[[], Json], what: str
) -> Json:
    """Carry the four steps out; ``finish`` attaches, in the last transaction, and returns evidence.

    Raises
    ------
    ConservationError
        Count or hash differ; rolled back.
    LockNotObtainedError
        Others held the tables for too long. What was made is removed again, or by the next run.
    """
    parts = Parts(work.action.args, columns)
    try:
        _begin(work, session, parts, what)
        copied = _copy(work, session, parts)
        for _ in range(ROUNDS):
            work.checkpoint(what)
            # Writers that are faster than we are never let it become empty: what is left goes under the lock.
            if _carry_over(session, parts) <= SMALL_LOG:
                break
        proof = _prove(session, parts)
        return {
            **_finish(work, session, parts, finish, proof["rows_proven"], what),
            **proof,
            "rows_copied_at_first": copied,
        }
    except (UpkeepError, psycopg.Error):
        with contextlib.suppress(UpkeepError, psycopg.Error):  # the next run removes what stays
            clean(session, parts.args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
        raise


def _begin(work: Work[PostgresSession], session: PostgresSession, parts: Parts, what: str) -> None:
    args = parts.args
    default = table(args, "default")

    def body() -> None:
        for statement in make(args):
            session.execute(statement)
        session.execute(parts.fill(session, "partition_creation/move_log_table"))
        for name, kind in ((table(args, "child"), "partition"), (parts.log, "log")):
            session.execute(
                session.statement(
                    "partition_creation/comment_on_table", table=name, text=sql.Literal(marker(args, kind))
                )
            )
        session.execute(parts.fill(session, "partition_creation/move_log_function"))
        # What CREATE TRIGGER takes anyway (PostgreSQL 16, 13.3.1): got when no writer is under way any more, so that
        # none slips through.
        ddl.lock(session, default, "share row exclusive")
        session.execute(parts.fill(session, "partition_creation/move_log_trigger"))
        # A plain trigger is silent for what logical replication applies (session_replication_role = replica).
        session.execute(parts.fill(session, "partition_creation/enable_always_trigger"))

    ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=work.sleep, quiet=[default], what=what)


def marker(args: Args, kind: str) -> str:
    """Return the comment by which the next run knows what it finds."""
    known = {"kind": kind, "parent": args["parent"]["oid"], "default": args["default"]["oid"], "trigger": TRIGGER}
    return f"{HALF_MADE} {json.dumps(known, sort_keys=True)}"


def _copy(work: Work[PostgresSession], session: PostgresSession, parts: Parts) -> int:
    work.checkpoint("copying rows out of the default partition")
    with session.transaction():
        session.execute(session.statement("repeatable_read"))
        # One snapshot for both: a change is either in what is copied and cleared from the log, or in neither.
        session.execute(parts.fill(session, "partition_creation/move_log_clear"))
        return session.execute(parts.fill(session, "partition_creation/move_copy")).rowcount


def _carry_over(session: PostgresSession, parts: Parts) -> int:
    with session.transaction():
        session.execute(session.statement("repeatable_read"))
        return _apply_log(session, parts)


def _prove(session: PostgresSession, parts: Parts) -> Json:
    """Compare copy and original in one snapshot; return what was compared."""
    with session.transaction():
        session.execute(session.statement("repeatable_read"))
        # In the same snapshot as the comparison: else a change in between would look like a difference.
        _apply_log(session, parts)
        tables = (table(parts.args, "default"), table(parts.args, "child"))
        gone, come = (
            session.execute(parts.fill(session, "partition_creation/move_proof", table=t)).fetchall()[0] for t in tables
        )
        if gone != come:
            raise ConservationError(f"the copy of {gone['rows']} rows is not the same as they are; nothing was moved")
        return {"rows_proven": come["rows"], "hash": come["hash"]}


def _apply_log(session: PostgresSession, parts: Parts) -> int:
    session.execute(parts.fill(session, "partition_creation/move_log_minus"))
    session.execute(parts.fill(session, "partition_creation/move_log_plus"))
    return session.execute(parts.fill(session, "partition_creation/move_log_clear")).rowcount


def _finish(  # noqa: PLR0917 - what `move` knows by then
    work: Work[PostgresSession],
    session: PostgresSession,
    parts: Parts,
    finish: Callable[[], Json],
    rows: int,
    what: str,
) -> Json:
    args = parts.args
    parent, default = table(args, "parent"), table(args, "default")

    def body() -> Json:
        ddl.lock(session, parent, "access exclusive")
        ddl.lock(session, default, "access exclusive")
        session.execute(
            parts.fill(session, "partition_creation/drop_trigger")
        )  # or it would write down each row that leaves
        _apply_log(session, parts)
        gone = session.execute(parts.fill(session, "partition_creation/move_delete")).rowcount
        come = session.execute(parts.fill(session, "partition_creation/move_count")).fetchall()[0]["rows"]
        if gone != come:
            raise ConservationError(f"{gone} rows left the default partition, {come} arrived; rolled back")
        evidence = finish()
        session.execute(session.statement("drop_table", table=parts.log))
        session.execute(parts.fill(session, "partition_creation/drop_function"))
        session.execute(
            session.statement("partition_creation/comment_on_table", table=table(args, "child"), text=sql.SQL("null"))
        )
        return {**evidence, "rows_copied": come, "rows_deleted": gone}

    # A fixed bound would fail for ever where many rows go: what has been copied has to be deleted under the lock.
    retry = ddl.LockRetry(hold=max(ddl.DEFAULT_RETRY.hold, rows * SECONDS_A_ROW))
    return ddl.attempt(
        session, body, checkpoint=work.checkpoint, sleep=work.sleep, quiet=[parent, default], retry=retry, what=what
    )


def _each(text: str, columns: Sequence[sql.Identifier]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(text).format(c) for c in columns)
