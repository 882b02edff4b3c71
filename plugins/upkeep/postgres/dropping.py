"""Dropping a table that was a partition: after its grace period, and only when nothing about it has changed.

Looked at again under the lock: the same object, detached still, with our marker of the same detaching, past
its date by the server's clock, nothing else depending on it, and empty where its rows should be in the
archive. Never with CASCADE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors, sql

from upkeep.postgres import ddl
from upkeep.postgres.detaching import AlreadyDoneError, Place, StateChangedError, Tools, place
from upkeep.retention.cutoff import moment
from upkeep.retention.marker import read_marker

if TYPE_CHECKING:
    from upkeep.plan import Json


def drop(tools: Tools, args: Json) -> Json:
    """Drop the detached table that the action names; return the evidence.

    Raises
    ------
    AlreadyDoneError
        It is gone.
    StateChangedError
        It is not, or no longer, what was planned for.
    LockNotObtainedError
        Others held the table for too long.
    """
    here = _expected(tools, args)
    for constraint in args.get("foreign_keys") or ():
        _drop_foreign_key(tools, here, constraint)
    session = tools.session

    def body() -> None:
        ddl.lock_tree(session, here.table, "access exclusive")
        _expected(tools, args)
        if args.get("must_be_empty") and _holds_rows(tools, here):
            raise StateChangedError(f"{here.subject} holds rows that are not in the archive; the next run moves them")
        session.execute(session.statement("drop_table", table=here.table))

    try:
        ddl.attempt(session, body, checkpoint=tools.checkpoint, sleep=tools.sleep, what=f"dropping {here.subject}")
    except errors.DependentObjectsStillExist as error:
        raise StateChangedError(f"{here.subject} is still needed: {error.diag.message_detail or error}") from error
    return {"oid": args["oid"], "partition": here.subject}


def _expected(tools: Tools, args: Json) -> Place:
    here = place(tools.session, args["oid"])
    if here is None:
        raise AlreadyDoneError("the table is gone already", {"oid": args["oid"]})
    if here.is_partition:
        raise StateChangedError(f"{here.subject} is a partition again; its marker is out of date")
    marker = read_marker(here.comment)
    if marker is None or marker.get("bounds") != args["bounds"] or marker.get("parent_oid") != args["parent_oid"]:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker of this detaching any more")
    if args.get("detached_at") and marker["at"] != args["detached_at"]:
        raise StateChangedError(f"{here.subject} was detached again since; its grace period begins anew")
    now = moment(tools.session.rows("retention_clock")[0]["now"])
    if now < moment(marker["drop_after"]):
        raise StateChangedError(f"{here.subject} is kept until {marker['drop_after']}")
    return here


def _drop_foreign_key(tools: Tools, here: Place, constraint: str) -> None:
    """Drop one foreign key of the table, in a transaction of its own: each locks another table."""
    statement = tools.session.statement("drop_constraint", table=here.table, name=sql.Identifier(constraint))
    what = f"dropping foreign key {constraint} of {here.subject}"
    ddl.run(tools.session, [statement], checkpoint=tools.checkpoint, sleep=tools.sleep, what=what)


def _holds_rows(tools: Tools, here: Place) -> bool:
    statement = tools.session.statement("retention_not_empty", table=here.table)
    return bool(tools.session.execute(statement).fetchall()[0]["found"])
