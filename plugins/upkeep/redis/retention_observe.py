"""What retention reads: the declared streams, and of each how many entries may go. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis

from upkeep.plan import Observation
from upkeep.redis import streams
from upkeep.redis.retention_view import View, of_frames

if TYPE_CHECKING:
    from datetime import datetime

    from upkeep.fleet import Target
    from upkeep.plan import Json
    from upkeep.redis.session import RedisSession


def observe(session: RedisSession, target: Target, at: datetime) -> Observation:
    """Read what the plan and the gates need."""
    server = streams.server(session)
    frames: dict[str, list[dict[str, Any]]] = {
        "server": [server],
        "streams": streams.declared(session, target.declared("data_retention")),
    }
    for view in of_frames(frames, target, at):
        if view.kind == "stream":
            view.row.update(_counted(session, view, probe=target.mode == "enforce" and not server["is_replica"]))
    return Observation(
        target=target.name,
        engine="redis",
        job="data_retention",
        identity=session.identity,
        version=session.version,
        at=at,
        frames=frames,
    )


def _counted(session: RedisSession, view: View, *, probe: bool) -> Json:
    first, due, held = view.first, 0, 0
    counted: Json = {}
    try:
        if first is not None and not first.is_early:
            due_or_none = streams.count(session, view.subject, "-", view.bound) if first < view.bound else 0
            counted["due"] = due_or_none
            low = str(view.bound)
            counted["held"] = streams.count(session, view.subject, low, view.wanted) if view.bound < view.wanted else 0
        else:
            counted = {"due": due, "held": held}
        if probe:
            counted["may_trim"] = streams.may_trim(session, view.subject)
    except redis.exceptions.ResponseError as error:  # deleted, or made anew as something else, meanwhile
        counted = {"due": None, "held": None, "denied": str(error)}
    return counted
