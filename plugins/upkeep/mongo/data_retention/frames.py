"""What the gates of retention look at, before and after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.frames import outcome_row
from upkeep.model import Action, Observation, Outcome, OutcomeStatus, Plan
from upkeep.mongo import catalog
from upkeep.mongo.data_retention.checks import refusals
from upkeep.mongo.data_retention.view import View, views

_MOVING = ("archive_rows", "archive_measurements")
_PROOF = ("rows_deleted", "rows_copied", "rows_archived", "hash_source", "hash_archive")
"""What moving rows proves by; where rows are only deleted, there is nothing to compare."""
_EXPIRY = ("set_expiry", "lengthen_expiry")


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    seen = views(observation, target)
    known = [view for view in seen if view.row is not None or not catalog.is_glob(view.subject)]
    return {"server": observation.frames["server"], "tables": [_before(view) for view in known]}


def after(
    observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``tables`` and ``outcomes`` of the gate after."""
    seen = views(observation, target)
    by_id = {outcome.action_id: outcome for outcome in outcomes}
    done = [(a, by_id[a.id]) for a in (plan.actions if plan else ()) if a.id in by_id]
    return {
        "tables": [_after(view, done) for view in seen],
        "outcomes": [outcome_row(a, o, evidence=_PROOF, counted=a.kind in _MOVING) for a, o in done],
    }


def _before(view: View) -> dict[str, Any]:
    """Return a collection's row. An archive that is not there is made: nothing is said of it."""
    exists = view.row is not None
    refused = refusals(view)
    drift = [r.text for r in refused if r.check in ("archive_drift", "archive_expires")]
    dated = bool(view.facts.get("dated")) or view.facts.get("rows") in (0, None)
    return {
        "subject": view.subject,
        "exists": exists,
        "age_column_exists": exists and dated,
        "age_indexed": exists and not any(r.check == "age_index" for r in refused),
        "archive_exists": True if view.archive is not None and view.archives else None,
        "archive_drift": "; ".join(drift) or None,
        "requirement": requirement(view.policy).kind,
        "writable": exists and not any(r.check == "privileges" for r in refused),
        "publications": None,
    }


def _after(view: View, done: Sequence[tuple[Action, Outcome]]) -> dict[str, Any]:
    mine = [(a, o) for a, o in done if a.subject == view.subject and o.status is OutcomeStatus.DONE]
    remaining = late = 0
    for action, outcome in mine:
        if action.kind in ("delete_rows", "archive_rows"):
            left = view.due or 0
            same = view.cut_off.isoformat() == outcome.evidence.get("cut_off")
            if outcome.evidence.get("emptied") or not same:
                late += left  # a round found nothing due any more: what is there now came later
            else:
                remaining += left
        elif action.kind in _EXPIRY:
            remaining += view.expires != outcome.evidence.get("after")
    return {
        "subject": view.subject,
        "due_remaining": remaining,
        "late_arrivals": late,
        "due_total": view.due or 0,
        "kept_referenced": 0,
    }
