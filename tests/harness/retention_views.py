"""A table as retention on PostgreSQL sees it, made of values alone."""

from typing import Any
from zoneinfo import ZoneInfo

from tests.harness.jobs import on
from upkeep.fleet import RetainPolicy
from upkeep.jobs.partition_creation.axis import Axis
from upkeep.postgres.catalog import Partition, Relation
from upkeep.postgres.data_retention.view import Piece, TableView

UTC_ZONE = ZoneInfo("UTC")
RELATION: dict[str, Any] = {
    "oid": 1,
    "schema": "public",
    "name": "logs",
    "kind": "p",
    "persistence": "p",
    "is_partition": False,
    "rows": -1.0,
    "pages": 0,
    "replica_identity": "d",
    "row_security": False,
    "owner": "me",
    "may_alter": True,
    "may_create": True,
    "strategy": "r",
    "default_oid": None,
    "key_has_expression": False,
    "key_columns": ["at"],
    "key_types": ["timestamptz"],
    "unique_keys": [],
    "referenced_by": [],
    "triggers": [],
    "rules": [],
    "publications": [],
}


def policy(length: str = "1 month", **other: Any) -> RetainPolicy:
    return RetainPolicy.model_validate({"for": length, "by": "at", "then": "delete", **other})


def view(*months: int, **changes: Any) -> TableView:
    """Return a table with partitions for these months of 2024, seen on 15 June with a retention of a month."""
    axis = Axis("timestamptz", UTC_ZONE)
    pieces = []
    for month in months:
        partition = Partition(1, month, "public", f"logs_{month}", "r", "", False, 10.0, 1, None)
        bounds = (axis.of(on(f"2024-{month:02}-01")), axis.of(on(f"2024-{month + 1:02}-01")))
        pieces.append(Piece(partition, *bounds, parent=Relation(**RELATION)))
    known: dict[str, Any] = {
        "policy_name": "public.logs",
        "policy": policy(),
        "subject": "public.logs",
        "age": "at",
        "at": on("2024-06-15"),
        "server_now": on("2024-06-15"),
        "relation": Relation(**RELATION),
        "axis": axis,
        "cut_off": axis.of(on("2024-05-15")),
        "pieces": pieces,
    }
    return TableView(**{**known, **changes})
