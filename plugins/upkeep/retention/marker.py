"""The marker that a detached table carries in its comment: where it came from, and when it may be dropped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from upkeep.plan import Json

MARKER_BEGINS: Final = "upkeep: "


def read_marker(comment: str | None) -> Json | None:
    """Return our marker, or ``None`` when the comment is none of ours."""
    if not comment or not comment.startswith(MARKER_BEGINS):
        return None
    try:
        marker = json.loads(comment.removeprefix(MARKER_BEGINS))
    except ValueError:
        return None
    return marker if isinstance(marker, dict) and "detached_from" in marker else None


def write_marker(marker: Json) -> str:
    """Return the comment that carries the marker."""
    return MARKER_BEGINS + json.dumps(marker, sort_keys=True, ensure_ascii=False)
