"""How far the partitions reach that are declared, from their bounds; and whether a default partition holds a row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import psycopg
from psycopg import sql

from upkeep.fleet.tables import PartitionPolicy
from upkeep.jobs.checks import Seen
from upkeep.jobs.contract import Ask
from upkeep.jobs.health_check import headroom
from upkeep.jobs.partition_creation.axis import Axis, UnknownBoundsError, Value
from upkeep.postgres import bounds, catalog, names
from upkeep.postgres.session import PostgresSession


def ahead(ask: Ask[PostgresSession]) -> Iterator[Seen]:
    """Yield how far the range partitions of each declared table reach, where its column tells the time."""
    for relation, policy, partitions in _tables(ask):
        type_ = relation.key_types[0] if relation.key_types and len(relation.key_types) == 1 else None
        if not isinstance(policy, PartitionPolicy) or isinstance(policy.every, int) or type_ is None:
            continue
        axis = Axis(type_, policy.zone, policy.unit)
        if axis.is_id or relation.strategy != "r":
            continue
        yield headroom.reach(relation.subject, policy, axis, _ends(partitions, axis), ask.server.clock)


def defaults(ask: Ask[PostgresSession]) -> Iterator[Seen]:
    """Yield whether the default partition of each declared table holds a row."""
    for relation, _policy, partitions in _tables(ask):
        for default in (p for p in partitions if p.is_default and p.kind == "r"):
            table = sql.Identifier(default.schema, default.name)
            try:
                (row,) = ask.session.execute(ask.session.statement("health_check/any_row", table=table)).fetchall()
                state, what = ("rows", "has rows") if row["holds"] else ("empty", "is empty")
            except psycopg.errors.InsufficientPrivilege:
                state, what = "unreadable", "may not be read: whether it has rows is not known"
            except psycopg.errors.LockNotAvailable:
                state, what = "unreadable", "is locked by somebody: whether it has rows is not known"
            evidence = {"what": f"its default partition {what}"}
            yield Seen(check="default_rows", subject=relation.subject, state=state, evidence=evidence)


def _tables(
    ask: Ask[PostgresSession],
) -> Iterator[tuple[catalog.Relation, object, list[catalog.Partition]]]:
    """Yield the partitioned tables for which partitions are declared, each with its partitions."""
    declared = {name: policy.partition for name, policy in ask.target.tables.items() if policy.partition is not None}
    patterns, _wrong = names.parse_all(declared)
    found = catalog.by_policy(catalog.relations(ask.session, patterns.values()), patterns)
    tables = {relation.oid: (relation, declared[name]) for name, all_ in found.items() for relation in all_}
    parted = {oid: pair for oid, pair in tables.items() if pair[0].kind == "p"}
    below: Mapping[int, list[catalog.Partition]] = {oid: [] for oid in parted}
    for partition in catalog.partitions(ask.session, [*parted]):
        below[partition.parent].append(partition)
    for oid, (relation, policy) in parted.items():
        yield relation, policy, below[oid]


def _ends(partitions: list[catalog.Partition], axis: Axis) -> Iterator[Value]:
    for partition in partitions:
        with contextlib.suppress(UnknownBoundsError):  # the default, or one whose detaching is pending
            yield bounds.read(partition.bounds or "", axis)[1]
