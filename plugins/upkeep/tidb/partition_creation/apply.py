"""How partitions are added: looked at again, one schema change, looked at once more.

A kill at any moment leaves the table without the new partitions or with all of them: the change is one job
of TiDB's, and a job that goes on without us is waited for by the next run before it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pymysql

from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.jobs.partition_creation.axis import HIGHEST
from upkeep.model import Json, Outcome
from upkeep.tidb import ddl, faults, keys, server, sql
from upkeep.tidb.catalog import Partition, partitions_of
from upkeep.tidb.ddl import Tools
from upkeep.tidb.partition_creation import plan
from upkeep.tidb.partition_creation.args import Creation
from upkeep.tidb.session import TiDBSession

_OVERTAKEN: Final = frozenset({1493, 1517, 1481})
"""Somebody else has added a partition meanwhile: VALUES LESS THAN not increasing, same name, above MAXVALUE."""


def apply(work: Work[TiDBSession]) -> Outcome:
    """Carry the creation out; expected trouble becomes an outcome."""
    tools = Tools(work.session, work.checkpoint, work.sleep)

    def create(done: DoneSoFar) -> None:
        args = Creation.of(work.action)
        with ddl.claim(tools.session, args.table.id):
            done.take(_create(tools, args))

    return outcomes.carry_out(work.action, create, faults.classify, note=work.note)


def _create(tools: Tools, args: Creation) -> Json:
    table = args.table
    # a killed run's job may just be making the same partitions
    ddl.settle(tools, table.schema, table.name)
    if _already(partitions_of(tools.session, table), args):
        return {"partitions": [p.name for p in args.partitions], "message": "they were there already"}
    _recheck(tools, args)
    statement = plan.statement(args)
    seconds = ddl.COPY_SECONDS if args.method == "reorganize" else ddl.WAIT_SECONDS
    try:
        ddl.run(tools, statement, what=f"adding {len(args.partitions)} partitions", seconds=seconds)
    except pymysql.MySQLError as error:
        # LAST PARTITION is for tables that TiDB itself takes for INTERVAL partitioned; where it sees it otherwise
        # than we do, the plain form makes the same partitions
        if faults.code(error) == faults.UNSUPPORTED and args.method == "last":
            ddl.run(tools, plan.statement(args.model_copy(update={"method": "add"})), what="adding partitions")
        elif faults.code(error) not in _OVERTAKEN:
            raise
    # whoever made them: what was declared has to be there, and by these ids an undo finds what is ours
    now = partitions_of(tools.session, table)
    if not _already(now, args):
        raise StateChangedError("somebody else has changed its partitions meanwhile; the next run looks again")
    wanted = {keys.place(p.bound) for p in args.partitions}
    made = [p for p in now if keys.place(p.upper_bound) in wanted]
    return {"partitions": [p.name for p in made], "ids": [p.id for p in made]}


def _recheck(tools: Tools, args: Creation) -> None:
    now = partitions_of(tools.session, args.table)
    finite = [p for p in now if keys.place(p.upper_bound) < HIGHEST]
    last = finite[-1].upper_bound if finite else None
    if last is not None and args.last is not None and keys.place(last) != keys.place(args.last):
        raise StateChangedError(f"its last bound is {keys.bare(last)} by now, not {args.last}; plan again")
    top = next((p for p in now if keys.place(p.upper_bound) == HIGHEST), None)
    if (top.id if top is not None else None) != (args.maxvalue.id if args.maxvalue is not None else None):
        raise StateChangedError("its MAXVALUE partition is another one than was observed")
    # rows arrive in a MAXVALUE partition all the time: between plan and now it may have become too many to copy
    if args.divided is not None:
        source = sql.fill("{t} partition ({p})", t=args.table.identifier, p=sql.identifier(args.divided.name))
        rows = server.count(tools.session, source, sql.Sql("true"), args.move_at_most + 1)
        if rows is None or rows > args.move_at_most:
            raise StateChangedError(f"by now more than {args.move_at_most} rows would have to be copied")


def _already(now: Sequence[Partition], args: Creation) -> bool:
    known = {keys.place(p.upper_bound) for p in now}
    return all(keys.place(p.bound) in known for p in args.partitions)


def undo(work: Work[TiDBSession], outcome: Outcome) -> Outcome:
    """Drop the partitions that the action made, while they are empty; else say why not."""
    action, ids = work.action, outcome.evidence.get("ids")

    def take_back(done: DoneSoFar) -> None:
        if action.kind != plan.KIND or not ids:
            raise StateChangedError("there is nothing to take back")
        done.message = _drop(Tools(work.session, work.checkpoint, work.sleep), Creation.of(action), set(ids))

    return outcomes.carry_out(action, take_back, faults.classify)


def _drop(tools: Tools, args: Creation, ids: set[int]) -> str:
    session, table = tools.session, args.table
    here = [p for p in partitions_of(session, table) if p.id in ids]
    if len(here) != len(ids):
        raise StateChangedError("its partitions have been changed since; nothing was dropped")
    if args.maxvalue is not None:
        raise StateChangedError("the MAXVALUE partition was divided: its rows stay where they belong")
    listed = sql.joined(", ", (sql.identifier(p.name) for p in here))
    source = sql.fill("{t} partition ({p})", t=table.identifier, p=listed)
    # DROP PARTITION asks nobody what lies in it
    if server.count(session, source, sql.Sql("true"), 1) != 0:
        raise StateChangedError("they hold rows by now; they stay")
    ddl.run(
        tools,
        sql.statement("partition_creation/drop_partitions", table=table.identifier, partitions=listed),
        what="dropping them",
    )
    return f"{', '.join(p.name for p in here)} dropped"
