"""What partition creation decides: one action for each table that lacks partitions, findings for the rest. Pure.

One statement adds all missing partitions of a table: one job for TiDB, done entirely or not at all. Above a
MAXVALUE partition nothing can be added; it is divided instead, which copies its rows, so only when they are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from upkeep.fleet import Target
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Value
from upkeep.model import Action, Finding, Observation, Plan, ReasonCode, Request
from upkeep.tidb import keys, names, sql
from upkeep.tidb.catalog import Partition, Planned
from upkeep.tidb.ddl import bound_literal, definition
from upkeep.tidb.keys import Scale
from upkeep.tidb.partition_creation.args import Creation, Divided, Highest, New
from upkeep.tidb.partition_creation.care import INTERVAL_NAME, Care, cares, regular
from upkeep.tidb.partition_creation.findings import findings
from upkeep.tidb.server import not_available, stuck_jobs
from upkeep.tidb.sql import Sql

KIND: Final = "create_partition"
SHOWN: Final = 3


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be done, and what was seen."""
    found = cares(observation.frames, target, observation.at)
    actions: list[Action] = []
    told: list[Finding] = []
    for care in found:
        if care.table is not None and care.scale is not None and care.new_bounds:
            actions.append(_creation(care, care.scale))
        told += findings(care, observation.at, blocked=_blocked(care) is not None)
    told += stuck_jobs(observation.frames["jobs"])
    told += not_available(observation.frames["server"][0])
    return Plan.make(observation, actions, told)


def _creation(care: Care, scale: Scale) -> Action:
    table = care.table
    assert table is not None  # noqa: S101 - only tables that exist get here
    new = tuple(New(name, scale.number(bound)) for name, bound in _named(care, scale))
    args = Creation(
        table=Planned(table.id, table.schema, table.name),
        method=_method(care),
        partitions=new,
        last=scale.number(care.last) if care.last > LOWEST else None,
        maxvalue=Highest(care.maxvalue.id, care.maxvalue.name) if care.maxvalue is not None else None,
        divided=_divided(care.divided) if care.divided is not None else None,
        move=care.max_rows or 0,
        move_at_most=care.policy.move_default_rows,
    )
    first, last = care.new_bounds[0], care.new_bounds[-1]
    listed = ", ".join(p.name for p in new[:SHOWN]) + (f" … {new[-1].name}" if len(new) > SHOWN else "")
    return Action.make(
        kind=KIND,
        subject=table.subject,
        args=args.written(),
        intent={"table": table.id, "bounds": [p.bound for p in new]},
        statements=(statement(args).text,),
        reason=_reason(care),
        detail=f"{len(new)} partitions: {listed}; from {scale.text(care.last)} to {scale.text(last)}",
        destructive=False,
        precondition=f"the last bound is still {scale.text(care.last)}, the next {scale.text(first)} is not there yet",
        undo="upkeep undo drops the partitions while they are empty",
        lock=_lock(care),
        rows=care.max_rows or 0,
        blocked=_blocked(care),
    )


def statement(args: Creation) -> Sql:
    """Return the statement that an action stands for."""
    table, new, old = args.table.identifier, args.partitions, args.divided
    if args.method == "last":
        return sql.statement("last_partition", table=table, bound=bound_literal(new[-1].bound))
    parts = sql.joined(", ", (definition(p.name, p.bound) for p in new))
    if old is not None:
        rest = definition(old.name, old.bound)
        into = sql.joined(", ", (parts, rest) if keys.place(old.bound) == HIGHEST else (rest, parts))
        return sql.statement("reorganize_partition", table=table, partitions=sql.identifier(old.name), into=into)
    return sql.statement("partition_creation/add_partition", table=table, partitions=parts)


def _divided(partition: Partition) -> Divided:
    return Divided(partition.id, partition.name, keys.bare(partition.upper_bound))


def _method(care: Care) -> Literal["add", "last", "reorganize"]:
    if care.divided is not None:
        return "reorganize"  # SPLIT MAXVALUE PARTITION says "unsupported" unless the interval is plain
    only_intervals = all(p.name.startswith(INTERVAL_NAME) for _, p in care.partitions)
    to_end = care.scale is not None and care.scale.is_end(care.new_bounds[-1])
    return "last" if care.is_interval and only_intervals and regular(care) and not to_end else "add"


def _named(care: Care, scale: Scale) -> Iterator[tuple[str, Value]]:
    """Yield a name for each new bound: the period it ends, or as TiDB names intervals; never one that is taken."""
    taken = {p.name.lower() for _, p in care.partitions}
    taken |= {care.maxvalue.name.lower()} if care.maxvalue is not None else set()
    for bound in care.new_bounds:
        name = INTERVAL_NAME + scale.number(bound) if care.is_interval else _period_name(care, scale, bound)
        base, number = name[: names.MAX_CHARACTERS - 4], 1
        while name.lower() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.lower())
        yield name, bound


def _period_name(care: Care, scale: Scale, bound: Value) -> str:
    """Return e.g. ``p_2024_02`` for the partition that ends with February."""
    every = care.policy.every
    start = scale.axis.floor(bound - 1, every)
    if isinstance(every, int):
        return f"p_{start}".replace("-", "minus_")
    wall = scale.axis.instant(start).astimezone(scale.axis.zone)
    if every.months:
        return f"p_{wall:%Y}" if every.months % 12 == 0 else f"p_{wall:%Y_%m}"
    if every.days:
        return f"p_{wall:%Y_%m_%d}"
    return f"p_{wall:%Y_%m_%d_%H}" if every.seconds % 3600 == 0 else f"p_{wall:%Y_%m_%d_%H%M%S}"


def _reason(care: Care) -> str:
    layout = care.layout
    assert layout is not None  # noqa: S101 - a table with something missing has a layout
    if care.last <= layout.current and care.new_bounds[0] <= layout.current:
        why = "the partitions end before the current period"
    elif care.last <= layout.current:
        why = "the current period has no partition"
    else:
        why = f"{care.policy.ahead} ahead of the current one are declared, not all are there"
    return f"{why}; copies {care.max_rows} rows of {_called(care)}" if care.max_rows else why


def _called(care: Care) -> str:
    return "the MAXVALUE partition" if care.maxvalue is not None else "the last partition"


def _lock(care: Care) -> str:
    text = "none that readers or writers feel; waits for transactions that began before it"
    return f"{text}; {care.max_rows} rows are copied online" if care.max_rows else text


def _blocked(care: Care) -> tuple[ReasonCode, str] | None:
    if care.divided is None:
        return None
    if care.max_rows is None:
        return ReasonCode.NOT_SUPPORTED, f"the rows of {_called(care)} could not be counted in time"
    limit = care.policy.move_default_rows
    if care.max_rows > limit:
        text = f"{_called(care)} holds more than {limit} rows, and dividing it copies them all"
        return ReasonCode.OVER_LIMIT, text
    return None
