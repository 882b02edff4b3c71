"""Taking a partition out by EXCHANGE PARTITION: no row is copied, nobody waits.

1. An empty table like the parent is made, with our marker in its COMMENT from its first moment.
2. EXCHANGE PARTITION: the table now has the partition's data, and its id; the partition is empty.
3. The marker says when it may be dropped.
4. The empty partition is merged with the one below it (REORGANIZE). It is not dropped: rows that arrive at the
   last moment would go with it, while an online reorganisation keeps them.

A kill between any two steps leaves a state that the next run knows by marker and ids. The lowest partition
only goes through 1 to 3: it stays, empty, for rows without a time and for what arrives too late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import pymysql

from upkeep.jobs.data_retention.marker import read_marker, write_marker
from upkeep.jobs.errors import RefusedError, StateChangedError
from upkeep.model import Json
from upkeep.model.intervals import Duration, shift
from upkeep.tidb import catalog, create_text, ddl, faults, keys, names, server, sql, ttl
from upkeep.tidb.ages import ageless
from upkeep.tidb.catalog import Partition, partitions_of
from upkeep.tidb.data_retention import merge
from upkeep.tidb.data_retention.args import Ageless, Detaching
from upkeep.tidb.data_retention.detached import DETACHED, PREPARING, RETURNING, table_name
from upkeep.tidb.data_retention.place import Place, by_id, give_back, holds_rows
from upkeep.tidb.ddl import Tools
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql

Within: TypeAlias = Callable[[Sql, int], None]
DIFFERENT: Final = (1731, 1732, 1736)
"""The empty table is unlike the parent: altered since, other internal numbers, or made half by a killed run."""
_WHY: Final = (
    " (a TiFlash replica, or a placement policy of the partition alone, stands in the way); precision: row does without"
)


def detach(tools: Tools, args: Detaching, *, grace: Duration, zone: ZoneInfo, within: Within | None = None) -> Json:
    """Take the partition that the action names out; return the evidence.

    Parameters
    ----------
    within
        Raises `OverLimitError` when what is about to go (a table or partition, and its rows by statistics) is more than
        was approved.

    Raises
    ------
    StateChangedError
        It is no longer the partition that was planned for, rows without a time lie in it, or somebody put it back.
    LockNotObtainedError
        Old transactions used the table for too long.
    """
    with ddl.claim(tools.session, args.parent_oid):
        return _detach(tools, args, grace, zone, within)


def _detach(tools: Tools, args: Detaching, grace: Duration, zone: ZoneInfo, within: Within | None) -> Json:
    table = args.table
    # a change that a killed run sent may still be on its way: what is looked at next must not move any more
    ddl.settle(tools, table.schema, table.name)
    known = {p.id: p for p in partitions_of(tools.session, table)}
    # by id: a partition of that name may have been dropped and made anew since
    here = known.get(args.oid)
    if here is not None:
        _require_whole(tools, args, here, within)
        _exchange(tools, args, here)
    # the exchange swaps ids: the table is now where the partition's data are
    other = by_id(tools.session, args.oid)
    marker = read_marker(other.comment) if other is not None else None
    if other is None or marker is None or marker.get("oid") != args.oid:
        raise StateChangedError(f"the partition {args.partition} is no longer there; nothing was changed")
    # counted once more: before the exchange anybody could still write such a row, now nobody can through the table
    returned = _return_ageless(tools, args, other)
    # before the merging, which copies rows and may take long: from here on a kill leaves a table with its date
    marker = _completed(tools, other, marker, grace, zone)
    merges = not args.lowest if args.merges is None else args.merges
    merged = merge.merge_claimed(tools, args) if merges else None
    kept = ("rows", "age", "unit", "timezone", "then", "grace", "requires")
    return {
        "oid": args.oid,
        "partition": other.subject,
        "parent_oid": args.parent_oid,
        "bounds": list(args.bounds),
        "detached_at": marker["at"],
        "drop_after": marker["drop_after"],
        **{key: marker[key] for key in kept if key in marker},
        **({"rows_returned": returned} if returned else {}),
        **({"message": merged["message"]} if merged and "message" in merged else {}),
    }


def _require_whole(tools: Tools, args: Detaching, here: Partition, within: Within | None) -> None:
    """Raise when the partition must not go as a whole: its end, rows without a time, more rows than were approved."""
    table = args.table
    parent = table.identifier
    # the id says which data, the bound which rows belong there: both must be what was planned
    if keys.place(here.upper_bound) != keys.place(args.bounds[1]):
        raise StateChangedError(f"{here.name} ends at {here.upper_bound} by now; plan again")
    source = sql.fill("{t} partition ({p})", t=parent, p=sql.identifier(here.name))
    if args.ageless is not None:
        found = server.count(tools.session, source, _ageless(args.ageless), 1)
        # NULL lies in the lowest partition only (partitioned-table.md): elsewhere a count that takes too long holds
        # nothing up, and what was missed is looked for once more after the exchange
        if found or (found is None and args.lowest):
            raise StateChangedError(f"rows without {args.ageless.column} lie in {here.name} by now: it stays")
    if within is not None:
        within(source, here.rows)


def _exchange(tools: Tools, args: Detaching, here: Partition) -> None:
    table = args.table
    parent, partition = table.identifier, sql.identifier(here.name)
    name = table_name(table.name, here.name, args.oid)
    # first a table made from the text of SHOW CREATE TABLE, which has our marker from its first moment. TiDB compares
    # the internal numbers of columns too (checkTableDefCompatible): those of a parent that was altered are not 1, 2,
    # 3 any more, and only a copy has the same
    for again in (False, True):
        other = _copied(tools, args, name) if again else _prepared(tools, args, name)
        statement = sql.statement("data_retention/exchange_partition", table=parent, partition=partition, other=other)
        try:
            ddl.run(tools, statement, what=f"exchanging {here.name}")
        except pymysql.MySQLError as error:
            if faults.code(error) not in DIFFERENT:
                raise
            _remove_empty(tools, Place(table.schema, name, ""))
            if again:
                text = f"TiDB does not exchange {here.name}: {faults.describe(error)}{_WHY}"
                raise RefusedError(text) from error
        else:
            return


def _prepared(tools: Tools, args: Detaching, name: str) -> Sql:
    """Return the empty marked table, made now or by an earlier run."""
    table, session = args.table, tools.session
    identifier = sql.identifier(table.schema, name)
    parts = create_text.take_apart(ddl.show_create(session, table.schema, table.name))
    try:
        ddl.run(tools, parts.like(identifier, _preparing(args)), what=f"making {name}")
    except pymysql.MySQLError as error:
        if faults.code(error) != 1050:  # noqa: PLR2004 - the table exists
            raise
        there = _marked(session, table.schema, name)
        _require_ours(session, args, name, there)
        if there is not None and there.get("state") == RETURNING:  # of an undo that was killed: they are of this range
            give_back(tools, table, Place(table.schema, name, ""), Sql("true"))
        # the exchange would put them into the partition
        if holds_rows(session, identifier):
            place = names.display(table.schema, name)
            text = f"{place} is in the way and holds rows: see whose they are, then rename it"
            raise StateChangedError(text) from error
        again = sql.statement("data_retention/comment_on_table", table=identifier, comment=_preparing(args))
        ddl.run(tools, again, what=f"preparing {name}")
    return identifier


def _require_ours(session: TiDBSession, args: Detaching, name: str, there: Json | None) -> None:
    """Raise unless a table of our name is what a killed run had prepared."""
    place = names.display(args.table.schema, name)
    ours = _is_bare_copy(session, args, name) if there is None else there.get("oid") == args.oid
    if not ours:
        raise StateChangedError(f"a table named {place} is in the way; rename it")
    if there is not None and there.get("state") == DETACHED:
        text = f"somebody has put {args.partition} back: while {place} carries Upkeep's marker it is not detached again"
        raise StateChangedError(text)


def _copied(tools: Tools, args: Detaching, name: str) -> Sql:
    """Return the empty marked table, made as a copy that keeps the internal numbers of columns and indexes.

    It is partitioned until the last step, so no partition can be exchanged with it before it is ready.
    """
    table = args.table
    identifier = sql.identifier(table.schema, name)
    parent = table.identifier
    steps = [
        sql.statement("data_retention/create_like", other=identifier, table=parent),
        sql.statement("data_retention/comment_on_table", table=identifier, comment=_preparing(args)),
    ]
    text = ddl.show_create(tools.session, table.schema, table.name)
    if ttl.read(create_text.take_apart(text).options) is not None:
        # a copy has the parent's TTL too, which would delete during the grace what the grace is to keep
        steps.append(sql.statement("data_retention/remove_ttl", table=identifier))
    steps.append(sql.statement("data_retention/remove_partitioning", table=identifier))
    for step in steps:
        ddl.run(tools, step, what=f"making {name}", seconds=ddl.COPY_SECONDS)
    return identifier


def _preparing(args: Detaching) -> Sql:
    """Return the comment that marks a table from its first moment."""
    marker = {
        "detached_from": names.display(args.table.schema, args.table.name),
        "parent_oid": args.parent_oid,
        "oid": args.oid,
        "partition": args.partition,
        "bounds": args.bounds,
        "lowest": args.lowest,
        "state": PREPARING,
        **args.terms,
    }
    return sql.literal(write_marker(marker))


def _is_bare_copy(session: TiDBSession, args: Detaching, name: str) -> bool:
    """Return whether a table of our name is the copy that a killed run had no time to mark: partitioned alike."""
    table = args.table
    here = [{"schema": table.schema, "name": name}]
    theirs = [row["upper_bound"] for row in catalog.of_tables(session, "partitions", here, "p")]
    return theirs == [p.upper_bound for p in partitions_of(session, table)]


def _marked(session: TiDBSession, schema: str, name: str) -> Json | None:
    rows = session.rows("data_retention/marked_tables", {"schemas": [schema], "ids": [0]})
    return next((read_marker(row["comment"]) for row in rows if names.same(row["name"], name)), None)


def _return_ageless(tools: Tools, args: Detaching, other: Place) -> int:
    """Put rows without a time back that were written between the count and the exchange; return how many."""
    if args.ageless is None:
        return 0
    found = server.count(tools.session, other.identifier, _ageless(args.ageless), 1)
    if found == 0 or (found is None and not args.lowest):  # in the lowest, not known is not none
        return 0
    return give_back(tools, args.table, other, _ageless(args.ageless))


def _completed(tools: Tools, other: Place, marker: Json, grace: Duration, zone: ZoneInfo) -> Json:
    if marker.get("state") == DETACHED:
        return marker
    # counted whole, this once: by it a later run sees whether rows arrived. The server's clock, for by that the later
    # run decides whether the grace is over
    rows, now = server.count_whole(tools.session, other.identifier), tools.session.now()
    done = {**marker, "state": DETACHED, "at": now.isoformat(), "drop_after": shift(now, grace, zone).isoformat()}
    done |= {"rows": rows} if rows is not None else {}
    comment = sql.literal(write_marker(done))
    statement = sql.statement("data_retention/comment_on_table", table=other.identifier, comment=comment)
    ddl.run(tools, statement, what=f"marking {other.subject}")
    return done


def _ageless(of: Ageless) -> Sql:
    return ageless(of.column, of.type)


def _remove_empty(tools: Tools, other: Place) -> None:
    if holds_rows(tools.session, other.identifier):
        raise StateChangedError(f"{other.subject} holds rows; it stays")
    ddl.run(tools, sql.statement("data_retention/drop_table", table=other.identifier), what=f"removing {other.subject}")
