"""Dropping a table that was a partition, after its grace period; and what a killed run left of a detaching."""

from __future__ import annotations

from upkeep import words
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import drop_after, read_marker
from upkeep.jobs.errors import StateChangedError
from upkeep.model import Json
from upkeep.tidb import ddl, names, sql
from upkeep.tidb.data_retention import detached, detached_facts
from upkeep.tidb.data_retention.args import Dropping, Leftover
from upkeep.tidb.data_retention.detach import Within
from upkeep.tidb.data_retention.detached import DETACHED, RETURNING
from upkeep.tidb.data_retention.place import Place, by_id, give_back, holds_rows
from upkeep.tidb.ddl import Tools
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql


def drop(tools: Tools, args: Dropping, within: Within | None = None) -> Json:
    """Drop the detached table that the action names; return the evidence.

    Raises
    ------
    StateChangedError
        It is not, or no longer, what was planned for, or not as it was left.
    OverLimitError
        It holds more than was approved (``within``, as of `detach.detach`).
    """
    here, marker = _planned_for(tools.session, args)
    # the later of what the marker and the plan say: whichever was changed since can only keep it longer
    until = max(drop_after(marker), moment(args.kept_until or drop_after(marker)))
    if tools.session.now() < until:
        raise StateChangedError(f"{here.subject} is kept until {words.moment(until)}")
    ddl.settle(tools, here.schema, here.name)
    # as late as can be: TiDB locks no whole table (enable-table-lock is off by default), so what is written after
    # this look goes with it
    _require_as_left(tools.session, args, here, marker)
    if within is not None:
        within(here.identifier, here.rows)
    ddl.run(tools, sql.statement("data_retention/drop_table", table=here.identifier), what=f"dropping {here.subject}")
    return {"oid": args.oid, "partition": here.subject}


def _planned_for(session: TiDBSession, args: Dropping) -> tuple[Place, Json]:
    """Return the table and its marker. Raises `StateChangedError` when they are not those of the plan."""
    here = by_id(session, args.oid)
    if here is None:
        raise StateChangedError("the table is gone already, or part of its table again")
    marker = read_marker(here.comment)
    if marker is None or marker.get("oid") != args.oid or marker.get("parent_oid") != args.parent_oid:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker of this detaching any more")
    if marker.get("state") != DETACHED or (args.detached_at and marker["at"] != args.detached_at):
        raise StateChangedError(f"{here.subject} was detached again since, or is being put back: it stays")
    if marker.get("bounds") != list(args.bounds):
        raise StateChangedError(f"the marker of {here.subject} is another one than was planned for: it stays")
    if not names.same(here.subject, args.name):
        raise StateChangedError(f"it is called {here.subject} by now: it stays")
    return here, marker


def _require_as_left(session: TiDBSession, args: Dropping, here: Place, marker: Json) -> None:
    if args.empty and holds_rows(session, here.identifier):
        raise StateChangedError(f"{here.subject} holds rows that were not moved into the archive: it stays")
    left = {"planned_rows": args.planned_rows, **marker}
    odd = detached.odd_rows(left, detached_facts.count(session, here.identifier, detached.most(left)), here.rows)
    if odd is not None:
        raise StateChangedError(f"{here.subject} is not as it was left: {odd}")
    if detached_facts.holds_others(session, here.identifier, args.not_due):
        raise StateChangedError(f"{here.subject} is not as it was left: rows that are not due lie in it")
    # TiDB drops what a view reads without a word
    others = detached_facts.dependants(session, here.schema, here.name)
    if others:
        raise StateChangedError(f"{', '.join(others)} reads {here.subject} or refers to it: it stays")


def remove_leftover(tools: Tools, args: Leftover) -> Json:
    """Drop a table that a killed run left: made and never exchanged, or put back already.

    What a killed `reattach.put_back` left in it are rows that had arrived in the meantime: they return to the table.
    """
    with ddl.claim(tools.session, args.table.id):
        return _remove_leftover(tools, args)


def _remove_leftover(tools: Tools, args: Leftover) -> Json:
    here = by_id(tools.session, args.id)
    if here is None:
        return {"message": "it was gone already"}
    marker = read_marker(here.comment)
    if marker is None or marker.get("oid") != args.oid or args.id == args.oid:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker any more")
    if not names.same(here.subject, args.name):
        raise StateChangedError(f"it is called {here.subject} by now: it stays")
    returned = 0
    if holds_rows(tools.session, here.identifier):
        if marker.get("state") != RETURNING:
            raise StateChangedError(
                f"{here.subject} holds rows that are not of the partition that was detached: it stays"
            )
        returned = give_back(tools, args.table, here, Sql("true"))
    remove_when_empty(tools, here)
    return {"removed": here.subject, "rows_returned": returned}


def remove_when_empty(tools: Tools, here: Place) -> None:
    """Drop a table that carries our marker; one that holds rows stays."""
    if not holds_rows(tools.session, here.identifier):
        ddl.run(
            tools, sql.statement("data_retention/drop_table", table=here.identifier), what=f"removing {here.subject}"
        )
