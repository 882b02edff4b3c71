"""The marker that a detached table carries in its comment: where it came from, how it was left, when it may go.

What was wanted at the detaching (`terms`) is compared with today's policy before the table is dropped: today's policy
can keep it longer or require more, never less.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from upkeep.fleet import RetainPolicy
from upkeep.jobs.data_retention.cutoff import moment, requirement
from upkeep.jobs.partition_creation.axis import Axis
from upkeep.model import Json, Requirement
from upkeep.model.intervals import shift

MARKER_BEGINS: Final = "upkeep: "
NEVER: Final = datetime.max.replace(tzinfo=UTC)
_RANKS: Final = ("nothing", "approval", "backup")
_READING: Final = {"age": "retain.by", "unit": "retain.unit", "timezone": "retain.timezone"}
"""What the bounds in a marker are read by."""


def read_marker(comment: str | None) -> Json | None:
    """Return our marker, or ``None`` when the comment is none of ours."""
    if not comment or not comment.startswith(MARKER_BEGINS):
        return None
    try:
        marker = json.loads(comment.removeprefix(MARKER_BEGINS))
    except ValueError:
        return None
    # a comment that only begins like ours is an owner's: such a table is not touched
    return marker if isinstance(marker, dict) and "detached_from" in marker else None


def write_marker(marker: Json) -> str:
    """Return the comment that carries the marker."""
    return MARKER_BEGINS + json.dumps(marker, sort_keys=True, ensure_ascii=False)


def terms(policy: RetainPolicy, age: str, axis: Axis | None) -> Json:
    """Return what the policy wants, as the marker keeps it; ``age`` is the column as the catalog has it."""
    counts = axis is not None and axis.type.startswith("int")
    return {
        "age": age,
        "unit": axis.unit if axis is not None and counts else None,
        "timezone": axis.zone.key if axis is not None else None,
        "then": policy.then,
        "grace": str(policy.grace),
        "requires": requirement(policy).model_dump(exclude_none=True),
    }


def read_otherwise(marker: Json, today: Json) -> list[str]:
    """Return what of the fleet file reads the marker's bounds otherwise than at the detaching, as far as it says."""
    return [key for name, key in _READING.items() if name in marker and marker[name] != today[name]]


def drop_after(marker: Json) -> datetime:
    """Return the marker's own date; without one that can be read: never."""
    try:
        said = moment(marker["drop_after"])
    except (KeyError, ValueError):
        return NEVER
    # without its offset a date that somebody edited may be hours early
    return said if said.tzinfo is not None else NEVER


def kept_until(marker: Json, policy: RetainPolicy) -> datetime:
    """Return until when it is kept: the later of the marker's date and the detaching plus today's grace.

    By the grace of the detaching the marker's date alone counts: the owner may have moved it.
    """
    said = drop_after(marker)
    # the policy has not changed since: nothing to reckon anew
    if marker.get("grace") == str(policy.grace):
        return said
    try:
        return max(said, shift(moment(marker["at"]), policy.grace, policy.zone)) if "at" in marker else said
    except (ValueError, OverflowError):
        return NEVER  # beyond the calendar


def required(marker: Json, policy: RetainPolicy) -> Requirement:
    """Return what is required before it is dropped: the stricter of then and now."""
    now = requirement(policy)
    return stricter(Requirement.model_validate(marker["requires"]), now) if "requires" in marker else now


def stricter(one: Requirement, other: Requirement) -> Requirement:
    """Return the stricter of two requirements: nothing, approval, backup; of two backups the younger."""
    if one.kind == other.kind == "backup":
        # the younger a backup must be, the stricter
        return min(one, other, key=lambda r: r.backup_age_seconds or 0)
    return max(one, other, key=lambda r: _RANKS.index(r.kind))
