"""What gates look at, alike for every job and engine: which tables at which stage, and one row of an outcome. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from upkeep.fleet import Target
from upkeep.model import Action, Observation, Outcome, Plan


class Frames(Protocol):
    """What the module ``frames`` of a job's room offers."""

    def before(self, observation: Observation, target: Target) -> Mapping[str, list[dict[str, Any]]]:
        """Return the frames of the gate before: nothing is planned yet."""

    def after(
        self, observation: Observation, target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the frames of the gate after, by what is seen now, what was planned and what became of it."""


class _NoFrames:
    """Frames of a job that only looks: nothing is done before or after which something would have to hold."""

    @staticmethod
    def before(_observation: Observation, _target: Target) -> Mapping[str, list[dict[str, Any]]]:
        """Return none."""
        return {}

    @staticmethod
    def after(
        _observation: Observation, _target: Target, _plan: Plan | None, _outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return none."""
        return {}


NO_GATES: Final[Frames] = _NoFrames()


def outcome_row(
    action: Action | None, outcome: Outcome, *, evidence: Sequence[str] = (), counted: bool = True
) -> dict[str, Any]:
    """Return the gate's row of an outcome.

    Parameters
    ----------
    action
        What was carried out; ``None`` when the plan does not know it: then the action's id stands for its subject.
    evidence
        Keys of the outcome's evidence that are columns of the frame.
    counted
        Whether the action counts those at all; else the columns are empty, whatever the evidence says.
    """
    return {
        "subject": action.subject if action is not None else outcome.action_id,
        "kind": action.kind if action is not None else None,
        "status": outcome.status.value,
        "reason_code": outcome.reason_code.value if outcome.reason_code is not None else None,
        **{key: outcome.evidence.get(key) if counted else None for key in evidence},
    }
