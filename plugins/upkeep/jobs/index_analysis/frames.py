"""What the gates of index analysis look at, on every engine. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from upkeep.fleet import Target
from upkeep.jobs.frames import outcome_row
from upkeep.jobs.index_analysis.indexes import Index
from upkeep.model import Action, Observation, Outcome, OutcomeStatus, Plan

_SERVER = ("subject", "reachable", "version_tested")


@dataclass(frozen=True, slots=True)
class Gates:
    """The frames of both stages; ``indexes``: how the engine's room reads an observation."""

    indexes: Callable[[Observation, Target], Sequence[Index]]

    def before(self, observation: Observation, _target: Target) -> dict[str, list[dict[str, Any]]]:
        """Return the server."""
        return {"server": [{column: observation.frames["server"][0][column] for column in _SERVER}]}

    def after(
        self, observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the outcomes: an index that was taken away serves no query any more, and the one that stays does."""
        serving = {index.subject for index in self.indexes(observation, target) if index.serves}
        actions = {action.id: action for action in (plan.actions if plan is not None else ())}
        return {"outcomes": [_row(actions.get(o.action_id), o, serving) for o in outcomes]}


def _row(action: Action | None, outcome: Outcome, serving: set[str]) -> dict[str, Any]:
    done = action is not None and outcome.status is OutcomeStatus.DONE
    return {
        **outcome_row(action, outcome),
        "still_serves": action.subject in serving if action is not None and done else None,
        "twin_serves": action.args["twin"] in serving if action is not None and done else None,
    }
