"""What becomes of a detached table: dropped after its grace period, or put back where it was."""

from __future__ import annotations

from typing import Final

import pymysql

from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import drop_after, read_marker, write_marker
from upkeep.jobs.partition_creation.axis import Value
from upkeep.model import Json
from upkeep.tidb import ddl, faults, keys, names, server, sql
from upkeep.tidb.catalog import Partition, partitions_of
from upkeep.tidb.data_retention import exchange, keeping, keeping_facts
from upkeep.tidb.data_retention.exchange import MERGE_ROWS, Place, by_id
from upkeep.tidb.data_retention.keeping import DETACHED, RETURNING
from upkeep.tidb.ddl import Tools, definition
from upkeep.tidb.faults import StateChangedError
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql

AGAIN: Final = (
    "the policy that took it out still finds it due: the next run of data_retention does so again, unless the policy "
    "keeps it longer by then, or the target is paused"
)


def drop(tools: Tools, args: Json, within: exchange.Within | None = None) -> Json:
    """Drop the detached table that the action names; return the evidence.

    Raises
    ------
    StateChangedError
        It is not, or no longer, what was planned for, or not as it was left.
    OverLimitError
        It holds more than was approved (``within``, as of `exchange.detach`).
    """
    here, marker = _planned_for(tools.session, args)
    until = max(drop_after(marker), moment(args.get("kept_until", drop_after(marker))))
    if tools.session.now() < until:
        raise StateChangedError(f"{here.subject} is kept until {until.isoformat()}")
    ddl.settle(tools, here.schema, here.name)
    _require_as_left(tools.session, args, here, marker)
    if within is not None:
        within(here.identifier, here.rows)
    ddl.run(tools, sql.statement("data_retention/drop_table", table=here.identifier), what=f"dropping {here.subject}")
    return {"oid": args["oid"], "partition": here.subject}


def _planned_for(session: TiDBSession, args: Json) -> tuple[Place, Json]:
    """Return the table and its marker. Raises `StateChangedError` when they are not those of the plan."""
    here = by_id(session, args["oid"])
    if here is None:
        raise StateChangedError("the table is gone already, or part of its table again")
    marker = read_marker(here.comment)
    if marker is None or marker.get("oid") != args["oid"] or marker.get("parent_oid") != args["parent_oid"]:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker of this detaching any more")
    if marker.get("state") != DETACHED or (args.get("detached_at") and marker["at"] != args["detached_at"]):
        raise StateChangedError(f"{here.subject} was detached again since, or is being put back: it stays")
    if marker.get("bounds") != args.get("bounds", marker.get("bounds")):
        raise StateChangedError(f"the marker of {here.subject} is another one than was planned for: it stays")
    if not names.same(here.subject, args.get("name", here.subject)):
        raise StateChangedError(f"it is called {here.subject} by now: it stays")
    return here, marker


def _require_as_left(session: TiDBSession, args: Json, here: Place, marker: Json) -> None:
    if args.get("empty") and server.count(session, here.identifier, Sql("true"), 1) != 0:
        raise StateChangedError(f"{here.subject} holds rows that were not moved into the archive: it stays")
    left = {"planned_rows": args.get("planned_rows"), **marker}
    odd = keeping.odd_rows(left, keeping_facts.count(session, here.identifier, keeping.most(left)), here.rows)
    if odd is not None:
        raise StateChangedError(f"{here.subject} is not as it was left: {odd}")
    if keeping_facts.holds_others(session, here.identifier, args.get("not_due")):
        raise StateChangedError(f"{here.subject} is not as it was left: rows that are not due lie in it")
    others = keeping_facts.dependants(session, here.schema, here.name)
    if others:
        raise StateChangedError(f"{', '.join(others)} reads {here.subject} or refers to it: it stays")


def remove_leftover(tools: Tools, args: Json) -> Json:
    """Drop a table that a killed run left: made and never exchanged, or put back already.

    What a killed `put_back` left in it are rows that had arrived in the meantime: they return to the table.
    """
    with ddl.claim(tools.session, args["table"]["id"]):
        return _remove_leftover(tools, args)


def _remove_leftover(tools: Tools, args: Json) -> Json:
    here = by_id(tools.session, args["id"])
    if here is None:
        return {"message": "it was gone already"}
    marker = read_marker(here.comment)
    if marker is None or marker.get("oid") != args["oid"] or args["id"] == args["oid"]:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker any more")
    if not names.same(here.subject, args.get("name", here.subject)):
        raise StateChangedError(f"it is called {here.subject} by now: it stays")
    returned = 0
    if server.count(tools.session, here.identifier, Sql("true"), 1) != 0:
        if marker.get("state") != RETURNING:
            raise StateChangedError(
                f"{here.subject} holds rows that are not of the partition that was detached: it stays"
            )
        returned = exchange.give_back(tools, args["table"], here, Sql("true"))
    _remove(tools, here)
    return {"removed": here.subject, "rows_returned": returned}


def put_back(tools: Tools, args: Json) -> str:
    """Make the partition anew, exchange it with the detached table, and remove what is then empty.

    Rows that arrived in its range meanwhile are kept: they come back out of the exchange and are inserted.

    Its marker says first that it is on its way: what a kill leaves is then known from what others exchanged by hand.

    Raises
    ------
    StateChangedError
        The table is gone, others depend on it, it was altered, or its range is not in one partition with few rows.
    """
    with ddl.claim(tools.session, args["parent_oid"]):
        return _put_back(tools, args)


