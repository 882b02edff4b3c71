"""What retention reads: the declared streams, and of each how many entries may go. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from upkeep.jobs.contract import Ask
from upkeep.model import Json, Observation
from upkeep.redis import faults, server_refusals, streams
from upkeep.redis.data_retention.view import View, views_of
from upkeep.redis.session import RedisSession


def observe(ask: Ask[RedisSession]) -> Observation:
    """Read what the plan and the gates need."""
    session, target, at = ask.session, ask.target, ask.at
    server = streams.server(session)
    frames: dict[str, list[dict[str, Any]]] = {"server": [server], "streams": []}
    try:
        frames["streams"] = streams.declared(session, target.declared(["retain"]))
        _look(session, views_of(frames, target, at), probe=target.mode == "enforce" and not server["is_replica"])
    except redis.RedisError as error:
        # first: that the server loads its data is a ConnectionError to the driver, and says what mends it
        refusal = server_refusals.of(error)
        if refusal is not None:
            server |= {"refuses": refusal.text, "remedy": refusal.remedy}
        elif gone := faults.lost(error):
            raise gone from error
        else:
            raise
    return ask.answer(frames)


def _look(session: RedisSession, seen: Sequence[View], *, probe: bool) -> None:
    """Add to each stream's row what may go, then whether we may delete: what the server as a whole refuses ends it."""
    found = [view for view in seen if view.kind == "stream"]
    for view in found:
        view.row.update(_counted(session, view))
    for view in found:
        # only where a run may delete at all: the probe is a command that writes
        if probe and not view.row.get("denied"):
            view.row.update(_probed(session, view))


def _probed(session: RedisSession, view: View) -> Json:
    try:
        return {"may_trim": streams.may_trim(session, view.subject)}
    except redis.exceptions.ResponseError as error:
        return _denied(error)


def _denied(error: redis.RedisError) -> Json:
    if server_refusals.of(error) is not None:
        raise error
    text = faults.describe(error)  # deleted, or made anew as something else, meanwhile
    return {"due": None, "held": None, "denied": text}


def _counted(session: RedisSession, view: View) -> Json:
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
    except redis.exceptions.ResponseError as error:
        counted = _denied(error)
    return counted
