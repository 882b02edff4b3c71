"""What the gates before and after partition creation look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.frames import outcome_row
from upkeep.jobs.partition_creation.headroom import headroom
from upkeep.model import Json, Observation, Outcome, Plan
from upkeep.postgres.partition_creation.view import Care
from upkeep.postgres.partition_creation.view_from_frames import cares

_SERVER: Final = (
    "subject",
    "reachable",
    "is_replica",
    "version",
    "version_tested",
    "longest_transaction_seconds",
    "disk_free_bytes",
)


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    found = cares(observation.frames, target, observation.at)
    server = {column: observation.frames["server"][0][column] for column in _SERVER}
    blockers = {row["oid"]: row["seconds"] for row in observation.frames["blockers"]}
    return {"server": [server], "tables": [_before(c, blockers) for c in found if c.relation or not c.later]}


def after(
    observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``tables`` and ``outcomes`` of the gate after."""
    found = cares(observation.frames, target, observation.at)
    defaults = {row["parent"]: row for row in observation.frames["defaults"]}
    actions = {action.id: action for action in plan.actions} if plan is not None else {}
    moved = ("rows_copied", "rows_deleted")
    return {
        "tables": [_after(c, defaults, plan) for c in found if c.ready or (c.later and c.relation)],
        "outcomes": [outcome_row(actions.get(o.action_id), o, evidence=moved) for o in outcomes],
    }


def measures(observation: Observation, target: Target) -> Json:
    """Return until when there are partitions."""
    found = cares(observation.frames, target, observation.at)
    return headroom(
        (c.subject, c.axis, c.layout, c.spans) for c in found if c.axis is not None and c.layout is not None
    )


def _before(care: Care, blockers: Mapping[int, float | None]) -> dict[str, Any]:
    """Return a table's row. What is only not available yet has its finding: nothing will be done, nothing is wrong."""
    relation = care.relation
    held = [relation.oid] if relation is not None else []
    held += [care.default.oid] if care.default is not None else []
    return {
        "subject": care.subject,
        "exists": relation is not None,
        "supported": relation is None or care.problem is None or care.later,
        "owned": relation is None or care.later or (relation.may_alter and relation.may_create),
        "detach_pending": bool(care.pending),
        "blocking_seconds": max((blockers[oid] or 0.0 for oid in held if oid in blockers), default=0.0),
    }


def _after(care: Care, defaults: Mapping[int, Mapping[str, Any]], plan: Plan | None) -> dict[str, Any]:
    layout, relation = care.layout, care.relation
    declared_missing = care.sets.absent if care.sets is not None else 0
    default = defaults.get(relation.oid) if relation is not None else None
    unknown = default is not None and default["unknown"]
    rows = sum(bucket["rows"] for bucket in default["buckets"]) if default is not None else 0
    findings = plan.findings if plan is not None else ()
    reported = any(f.subject == care.subject and f.check.startswith("default_") for f in findings)
    return {
        "subject": care.subject,
        "ahead_missing": layout.ahead_missing if layout is not None else declared_missing,
        "gaps": layout.gaps if layout is not None else 0,
        "declared_missing": declared_missing,
        "overlaps": layout.overlaps if layout is not None else 0,
        "default_rows": None if unknown else rows,
        "default_rows_reported": rows if reported else 0,
        "default_rows_unreported": 0 if reported or unknown else rows,
    }
