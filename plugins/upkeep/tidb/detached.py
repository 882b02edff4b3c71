"""What becomes of a detached table: dropped after its grace period, or put back where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upkeep.retention.cutoff import moment
from upkeep.retention.marker import read_marker
from upkeep.tidb import ddl, exchange, keys, server, sql
from upkeep.tidb.creation_apply import partitions
from upkeep.tidb.creation_plan import definition
from upkeep.tidb.exchange import MERGE_ROWS, Place, by_id
from upkeep.tidb.faults import StateChangedError
from upkeep.tidb.sql import Sql

if TYPE_CHECKING:
    from upkeep.partitioning.axis import Value
    from upkeep.plan import Json
    from upkeep.tidb.catalog import Partition
    from upkeep.tidb.ddl import Tools


def drop(tools: Tools, args: Json) -> Json:
    """Drop the detached table that the action names; return the evidence.

    Raises `StateChangedError` when it is not, or no longer, what was planned for.
    """
    here = by_id(tools.session, args["oid"])
    if here is None:
        raise StateChangedError("the table is gone already")
    marker = read_marker(here.comment)
    if marker is None or marker.get("oid") != args["oid"] or marker.get("parent_oid") != args["parent_oid"]:
        raise StateChangedError(f"{here.subject} does not carry Upkeep's marker of this detaching any more")
    if marker.get("state") != "detached" or (args.get("detached_at") and marker["at"] != args["detached_at"]):
        raise StateChangedError(f"{here.subject} was detached again since; its grace period begins anew")
    if tools.session.now() < moment(marker["drop_after"]):
        raise StateChangedError(f"{here.subject} is kept until {marker['drop_after']}")
    ddl.settle(tools, here.schema, here.name)
    ddl.run(tools, sql.statement("drop_table", table=here.identifier), what=f"dropping {here.subject}")
    return {"oid": args["oid"], "partition": here.subject}


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
    returned = 0
    if server.count(tools.session, here.identifier, Sql("true"), 1) != 0:
        returned = exchange.give_back(tools, args["table"], here, Sql("true"))
    _remove(tools, here)
    return {"removed": here.subject, "rows_returned": returned}


def put_back(tools: Tools, args: Json) -> str:
    """Make the partition anew, exchange it with the detached table, and remove what is then empty.

    Rows that arrived in its range meanwhile are kept: they come back out of the exchange and are inserted.

    Raises
    ------
    StateChangedError
        The table is gone, or its range is no longer in one partition with few rows.
    """
    with ddl.claim(tools.session, args["parent_oid"]):
        return _put_back(tools, args)


def _put_back(tools: Tools, args: Json) -> str:
    here = by_id(tools.session, args["oid"])
    marker = read_marker(here.comment) if here is not None else None
    if here is None or marker is None or marker.get("oid") != args["oid"]:
        raise StateChangedError("the detached table is gone, or its marker is: nothing was changed")
    table = args["table"]
    ddl.settle(tools, table["schema"], table["name"])
    partition = _room(tools, args)
    parent = sql.identifier(table["schema"], table["name"])
    parts = {"table": parent, "partition": sql.identifier(partition), "other": here.identifier}
    ddl.run(tools, sql.statement("exchange_partition", **parts), what=f"putting {args['partition']} back")
    returned = exchange.give_back(tools, table, here, Sql("true"))
    _remove(tools, here)
    late = f"; {returned} rows that had arrived meanwhile were kept" if returned else ""
    return f"{args['partition']} is part of the table again{late}"


def _remove(tools: Tools, here: Place) -> None:
    if server.count(tools.session, here.identifier, Sql("true"), 1) == 0:
        ddl.run(tools, sql.statement("drop_table", table=here.identifier), what=f"removing {here.subject}")


def _room(tools: Tools, args: Json) -> str:
    """Return the partition with exactly the old range; cut it out of the one that took it over, if need be."""
    table = args["table"]
    lower, upper = (keys.place(bound) if bound is not None else None for bound in args["bounds"])
    now = exchange.spans(partitions(tools.session, table))
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
