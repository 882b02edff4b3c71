"""What the gates of partition creation look at, before and after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.frames import outcome_row
from upkeep.model import Observation, Outcome, Plan
from upkeep.mongo.partition_creation.care import Care, cares

_PROOF = ("rows_copied", "rows_deleted")
"""Empty here: no document moves when a collection or an index is made."""


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    found = cares(observation.frames, target)
    server = observation.frames["server"][0]
    waits = server["longest_transaction_seconds"]
    return {"server": [server], "tables": [_before(care, waits) for care in found]}


def after(
    observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``tables`` and ``outcomes`` of the gate after."""
    found = cares(observation.frames, target)
    actions = {action.id: action for action in (plan.actions if plan else ())}
    rows = [outcome_row(actions.get(o.action_id), o, evidence=_PROOF, counted=False) for o in outcomes]
    return {"tables": [_after(care, plan) for care in found], "outcomes": rows}


def _before(care: Care, waits: float) -> dict[str, Any]:
    """Return a collection's row. One that is not there will be made: that is the job, and nothing is wrong."""
    return {
        "subject": care.subject,
        "exists": care.row is not None or care.to_create,
        "supported": care.supported,
        "owned": not care.lacks,
        "detach_pending": False,
        "blocking_seconds": waits,
    }


def _after(care: Care, plan: Plan | None) -> dict[str, Any]:
    known = {(f.subject, f.check) for f in (plan.findings if plan else ())}
    silent = [d for d in care.differences if (care.subject, d.check) not in known]
    return {
        "subject": care.subject,
        "ahead_missing": len(care.missing_indexes) + (care.row is None and care.to_create),
        "gaps": 0,
        "overlaps": 0,
        "default_rows": 0,
        "default_rows_unreported": 0,
        "differences_unreported": len(silent),
    }
