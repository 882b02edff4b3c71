"""PostgreSQL's indexes as all engines have them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from upkeep.fleet import Target
from upkeep.fleet.policies.indexes import IndexesPolicy
from upkeep.jobs.index_analysis import advice
from upkeep.jobs.index_analysis.indexes import Index
from upkeep.model import Observation
from upkeep.postgres import catalog, names
from upkeep.postgres.session import Row

_BOUND: Final = (
    ("is_replica_identity", "it is the replica identity of its table"),
    ("is_clustered", "its table is clustered by it"),
    ("is_referenced", "foreign keys refer to it"),
    ("is_of_extension", "it belongs to an extension"),
    ("is_child", "it is a part of the index of a partitioned table"),
    ("has_expression", "the planner keeps statistics for its expression"),
    ("is_unique", "it keeps values unique"),
)
"""What ties an index down, by the column that says so."""


def of(observation: Observation, target: Target) -> list[Index]:
    """Return the indexes of an observation."""
    return indexes(observation.frames["indexes"], target, replica=observation.server.replica)


def indexes(rows: Iterable[Row], target: Target | None = None, *, replica: bool = False) -> list[Index]:
    """Return the indexes that the catalog's rows tell of; without a target nobody's word keeps any of them."""
    policy = (IndexesPolicy.of(target) if target is not None else None) or IndexesPolicy()
    return [_index(row, policy, replica=replica) for row in rows]


def _index(row: Row, policy: IndexesPolicy, *, replica: bool) -> Index:
    subject = names.display(row["schema"], row["name"])
    plain = row["method"] == "btree" and not row["has_expression"]
    return Index(
        subject=subject,
        table=names.display(row["schema"], row["table"]),
        age=row["oid"],
        shape=row["shape"],
        keys=tuple(row["keys"]),
        rest=f"{row['method']} {row['predicate'] or ''}",
        more=frozenset(row["included"]),
        unique=row["is_unique"],
        bound=next(_bound(row), "") or advice.kept(policy, subject),
        hinders=next(_hinders(row, replica=replica), ""),
        valid=row["is_valid"] or row["is_partitioned"],  # that of a parent waits for its partitions' own
        prefixes=plain and not row["is_partitioned"],
        part=row["is_child"],
        watched=not row["is_partitioned"] and not row["serves_foreign_key"],
        bytes=row["bytes"],
        row=row,
    )


def _bound(row: Row) -> Iterator[str]:
    if row["constraint_name"] is not None:
        yield f"it belongs to the constraint {names.quote(row['constraint_name'])}"
    yield from (why for column, why in _BOUND if row[column])


def _hinders(row: Row, *, replica: bool) -> Iterator[str]:
    if row["is_partitioned"]:
        yield "an index of a partitioned table cannot be dropped without blocking writers"
    if row["parent_awaits"]:
        yield "an index of the partitioned table is not attached yet on all partitions: this may be its part"
    if not row["may_drop"]:
        yield catalog.unowned(row)
    if not row["is_valid"] and row["is_held"]:
        yield "somebody builds or drops it right now"
    if replica:
        yield "a replica takes no changes"
