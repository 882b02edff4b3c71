"""What the gates of reindexing look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.frames import Frames, outcome_row
from upkeep.model import Action, Observation, Outcome, OutcomeStatus, Plan
from upkeep.postgres import names
from upkeep.postgres.reindex import view
from upkeep.postgres.reindex.plan import REBUILD

_SERVER: Final = ("subject", "reachable", "version_tested")
_KEPT: Final = (
    *("schema_", "name", "table", "table_oid", "method", "definition", "tablespace", "comment", "constraint"),
    *("is_replica_identity", "is_clustered"),
)
"""What is the same of an index before and after."""


class _Gates:
    @staticmethod
    def before(observation: Observation, _target: Target) -> dict[str, list[dict[str, Any]]]:
        """Return the server."""
        return {"server": [{column: observation.frames["server"][0][column] for column in _SERVER}]}

    @staticmethod
    def after(
        observation: Observation, _target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the outcomes, each with what is there by now of its index."""
        rows = observation.frames["indexes"]
        there = {names.display(row["schema"], row["name"]): row for row in rows}
        left = {of["oid"]: names.display(row["schema"], row["name"]) for row, of in view.leftovers(rows)}
        actions = {action.id: action for action in (plan.actions if plan is not None else ())}
        return {"outcomes": [_row(actions.get(o.action_id), o, there, left) for o in outcomes]}


GATES: Final[Frames] = _Gates()


def _row(
    action: Action | None, outcome: Outcome, there: Mapping[str, Mapping[str, Any]], left: Mapping[int, str]
) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(("rebuilt", "serves", "unchanged", "leftover"))
    if action is not None and outcome.status is OutcomeStatus.DONE:
        row = there.get(action.subject)
        if action.kind != REBUILD:
            found["leftover"] = None if row is None else action.subject
        else:
            now = view.rebuild(row).model_dump() if row is not None else {}
            found["rebuilt"] = row is not None and row["oid"] != action.args["oid"]
            found["serves"] = row is not None and row["is_valid"]
            found["unchanged"] = all(now.get(key) == action.args.get(key) for key in _KEPT)
            found["leftover"] = left.get(row["oid"]) if row is not None else None
    return {**outcome_row(action, outcome), **found}
