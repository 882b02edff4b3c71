"""What the gates before and after retention look at. Pure.

After: rows that were due when the run looked and that it was allowed to remove must be gone; rows written
by transactions that the run's snapshot did not see arrived late and are counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.frames import outcome_row
from upkeep.model import Action, Observation, Outcome, OutcomeStatus, Plan
from upkeep.postgres.data_retention.checks import refusals, space, unindexed_leaves
from upkeep.postgres.data_retention.view import Leaf, TableView
from upkeep.postgres.data_retention.view_from_frames import views
from upkeep.postgres.names import column_of

_MOVING: Final = ("archive_rows", "archive_partition")
_PROOF: Final = ("rows_deleted", "rows_copied", "rows_archived", "hash_source", "hash_archive")
"""What a moving action counts on both sides: the gate compares them. Who only deletes has nothing to compare."""


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``tables`` of the gate before."""
    server = {k: v for k, v in observation.frames["server"][0].items() if k not in {"sees_all", "sees_archiver"}}
    return {"server": [server], "tables": [_before(view) for view in views(observation, target)]}


def after(
    observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``tables`` and ``outcomes`` of the gate after."""
    by_id = {outcome.action_id: outcome for outcome in outcomes}
    actions = plan.actions if plan else ()
    done = [(a, by_id[a.id]) for a in actions if a.id in by_id]
    return {
        "tables": [_after(view, done) for view in views(observation, target)],
        "outcomes": [
            outcome_row(action, outcome, evidence=_PROOF, counted=action.kind in _MOVING) for action, outcome in done
        ],
    }


def _before(view: TableView) -> dict[str, Any]:
    exists = view.relation is not None
    facts = view.facts
    archiving = view.archives
    refused = refusals(view)
    drift = [r.text for r in refused if r.check == "archive_drift"]
    return {
        "subject": view.subject,
        "exists": exists,
        "age_column_exists": view.axis is not None or _has_column(view),
        "age_indexed": exists and (view.by_partition or not unindexed_leaves(view)),
        "archive_exists": (view.archive is not None) if archiving and exists and view.files is None else None,
        "archive_location": _location(view),
        "archive_space": space(view),
        "archive_drift": "; ".join(drift) or None,
        "requirement": view.requirement.kind,
        "writable": exists and not any(r.check == "privileges" for r in refused),
        "publications": ", ".join((facts or {}).get("publications") or ()) or None,
    }


def _location(view: TableView) -> str | None:
    """Return ``usable``, ``not available`` (only trying tells) or what is wrong; ``None``: no location."""
    if view.files is None:
        return None
    if view.files["problem"]:
        return str(view.files["problem"])
    return {True: "usable", False: "not writable", None: "not available"}[view.files["writable"]]


def _has_column(view: TableView) -> bool:
    columns = (view.facts or {}).get("columns") or ()
    return any(column["name"] == column_of(view.age) for column in columns)


def _after(view: TableView, done: Sequence[tuple[Action, Outcome]]) -> dict[str, Any]:
    mine = [(a, o) for a, o in done if a.subject == view.subject and o.status is OutcomeStatus.DONE]
    remaining, late = 0, 0
    for action, outcome in mine:
        if action.kind == "detach_partition":
            remaining += sum(p.partition.oid == action.args["oid"] for p in view.pieces)
        elif action.kind in ("delete_rows", "archive_rows", "archive_partition"):
            old, new = _rows_left(view, action, outcome)
            remaining += old
            late += new
    return {
        "subject": view.subject,
        "due_remaining": remaining,
        "late_arrivals": late,
        "due_total": sum(leaf.due or 0 for leaf in view.leaves) if not view.by_partition else len(view.due_pieces),
        "kept_referenced": sum(leaf.referenced for leaf in view.leaves),
    }


def _rows_left(view: TableView, action: Action, outcome: Outcome) -> tuple[int, int]:
    """Return how many due rows of the action's leaves are older than its snapshot, and how many arrived later."""
    oids = {leaf["oid"] for leaf in action.args["leaves"]}
    snapshot = str(outcome.evidence.get("snapshot", ""))
    if view.cut_off_text != action.args["cut_off"]:
        return 0, 0  # another cut-off: other rows are due now
    old = late = 0
    for leaf in view.leaves:
        if leaf.oid not in oids or not leaf.due:
            continue
        seen = _seen(leaf, snapshot)
        old += seen
        late += leaf.due - seen
    return old, late


def _seen(leaf: Leaf, snapshot: str) -> int:
    if leaf.writers is None:
        return leaf.due or 0  # too many to tell apart: nothing is claimed to be late
    return sum(count for writer, count in leaf.writers.items() if visible(int(writer), snapshot))


def visible(writer: int, snapshot: str) -> bool:
    """Return whether a transaction was over when the snapshot (``xmin:xmax:running,…``) was taken."""
    xmin, xmax, running = [*snapshot.split(":"), "", "", ""][:3]
    if not xmax:
        return True
    if writer < int(xmin):
        return True
    return writer < int(xmax) and str(writer) not in running.split(",")
