"""What one run may remove without a person: pure."""

from __future__ import annotations

from collections.abc import Sequence

from upkeep.fleet import Target
from upkeep.model import Action


def over_limit(rows: int | None, total: int, target: Target, what: str = "rows") -> str | None:
    """Return why so many rows of so many are more than the limits allow.

    Where nobody knows how many would go (``None``), a person decides: no answer is not a small number.
    """
    limits = target.limits
    if rows is None:
        return f"how many {what} would go could not be found out"
    if limits.rows is not None and rows > limits.rows:
        return f"about {rows:,} rows would go, the limit is {limits.rows:,}"
    # statistics of a table that was just filled may say fewer rows than go: then all of it goes
    if rows and rows > limits.share * max(total, rows):
        return f"about {rows / max(total, rows):.0%} of the table would go, the limit is {limits.share:.0%}"
    return None


def limited(actions: Sequence[Action], removing: Sequence[Action], total: int, target: Target) -> list[Action]:
    """Mark all that removes rows of a table, when together it is more than a run may remove unasked.

    The limit is the table's, not the action's: fifty partitions of 2 % each are the whole table.

    Parameters
    ----------
    removing
        Those of the actions whose rows count; what comes after one of them is marked with it.
    total
        How many rows the table holds.
    """
    known = [action.rows for action in removing]
    text = over_limit(None if None in known else sum(rows or 0 for rows in known), total, target)
    if text is None:
        return list(actions)
    touched = {action.id for action in removing}
    return [
        a.model_copy(update={"over_limit": text}) if a.id in touched or touched & set(a.after) else a for a in actions
    ]
