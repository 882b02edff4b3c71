"""What the gates of cache warming look at, before and after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.frames import outcome_row
from upkeep.model import Observation, Outcome, OutcomeStatus, Plan
from upkeep.redis.cache_warming.findings import refusals


def before(observation: Observation, target: Target) -> dict[str, list[dict[str, Any]]]:
    """Return the frames ``server`` and ``entries`` of the gate before."""
    refused = refusals(observation, target)
    entries = []
    for row in observation.frames["entries"]:
        check = refused[row["subject"]].check if row["subject"] in refused else None
        entries.append(
            {
                "subject": row["subject"],
                "source_reachable": check not in ("source_reachable", "query"),
                "memory_there": check != "memory",
            }
        )
    return {"server": observation.frames["server"], "entries": entries}


def after(
    _observation: Observation, _target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
) -> dict[str, list[dict[str, Any]]]:
    """Return the frame ``outcomes`` of the gate after."""
    actions = {action.id: action for action in plan.actions} if plan is not None else {}
    return {"outcomes": [outcome_row(actions.get(o.action_id), o) | {"proven": _proven(o)} for o in outcomes]}


def _proven(outcome: Outcome) -> bool | None:
    """Return whether the sampled keys equal their rows; ``None``: it was not done, so nothing is to be proven."""
    if outcome.status is not OutcomeStatus.DONE:
        return None
    return "sampled" in outcome.evidence and outcome.evidence.get("unequal") == 0
