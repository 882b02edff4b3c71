"""What cache warming reads: whether rows and memory are to be had, and how much is warm. Changes nothing."""

from __future__ import annotations

from typing import Any

from upkeep.errors import UnreachableError, UpkeepError
from upkeep.fleet.policies.warm import WarmEntry, WarmPolicy
from upkeep.jobs.contract import Ask
from upkeep.model import Json, Observation, digest
from upkeep.redis import faults, streams
from upkeep.redis.cache_warming import memory
from upkeep.redis.cache_warming.store import Store
from upkeep.redis.session import RedisSession


def observe(ask: Ask[RedisSession]) -> Observation:
    """Look at the server's memory, at each entry, and whether its source answers."""
    policy = WarmPolicy.of(ask.target)
    entries = policy.entries if policy is not None else {}
    frames: dict[str, list[dict[str, Any]]] = {"server": [], "entries": []}
    with faults.looking():
        frames["server"] = [streams.server(ask.session) | memory.seen(ask.session)]
        for name, entry in entries.items():
            keys, held = Store(ask.session, name, entry.seconds).held()
            frames["entries"].append({"subject": name, "keys": keys, "bytes": held, **_source(ask, entry)})
    return ask.answer(frames)


def _source(ask: Ask[RedisSession], entry: WarmEntry) -> Json:
    """Return whether the source answers and takes the query: a sign of life, no row is read."""
    try:
        query = entry.statement()
    except (OSError, ValueError) as error:
        return {"query": "", "refused": f"{entry.query} cannot be read ({type(error).__name__})", "unreachable": None}
    found: Json = {"query": digest(query), "refused": None, "unreachable": None}
    try:
        with ask.open(entry.from_) as reader:
            reader.ready(query)
    except UnreachableError as error:
        found["unreachable"] = str(error)
    except UpkeepError as error:
        found["refused"] = str(error)
    return found