def _put_back(tools: Tools, args: Json) -> str:
    table, session = args["table"], tools.session
    if any(p.id == args["oid"] for p in partitions_of(session, table)):
        return f"{args['partition']} is part of the table again already{_finish(tools, args)}; {AGAIN}"
    here = by_id(session, args["oid"])
    marker = read_marker(here.comment) if here is not None else None
    if here is None or marker is None or marker.get("oid") != args["oid"]:
        raise StateChangedError("the detached table is gone, or its marker is: nothing was changed")
    others = keeping_facts.dependants(session, here.schema, here.name)
    if others:
        raise StateChangedError(
            f"{', '.join(others)} reads {here.subject} or refers to it, and it would go: nothing done"
        )
    ddl.settle(tools, table["schema"], table["name"])
    partition = _room(tools, args)
    returning = sql.literal(write_marker({**marker, "state": RETURNING}))
    comment = sql.statement("data_retention/comment_on_table", table=here.identifier, comment=returning)
    ddl.run(tools, comment, what=f"marking {here.subject}")
    parent = sql.identifier(table["schema"], table["name"])
    parts = {"table": parent, "partition": sql.identifier(partition), "other": here.identifier}
    _swap(tools, sql.statement("data_retention/exchange_partition", **parts), args, here, marker)
    return f"{args['partition']} is part of the table again{_return_late(tools, table, here)}; {AGAIN}"


def _return_late(tools: Tools, table: Json, here: Place) -> str:
    returned = exchange.give_back(tools, table, here, Sql("true"))
    _remove(tools, here)
    return f"; {returned} rows that had arrived meanwhile were kept" if returned else ""


def _finish(tools: Tools, args: Json) -> str:
    """Return the rows that an undo which was killed had exchanged out."""
    for row in tools.session.rows("data_retention/marked_tables", {"schemas": [args["table"]["schema"]], "ids": [0]}):
        marker = read_marker(row["comment"]) or {}
        if marker.get("oid") == args["oid"] and marker.get("state") == RETURNING:
            return _return_late(tools, args["table"], Place(row["schema"], row["name"], row["comment"]))
    return ""


def _swap(tools: Tools, statement: Sql, args: Json, here: Place, marker: Json) -> None:
    """Exchange; when TiDB refuses, the marker says again that the table is kept."""
    try:
        ddl.run(tools, statement, what=f"putting {args['partition']} back")
    except pymysql.MySQLError as error:
        kept = sql.literal(write_marker(marker))
        ddl.run(
            tools,
            sql.statement("data_retention/comment_on_table", table=here.identifier, comment=kept),
            what="keeping it",
        )
        if faults.code(error) not in exchange.DIFFERENT:
            raise
        text = f"TiDB does not put {here.subject} back, the table was altered since: {faults.describe(error)}"
        raise StateChangedError(f"{text}; copy its rows by hand (insert into … select …)") from error


def _remove(tools: Tools, here: Place) -> None:
    if server.count(tools.session, here.identifier, Sql("true"), 1) == 0:
        ddl.run(
            tools, sql.statement("data_retention/drop_table", table=here.identifier), what=f"removing {here.subject}"
        )


def _room(tools: Tools, args: Json) -> str:
    """Return the partition with exactly the old range; cut it out of the one that took it over, if need be."""
    table = args["table"]
    lower, upper = (keys.place(bound) if bound is not None else None for bound in args["bounds"])
    now = exchange.spans(partitions_of(tools.session, table))
    exact = next((p for low, high, p in now if high == upper and (low == lower or lower is None)), None)
    if exact is not None:
        return exact.name
    place = next((n for n, (_, high, _) in enumerate(now) if upper is not None and high >= upper), None)
    if place is None or not _begins(now[place][0], lower):
        raise StateChangedError("its range is spread over several partitions by now: put its rows back by hand")
    low, high, around = now[place]
    _refuse_many(tools, table, around)
    taken = {p.name.lower() for _, _, p in now}
    name = args["partition"] if args["partition"].lower() not in taken else f"{args['partition'][:50]}_again"
    pieces = [definition(f"{name[:50]}_below", args["bounds"][0])] if lower is not None and lower != low else []
    pieces.append(definition(name, args["bounds"][1]))
    pieces += [definition(around.name, around.upper_bound or "MAXVALUE")] if high != upper else []
    identifier = sql.identifier(table["schema"], table["name"])
    into, only = sql.joined(", ", pieces), sql.identifier(around.name)
    statement = sql.statement("reorganize_partition", table=identifier, partitions=only, into=into)
    ddl.run(tools, statement, what=f"making room for {name}", seconds=ddl.COPY_SECONDS)
    return str(name)


def _refuse_many(tools: Tools, table: Json, around: Partition) -> None:
    parent = sql.identifier(table["schema"], table["name"])
    source = sql.fill("{t} partition ({p})", t=parent, p=sql.identifier(around.name))
    rows = server.count(tools.session, source, Sql("true"), MERGE_ROWS + 1)
    if rows is None or rows > MERGE_ROWS:
        text = (
            f"{around.name} has taken over its range and holds more than {MERGE_ROWS:,} rows: put its rows back by hand"
        )
        raise StateChangedError(text)


def _begins(low: Value | None, lower: Value | None) -> bool:
    return low is None or (lower is not None and low <= lower)
