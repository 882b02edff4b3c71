"""How much of a server's memory may be used. Pure but for the one look."""

from __future__ import annotations

from typing import Any, Final

from upkeep.jobs.errors import OverloadedError
from upkeep.model import Json
from upkeep.redis.cache_warming.rows import mebibytes
from upkeep.redis.session import RedisSession

SHARE: Final = 0.8
"""So much of what is free an entry may take: the rest is the application's."""
FULL: Final = 0.95
"""So full nothing is added any more, whatever was free at first."""


def seen(session: RedisSession) -> Json:
    """Return what the server says of its memory, and how many keys it has evicted."""
    client: Any = session.client
    info = {**client.info("memory"), **client.info("stats")}  # one at a time: before 7 there is no asking for two
    return {
        "limit": int(info["maxmemory"]),
        "used": int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", 0)),
        "evicted": int(info["evicted_keys"]),
    }


def refusal(memory: Json, needed: int) -> str | None:
    """Return why so many bytes more are refused, with the remedy; ``None``: there is room."""
    if not memory["limit"]:
        return "the server has no limit of its memory (maxmemory 0): nobody can say what is free; set maxmemory"
    free = max(memory["limit"] - memory["used"], 0)
    if needed > SHARE * free:
        return (
            f"{mebibytes(needed)} more may be needed, and of {mebibytes(free)} that are free at most {SHARE:.0%} are "
            "taken; lower budget:, or raise maxmemory"
        )
    return None


def watch(session: RedisSession, before: Json) -> None:
    """Raise `OverloadedError` when keys were evicted since, or hardly any memory is left."""
    now = seen(session)
    if now["evicted"] > before["evicted"]:
        raise OverloadedError(
            "the server has begun to evict keys; what is set stays, the next run goes on: raise maxmemory, or lower "
            "budget:"
        )
    if now["limit"] and now["used"] > FULL * now["limit"]:
        raise OverloadedError(
            f"the server's memory is more than {FULL:.0%} full; what is set stays, the next run goes on: raise "
            "maxmemory, or lower budget:"
        )
