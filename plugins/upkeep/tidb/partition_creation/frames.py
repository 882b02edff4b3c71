"""What the gates of partition creation look at, before and after. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.frames import outcome_row
from upkeep.jobs.partition_creation.headroom import headroom
from upkeep.model import Json, Observation, Outcome, Plan
from upkeep.tidb import ddl
from upkeep.tidb.partition_creation.care import Care, cares
from upkeep.tidb.session import Row

_SERVER: Final = (
    *("subject", "reachable", "is_replica", "version", "version_tested"),
    *("longest_transaction_seconds", "disk_free_bytes"),
)

_PROOF = ("rows_copied", "rows_deleted")
"""Empty here: TiDB copies rows itself when a partition is divided, and proves that itself."""


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    found = cares(observation.frames, target, observation.at)
    row = {column: observation.frames["server"][0][column] for column in _SERVER}
    jobs = observation.frames["jobs"]
    return {"server": [row], "tables": [_before(c, jobs) for c in found if c.table or not c.later]}


def after(
    observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``tables`` and ``outcomes`` of the gate after."""
    found = cares(observation.frames, target, observation.at)
    tables = [_after(c, plan) for c in found if c.layout is not None or (c.later and c.table)]
    actions = {action.id: action for action in (plan.actions if plan else ())}
    rows = [outcome_row(actions.get(o.action_id), o, evidence=_PROOF, counted=False) for o in outcomes]
    return {"tables": tables, "outcomes": rows}


def measures(observation: Observation, target: Target) -> Json:
    """Return until when there are partitions."""
    found = cares(observation.frames, target, observation.at)
    return headroom(
        (c.subject, c.scale.axis, c.layout, [span for span, _ in c.partitions])
        for c in found
        if c.scale is not None and c.layout is not None
    )


def _before(care: Care, jobs: Iterable[Row]) -> dict[str, Any]:
    """Return a table's row. What is only not available has its finding: nothing will be done, nothing is wrong."""
    table = care.table
    waiting = [j["seconds"] for j in jobs if table is not None and ddl.is_on(j, table.schema, table.name)]
    return {
        "subject": care.subject,
        "exists": table is not None or care.is_other,
        "supported": (table is None and not care.is_other) or care.problem is None or care.later,
        "owned": True,  # TiDB has no owners; a missing privilege fails the statement before anything changes
        "detach_pending": False,
        "blocking_seconds": max(waiting, default=0.0),
    }


def _after(care: Care, plan: Plan | None) -> dict[str, Any]:
    layout, rows = care.layout, care.max_rows
    findings = plan.findings if plan is not None else ()
    reported = any(f.subject == care.subject and f.check.startswith("default_") for f in findings)
    return {
        "subject": care.subject,
        "ahead_missing": layout.ahead_missing if layout is not None else 0,
        "gaps": layout.gaps if layout is not None else 0,
        "overlaps": layout.overlaps if layout is not None else 0,
        "default_rows": rows,
        "default_rows_reported": rows or 0 if reported else 0,
        "default_rows_unreported": 0 if reported else rows or 0,
    }
