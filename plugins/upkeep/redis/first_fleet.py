"""A first fleet entry for an existing Redis database: its streams, the longest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, cast

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, scalar
from upkeep.model import Json
from upkeep.redis import streams
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession

SECTION: Final = "streams"


def lines(session: Session) -> Iterator[str]:
    """Yield the lines below ``streams:`` for a target, indented for it."""
    redis = cast("RedisSession", session)
    named = [name for name in redis.names("*") if streams.is_text(name)]
    lengths = sorted(((redis.command("XLEN", name), name) for name in named), key=lambda one: (-one[0], one[1]))
    now = redis.now()
    for _, name in lengths[:MOST]:
        yield ""
        yield f"      # {_facts(streams.describe(redis, name), now)}"
        yield f"      # {scalar(streams.escaped(name))}:"
        yield "      #   retain: {for: 90 days, then: delete}"
    if len(lengths) > MOST:
        yield f"      # … and {len(lengths) - MOST} shorter streams"
    if not lengths:
        yield "      # there are no streams: nothing else here has an age"


def _facts(row: Json, now: datetime) -> str:
    groups = f"; consumer groups: {len(row['groups'])}" if row["groups"] else ""
    if row["first"] is None:
        return f"empty{groups}"
    first = EntryId.parse(row["first"])
    since = "its ids are no times" if first.is_early or first.is_late(now) else f"since {first.moment:%Y-%m-%d}"
    return f"{row['length']:,} entries {since}{groups}"
