"""How a conversion is taken back: the plain table under its name again, in one short transaction.

Only while every other partition is empty: the rows since the conversion are in the part that becomes the
table again. Sequences go on where they stand now, triggers and publications as they are now. Whatever else was granted
or changed on the partitioned table since, and would be lost, makes it refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg

from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.errors import StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Json, Outcome
from upkeep.postgres import catalog, ddl, faults, names
from upkeep.postgres.partition_creation import apply
from upkeep.postgres.partition_creation.conversion import observe, statements
from upkeep.postgres.partition_creation.conversion.apply import RETRY, Held
from upkeep.postgres.partition_creation.conversion.checks import of_dependents
from upkeep.postgres.partition_creation.conversion.view import lost, rights_changed
from upkeep.postgres.partition_creation.statements import Args, table
from upkeep.postgres.session import PostgresSession, Row

COUNT_SECONDS: Final = 20
"""How long counting the rows that stand in the way may take."""


def undo(work: Work[PostgresSession], outcome: Outcome) -> Outcome:
    """Put the plain table back, or say why not; nothing happens when it is back already."""
    session, args, parent = work.session, work.action.args, outcome.evidence.get("parent_oid")

    def take_back(done: DoneSoFar) -> None:
        if parent is None:
            raise StateChangedError("there is nothing to take back")
        try:
            # An undo that was killed after its commit is said again: then there is nothing left to do.
            if _is_back(session, args):
                done.message = "the plain table is back already"
                return
            with apply.claim(session, parent):
                done.evidence = _take_back(work, args, parent)
        except StateChangedError as error:
            raise StateChangedError(f"{error}; nothing was changed") from error
        done.message = f"{names.display(args['parent']['schema'], args['parent']['name'])} is a plain table again"

    return outcomes.carry_out(work.action, take_back, lambda error: faults.classify(error, session.connection))


def _is_back(session: PostgresSession, args: Args) -> bool:
    known = observe.facts(session, [args["parent"]["oid"]]).get(args["parent"]["oid"])
    if known is None:
        raise StateChangedError("the rows' partition is gone")
    name = (known["schema"], known["name"])
    return not known["is_partition"] and name == (args["parent"]["schema"], args["parent"]["name"])


def _take_back(work: Work[PostgresSession], args: Args, oid: int) -> Json:
    session = work.session
    parent, rows, held = table(args, "parent"), args["parent"]["oid"], Held()
    others = _others(session, args, oid)
    _refuse_rows(session, others)
    _refuse_detached(session, oid)

    def body() -> None:
        held.end()
        before = observe.facts(session, [oid, rows])
        if len(before) < 2:  # noqa: PLR2004 - the table and its part
            raise StateChangedError("the table was dropped since")
        held.begin()
        # Looked up inside, for a partition may have been attached since; locked after their parent.
        known = [p.full_name.identifier for p in catalog.partitions(session, [oid])]
        for statement in statements.locks(args, parent, *known):
            session.execute(statement)
        for partition in _others(session, args, oid):  # nobody can add a partition or a row any more
            name = partition.full_name.identifier
            if session.execute(session.statement("partition_creation/any_row", table=name)).fetchall():
                raise StateChangedError(f"{partition.subject} holds rows by now")
        _refuse_latest(session, oid, before[oid])
        for statement in statements.take_back(args, before[oid], before[rows]):
            session.execute(statement)
        changed = lost(before[oid], observe.catalog_facts(session, [rows])[rows], back=True)
        if changed:
            raise StateChangedError(f"the table was altered since ({', '.join(changed)}): that would be lost")

    def sleep(seconds: float) -> None:
        held.end()
        work.sleep(seconds)

    what = f"taking back the conversion of {names.display(args['parent']['schema'], args['parent']['name'])}"
    ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=sleep, quiet=[parent], retry=RETRY, what=what)
    held.end()
    return {"lock_seconds": round(held.longest, 4), "dropped": [p.subject for p in others]}


def _others(session: PostgresSession, args: Args, oid: int) -> Sequence[catalog.Partition]:
    """Return the partitions beside the one that is the plain table. Raises `StateChangedError`."""
    rows = session.rows("partition_creation/table_name", {"oid": oid})
    if not rows or (rows[0]["schema"], rows[0]["name"]) != (args["parent"]["schema"], args["parent"]["name"]):
        raise StateChangedError("the partitioned table was dropped or renamed since")
    found = catalog.partitions(session, [oid])
    part = next((p for p in found if p.oid == args["parent"]["oid"]), None)
    if part is None or (part.schema, part.name) != (args["part"]["schema"], args["part"]["name"]):
        raise StateChangedError("the rows' partition was detached or renamed since")
    if any(p.kind != "r" for p in found):
        raise StateChangedError("a partition of another kind was attached since")
    return [p for p in found if p is not part]


def _refuse_rows(session: PostgresSession, others: Sequence[catalog.Partition]) -> None:
    """Raise `StateChangedError`, saying how many rows, unless all those partitions are empty."""
    full = [
        p
        for p in others
        if session.execute(session.statement("partition_creation/any_row", table=p.full_name.identifier)).fetchall()
    ]
    if not full:
        return
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "2s", "statement": f"{COUNT_SECONDS}s"})
            counts = [
                session.statement("partition_creation/conversion/count", table=p.full_name.identifier) for p in full
            ]
            rows = str(sum(session.execute(count).fetchall()[0]["rows"] for count in counts))
    except psycopg.errors.QueryCanceled:
        rows = "many"
    known = ", ".join(p.subject for p in full)
    raise StateChangedError(f"{rows} rows are in other partitions by now ({known})")


def _refuse_latest(session: PostgresSession, oid: int, before: Row) -> None:
    """Raise `StateChangedError` for what others may do without a lock of theirs meeting ours."""
    found = list(of_dependents(observe.dependents(session, oid)))
    if found:
        raise StateChangedError("; ".join(f.reason for f in found))
    if rights_changed(before, observe.catalog_facts(session, [oid])[oid]):
        raise StateChangedError("rights to it were given or taken at the last moment")


def _refuse_detached(session: PostgresSession, oid: int) -> None:
    """Raise `StateChangedError` while a detached partition waits to be dropped: it could not be attached again."""
    waiting = [
        names.display(row["schema"], row["name"])
        for row in session.rows("detached", {"oid": None})
        if not row["is_partition"] and (read_marker(row["marker"]) or {}).get("parent_oid") == oid
    ]
    if waiting:
        known = ", ".join(waiting)
        raise StateChangedError(f"{known} was detached from it and could not be attached again; undo that first")
