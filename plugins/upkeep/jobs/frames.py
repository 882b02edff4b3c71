"""What the gate after a run looks at of each outcome: one row, the same for every job and engine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upkeep.model import Action, Outcome


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
