"""What one run may remove without a person: pure."""

from __future__ import annotations

from upkeep.fleet import Target


def over_limit(rows: int, total: int, target: Target) -> str | None:
    """Return why so many rows of so many are more than the limits allow."""
    limits = target.limits
    if limits.rows is not None and rows > limits.rows:
        return f"about {rows:,} rows would go, the limit is {limits.rows:,}"
    if rows and rows > limits.share * max(total, rows):
        return f"about {rows / max(total, rows):.0%} of the table would go, the limit is {limits.share:.0%}"
    return None
