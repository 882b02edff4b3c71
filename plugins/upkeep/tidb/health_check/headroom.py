"""For how many more periods the tables in care have partitions: from the catalog alone, no row is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from upkeep.fleet.tables import PartitionPolicy
from upkeep.jobs.checks import Seen
from upkeep.jobs.contract import Ask
from upkeep.jobs.partition_creation.axis import HIGHEST, UnknownBoundsError, length
from upkeep.jobs.partition_creation.layout import Wish, layout
from upkeep.model.value import Json
from upkeep.tidb import catalog, keys, names
from upkeep.tidb.catalog import Partition, Table
from upkeep.tidb.session import Row, TiDBSession

CHECK: Final = "partition_headroom"


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
        return _unknown("it has no partitions: partition_creation says more")
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
        spans = [span for span, _ in catalog.read_spans(children, scale)]
    except UnknownBoundsError as error:
        return _unknown(f"a bound cannot be read: {error}")
    finite = [span for span in spans if span.upper < HIGHEST]
    at = scale.axis.of(ask.at)
    last = max((span.upper for span in finite), default=at)
    missing = layout(finite, Wish(every=policy.every, ahead=policy.ahead, at=at), scale.axis).ahead_missing
    periods = (last - at) / length(policy.every)
    overflow = "; rows beyond fall into the partition without an end" if len(finite) < len(spans) else ""
    known: Json = {"periods": f"{max(periods, 0):.1f}", "ahead": policy.ahead, "last": scale.text(last)}
    known |= {"overflow": overflow, "missing": missing}
    # a policy that asks for a single period ahead is kept when that is there
    kept = missing == 0
    return Seen(check=CHECK, value=None if kept else periods, state="as declared" if kept else "", evidence=known)


def _unknown(why: str) -> Seen:
    return Seen(check=CHECK, evidence={"why": why})
