"""Merging an empty partition with the one below it: after an exchange, and where rows were moved out one by one.

It is not dropped: what arrives in it at the last moment would go with it, while REORGANIZE PARTITION keeps all rows.
"""

from __future__ import annotations

from typing import Final

from upkeep.jobs.partition_creation.axis import LOWEST
from upkeep.model import Json
from upkeep.tidb import ddl, keys, server, sql
from upkeep.tidb.catalog import partitions_of
from upkeep.tidb.data_retention.args import OfPartition
from upkeep.tidb.ddl import Tools, definition
from upkeep.tidb.sql import Sql

MERGE_ROWS: Final = 100_000
"""Merging copies the rows of both partitions: normally none."""


def merge(tools: Tools, args: OfPartition) -> Json:
    """Merge the empty partition that the action names with the one below it; return the evidence.

    It is found by its bound: after an exchange its id is another one.
    """
    with ddl.claim(tools.session, args.parent_oid):
        return merge_claimed(tools, args)


def merge_claimed(tools: Tools, args: OfPartition) -> Json:
    """Do the same for who holds the claim on the table already."""
    session, table = tools.session, args.table
    ddl.settle(tools, table.schema, table.name)
    now = [(p, end) for p in partitions_of(session, table) if (end := keys.place(p.upper_bound)) > LOWEST]
    place = next((n for n, (_, end) in enumerate(now) if end == keys.place(args.bounds[1])), None)
    # 0 is the lowest: there is nothing below to merge it with
    if not place:
        return {"message": "it is merged already" if place is None else "it is the lowest partition by now"}
    below, here = now[place - 1][0], now[place][0]
    parent = table.identifier
    both = sql.joined(", ", (sql.identifier(below.name), sql.identifier(here.name)))
    source = sql.fill("{t} partition ({p})", t=parent, p=both)
    # looked at again: one that was empty when planned may have filled since, and REORGANIZE copies every row
    rows = server.count(session, source, Sql("true"), MERGE_ROWS + 1)
    if rows is None or rows > MERGE_ROWS:
        return {"message": f"{below.name} holds more than {MERGE_ROWS:,} rows: {here.name} stays, empty"}
    # the two become one with the upper one's name and bound, so the table's bounds above stay as declared
    statement = sql.statement(
        "reorganize_partition", table=parent, partitions=both, into=definition(here.name, args.bounds[1])
    )
    ddl.run(tools, statement, what=f"merging {below.name} into {here.name}", seconds=ddl.COPY_SECONDS)
    return {"merged": [below.name, here.name], "rows_kept": rows}
