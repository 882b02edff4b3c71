"""What the gates of retention look at, before and after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.frames import outcome_row
from upkeep.model import Observation, Outcome, OutcomeStatus, Plan
from upkeep.redis.data_retention.checks import refusal
from upkeep.redis.data_retention.view import View, views

_PROOF = ("rows_deleted", "length_lost", "rows_copied", "rows_archived", "hash_source", "hash_archive")
"""A step proves that the stream became shorter by what it deleted; columns of moved rows stay empty here."""


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    seen = views(observation, target)
    return {"server": observation.frames["server"], "tables": [_before(view) for view in seen]}


def after(
    observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``tables`` and ``outcomes`` of the gate after."""
    seen = views(observation, target)
    by_id = {outcome.action_id: outcome for outcome in outcomes}
    done = {a.subject: (a, by_id[a.id]) for a in (plan.actions if plan else ()) if a.id in by_id}
    return {
        "tables": [_after(view, done[view.subject][1] if view.subject in done else None) for view in seen],
        "outcomes": [outcome_row(action, outcome, evidence=_PROOF) for action, outcome in done.values()],
    }


def _before(view: View) -> dict[str, Any]:
    exists = view.kind != "none"
    refused = refusal(view)
    check = refused.check if refused is not None else None
    aged = exists and check not in ("kind", "ids_are_times")
    return {
        "subject": view.subject,
        "exists": exists,
        "age_column_exists": aged,
        "age_indexed": aged,  # a stream is kept in order of its ids
        "archive_exists": None,
        "archive_drift": None,
        "requirement": requirement(view.policy).kind,
        "writable": check != "privileges",
    }


def _after(view: View, outcome: Outcome | None) -> dict[str, Any]:
    """Return what is still due; what was acknowledged, or became due, after the last step counts as late."""
    done = outcome is not None and outcome.status is OutcomeStatus.DONE
    emptied = done and outcome is not None and bool(outcome.evidence.get("emptied"))
    return {
        "subject": view.subject,
        "due_remaining": view.due if done and not emptied else 0,
        "late_arrivals": view.due if emptied else 0,
        "due_total": view.due,
        "kept_referenced": view.row.get("held"),
    }
