"""Putting a detached partition back where it was, by exchanging it once more.

Its marker says first that it is on its way: what a kill leaves is then known from what others exchanged by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pymysql

from upkeep.jobs.data_retention.marker import read_marker, write_marker
from upkeep.jobs.errors import StateChangedError
from upkeep.jobs.partition_creation.axis import Value
from upkeep.model import Json
from upkeep.tidb import ddl, faults, keys, server, sql
from upkeep.tidb.catalog import Partition, Planned, partitions_of
from upkeep.tidb.data_retention import detached_facts
from upkeep.tidb.data_retention.args import Detached
from upkeep.tidb.data_retention.detach import DIFFERENT
from upkeep.tidb.data_retention.detached import RETURNING
from upkeep.tidb.data_retention.drop import remove_when_empty
from upkeep.tidb.data_retention.merge import MERGE_ROWS
from upkeep.tidb.data_retention.place import Place, by_id, give_back
from upkeep.tidb.ddl import Tools, definition
from upkeep.tidb.sql import Sql

AGAIN: Final = (
    "the policy that took it out still finds it due: the next run of data_retention does so again, unless the policy "
    "keeps it longer by then, or the target is paused"
)


def put_back(tools: Tools, args: Detached) -> str:
    """Make the partition anew, exchange it with the detached table, and remove what is then empty.

    Rows that arrived in its range meanwhile are kept: they come back out of the exchange and are inserted.

    Its marker says first that it is on its way: what a kill leaves is then known from what others exchanged by hand.

    Raises
    ------
    StateChangedError
        The table is gone, others depend on it, it was altered, or its range is not in one partition with few rows.
    """
    with ddl.claim(tools.session, args.parent_oid):
        return _put_back(tools, args)


def _put_back(tools: Tools, args: Detached) -> str:
    table, session = args.table, tools.session
    if any(p.id == args.oid for p in partitions_of(session, table)):
        return f"{args.partition} is part of the table again already{_finish(tools, args)}; {AGAIN}"
    here = by_id(session, args.oid)
    marker = read_marker(here.comment) if here is not None else None
    if here is None or marker is None or marker.get("oid") != args.oid:
        raise StateChangedError("the detached table is gone, or its marker is: nothing was changed")
    others = detached_facts.dependants(session, here.schema, here.name)
    if others:
        raise StateChangedError(
            f"{', '.join(others)} reads {here.subject} or refers to it, and it would go: nothing done"
        )
    ddl.settle(tools, table.schema, table.name)
    # before the marker is touched: where there is no room, the table is still one that is kept
    partition = _room(tools, args)
    # said before the exchange: after a kill in between, the rows in the table are known to be late ones of this range
    returning = sql.literal(write_marker({**marker, "state": RETURNING}))
    comment = sql.statement("data_retention/comment_on_table", table=here.identifier, comment=returning)
    ddl.run(tools, comment, what=f"marking {here.subject}")
    parent = table.identifier
    parts = {"table": parent, "partition": sql.identifier(partition), "other": here.identifier}
    _swap(tools, sql.statement("data_retention/exchange_partition", **parts), args, here, marker)
    return f"{args.partition} is part of the table again{_return_late(tools, table, here)}; {AGAIN}"


def _return_late(tools: Tools, table: Planned, here: Place) -> str:
    returned = give_back(tools, table, here, Sql("true"))
    remove_when_empty(tools, here)
    return f"; {returned} rows that had arrived meanwhile were kept" if returned else ""


def _finish(tools: Tools, args: Detached) -> str:
    """Return the rows that an undo which was killed had exchanged out."""
    for row in tools.session.rows("data_retention/marked_tables", {"schemas": [args.table.schema], "ids": [0]}):
        marker = read_marker(row["comment"]) or {}
        if marker.get("oid") == args.oid and marker.get("state") == RETURNING:
            return _return_late(tools, args.table, Place(row["schema"], row["name"], row["comment"]))
    return ""


def _swap(tools: Tools, statement: Sql, args: Detached, here: Place, marker: Json) -> None:
    """Exchange; when TiDB refuses, the marker says again that the table is kept."""
    try:
        ddl.run(tools, statement, what=f"putting {args.partition} back")
    except pymysql.MySQLError as error:
        kept = sql.literal(write_marker(marker))
        ddl.run(
            tools,
            sql.statement("data_retention/comment_on_table", table=here.identifier, comment=kept),
            what="keeping it",
        )
        if faults.code(error) not in DIFFERENT:
            raise
        text = f"TiDB does not put {here.subject} back, the table was altered since: {faults.describe(error)}"
        raise StateChangedError(f"{text}; copy its rows by hand (insert into … select …)") from error


def _room(tools: Tools, args: Detached) -> str:
    """Return the partition with exactly the old range; cut it out of the one that took it over, if need be."""
    table = args.table
    below, end = args.bounds
    lower, upper = None if below is None else keys.place(below), keys.place(end)
    # a merge gave the range to the partition above: in whole, else its rows lie in several and cannot be cut out
    now = _spans(partitions_of(tools.session, table))
    exact = next((p for low, high, p in now if high == upper and (low == lower or lower is None)), None)
    if exact is not None:
        return exact.name
    place = next((n for n, (_, high, _) in enumerate(now) if high >= upper), None)
    if place is None or not _begins(now[place][0], lower):
        raise StateChangedError("its range is spread over several partitions by now: put its rows back by hand")
    low, high, around = now[place]
    _refuse_many(tools, table, around)
    # names are compared without case, and have 64 characters at most: room is left for what is added
    taken = {p.name.lower() for _, _, p in now}
    name = args.partition if args.partition.lower() not in taken else f"{args.partition[:50]}_again"
    pieces = [definition(f"{name[:50]}_below", below)] if below is not None and lower != low else []
    pieces.append(definition(name, end))
    pieces += [definition(around.name, around.upper_bound or "MAXVALUE")] if high != upper else []
    identifier = table.identifier
    into, only = sql.joined(", ", pieces), sql.identifier(around.name)
    statement = sql.statement("reorganize_partition", table=identifier, partitions=only, into=into)
    ddl.run(tools, statement, what=f"making room for {name}", seconds=ddl.COPY_SECONDS)
    return str(name)


def _refuse_many(tools: Tools, table: Planned, around: Partition) -> None:
    parent = table.identifier
    source = sql.fill("{t} partition ({p})", t=parent, p=sql.identifier(around.name))
    rows = server.count(tools.session, source, Sql("true"), MERGE_ROWS + 1)
    if rows is None or rows > MERGE_ROWS:
        text = (
            f"{around.name} has taken over its range and holds more than {MERGE_ROWS:,} rows: put its rows back by hand"
        )
        raise StateChangedError(text)


def _begins(low: Value | None, lower: Value | None) -> bool:
    return low is None or (lower is not None and low <= lower)


def _spans(now: Sequence[Partition]) -> list[tuple[Value | None, Value, Partition]]:
    """Return each partition with its lower and upper bound as values; ``None`` below the first."""
    uppers = [keys.place(p.upper_bound) for p in now]
    return list(zip([None, *uppers], uppers, now, strict=False))
