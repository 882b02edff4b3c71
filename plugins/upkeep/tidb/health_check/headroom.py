"""For how many more periods the tables in care have partitions: from the catalog alone, no row is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from upkeep.fleet.tables import PartitionPolicy
from upkeep.jobs.checks import Seen
from upkeep.jobs.contract import Ask
from upkeep.jobs.health_check import headroom
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, UnknownBoundsError
from upkeep.tidb import catalog, keys, names
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.session import Row, TiDBSession


def measure(ask: Ask[TiDBSession]) -> Iterator[Seen]:
    """Yield each declared table: by its last bound, or why that cannot be told."""
    policies = {k: p.partition for k, p in ask.target.subjects().items() if isinstance(p.partition, PartitionPolicy)}
    patterns = {key: names.parse(key) for key in policies}
    found = catalog.tables(ask.session, patterns.values())
    children = catalog.of_tables(ask.session, "partitions", found, "p")
    columns = catalog.of_tables(ask.session, "columns", found, "c")
    declared = catalog.by_policy([Table(**row) for row in found], patterns, ask.session.database)
    for key, tables in declared.items():
        for table in tables:
            mine = [Partition(**row) for row in _of(table, children)]
            types = {row["name"].lower(): row for row in _of(table, columns)}
            yield _of_table(ask, policies[key], mine, types).model_copy(update={"subject": table.subject})


def _of(table: Table, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if (row["schema"], row["table"]) == (table.schema, table.name)]


def _of_table(ask: Ask[TiDBSession], policy: PartitionPolicy, children: list[Partition], types: dict[str, Row]) -> Seen:
    if not children:
        return _unknown("no partition of it is to be seen: there is none, or our user may not select from it")
    key = keys.read_key(children[0].method, children[0].expression)
    if isinstance(key, str):
        return _unknown(key)
    column = types.get(key.column.lower())
    if column is None or keys.unfit(key, column["base"].lower(), policy.every, policy.unit) is not None:
        return _unknown("the policy does not fit its key: partition_creation says more")
    unsigned = "unsigned" in column["type"].lower()
    scale = keys.scale(key, column["base"].lower(), policy.zone, policy.unit, unsigned=unsigned)
    if scale.axis.is_id or isinstance(policy.every, int):
        return _unknown("its partitions are of ids, of which the clock tells nothing")
    try:
        ends = [scale.read(p.upper_bound) for p in children]
        below = [end for end in ends if end < HIGHEST]
        if len(below) < len(ends) and scale.reaches_end(max(below, default=LOWEST), policy.every):
            below = ends  # the one without an end is the last period that the column's type has room for
        return headroom.reach("", policy, scale.axis, below, ask.server.clock)
    except (UnknownBoundsError, OverflowError) as error:
        return _unknown(f"a bound cannot be read: {error}")


def _unknown(why: str) -> Seen:
    return Seen(check=headroom.CHECK, evidence={"why": why})
