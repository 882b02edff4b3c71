"""What the gates of retention look at, before and after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.frames import outcome_row
from upkeep.model import Action, Observation, Outcome, OutcomeStatus, Plan
from upkeep.tidb.data_retention.args import Detached, Rows
from upkeep.tidb.data_retention.checks import refusals
from upkeep.tidb.data_retention.view import TableView
from upkeep.tidb.data_retention.view_from_frames import views

_MOVING = ("archive_rows", "archive_partition")
_PROOF = ("rows_deleted", "rows_copied", "rows_archived", "hash_source", "hash_archive")
"""What moving rows proves by; where rows are only deleted, there is nothing to compare."""
_SERVER = (
    *("subject", "reachable", "is_replica", "version", "version_tested"),
    *("longest_transaction_seconds", "replication_lag_seconds", "disk_free_bytes"),
)


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    seen = views(observation, target)
    server = {column: observation.frames["server"][0][column] for column in _SERVER}
    return {"server": [server], "tables": [_before(view) for view in seen]}


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


def _before(view: TableView) -> dict[str, Any]:
    exists = view.table is not None
    refused = refusals(view)
    drift = [r.text for r in refused if r.check == "archive_drift"]
    archiving = view.policy.then == "archive"
    return {
        "subject": view.subject,
        "exists": exists,
        "age_column_exists": exists and view.axis is not None,
        "age_indexed": exists and not any(r.check == "age_index" for r in refused),
        "archive_exists": (view.archive is not None) if archiving and exists else None,
        "archive_drift": "; ".join(drift) or None,
        "requirement": requirement(view.policy).kind,
        "writable": exists,  # TiDB has no owners; a missing privilege fails the statement before anything changes
        "publications": None,
    }


def _after(view: TableView, done: Sequence[tuple[Action, Outcome]]) -> dict[str, Any]:
    mine = [(a, o) for a, o in done if a.subject == view.subject and o.status is OutcomeStatus.DONE]
    remaining = late = 0
    for action, outcome in mine:
        if action.kind == "detach_partition":
            oid = Detached.of(action).oid
            remaining += sum(p.partition.id == oid for p in view.pieces)
        elif action.kind in ("delete_rows", "archive_rows", "archive_partition"):
            left = _left(view, action)
            if outcome.evidence.get("emptied"):
                late += left  # the sweep ended with nothing due: what is there now came later
            else:
                remaining += left
    return {
        "subject": view.subject,
        "due_remaining": remaining,
        "late_arrivals": late,
        "due_total": len(view.due_pieces) if view.by_partition else view.due or 0,
        "kept_referenced": 0,
    }


def _left(view: TableView, action: Action) -> int:
    """Return how many due rows are there, as the observation afterwards counted them; with another cut-off none."""
    args = Rows.of(action)
    if view.cut_off_text != args.cut_off:
        return 0
    if action.kind == "archive_partition":
        return sum(p.rows or 0 for p in view.due_pieces if p.partition.name == args.partition)
    return view.due or 0
