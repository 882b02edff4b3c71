"""What one run may remove without a person: pure."""

from __future__ import annotations

from collections.abc import Sequence

from upkeep.fleet import Target
from upkeep.model import Action


def over_limit(rows: int, total: int, target: Target) -> str | None:
    """Return why so many rows of so many are more than the limits allow."""
    limits = target.limits
    if limits.rows is not None and rows > limits.rows:
        return f"about {rows:,} rows would go, the limit is {limits.rows:,}"
    if rows and rows > limits.share * max(total, rows):
        return f"about {rows / max(total, rows):.0%} of the table would go, the limit is {limits.share:.0%}"
    return None


def limited(actions: Sequence[Action], removing: Sequence[Action], total: int, target: Target) -> list[Action]:
    """Mark all that removes rows of a table, when together it is more than a run may remove unasked.

    Parameters
    ----------
    removing
        Those of the actions whose rows count; what comes after one of them is marked with it.
    total
        How many rows the table holds.
    """
    if any(action.rows is None for action in removing):
        text: str | None = "how many rows would go could not be found out"
    else:
        text = over_limit(sum(action.rows or 0 for action in removing), total, target)
    if text is None:
        return list(actions)
    touched = {action.id for action in removing}
    return [
        a.model_copy(update={"over_limit": text}) if a.id in touched or touched & set(a.after) else a for a in actions
    ]
