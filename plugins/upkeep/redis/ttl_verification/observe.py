"""What is read: how long the keys of each declared pattern live, by SCAN in small steps. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import redis

from upkeep.fleet.ttl import seconds_of
from upkeep.jobs.contract import Ask
from upkeep.jobs.ttl_verification.overdue import SHOWN, earlier, identified
from upkeep.model import Json, Observation
from upkeep.redis import faults, streams
from upkeep.redis.session import RedisSession
from upkeep.redis.ttl_verification.decide import WITHOUT

STEP: Final = 500
"""So many keys the server walks past in one go: a fraction of a millisecond, in which others wait."""
MOST_STEPS: Final = 4_000
"""Two million keys: of a larger database a part is looked at, and it is said how large."""
SECONDS: Final = 20.0
"""One pattern takes no longer."""
_NONE: Final = -1
"""What PTTL says of a key that does not expire; of one that is gone, -2."""


def observe(ask: Ask[RedisSession]) -> Observation:
    """Read what is judged."""
    session = ask.session
    frames: dict[str, list[dict[str, Any]]] = {"earlier": earlier(ask.memory.looks, {WITHOUT})}
    with faults.looking():
        frames["server"] = [streams.server(session)]
        keys = int((session.info().get(f"db{_number(session)}") or {}).get("keys", 0))
        frames["patterns"] = [
            _pattern(session, name, seconds_of(policy.ttl.at_most), keys) for name, policy in ask.target.keys.items()
        ]
    return ask.answer(frames)


def _number(session: RedisSession) -> str:
    return session.identity.rpartition(":")[2]


def _pattern(session: RedisSession, name: str, at_most: int, keys: int) -> Json:
    """Return how many keys a pattern names, how many of them do not expire, and how many live too long."""
    row: Json = {
        "name": name,
        "keys": 0,
        "without": 0,
        "late": 0,
        "longest": 0,
        "ids": [],
        "share": 1.0,
        "denied": None,
    }
    ids: set[str] = set()
    steps = 0
    try:
        for names in _steps(session, name):
            steps += 1
            for key, left in _lives(session, names):
                row["keys"] += 1
                if left == _NONE:
                    row["without"] += 1
                    # the least digests: of the same keys always the same ones, in whatever order they are found
                    ids = set(sorted({*ids, identified(key)})[:SHOWN])
                elif left > at_most * 1000:
                    row["late"] += 1
                    row["longest"] = max(row["longest"], left // 1000)
    except TimeoutError:
        row["share"] = min(steps * STEP / max(keys, 1), 0.99)
    except redis.exceptions.NoPermissionError as error:
        row["denied"] = faults.describe(error)
    return row | {"ids": sorted(ids)}


def _steps(session: RedisSession, pattern: str) -> Iterator[Sequence[str]]:
    """Yield names of keys, step by step. Raises `TimeoutError` when the budget is used up before all were seen."""
    if not streams.is_pattern(pattern):
        yield [streams.literal(pattern)]
        return
    client: Any = session.client
    deadline, cursor = time.monotonic() + SECONDS, 0
    for _ in range(MOST_STEPS):
        cursor, names = client.scan(cursor, match=pattern, count=STEP)
        yield names
        if cursor == 0:
            return
        if time.monotonic() > deadline:
            break
    raise TimeoutError


def _lives(session: RedisSession, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each key that is still there, and for how many milliseconds yet."""
    if not names:
        return
    with session.client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(name)
        answers: list[Any] = pipe.execute(raise_on_error=False)  # else the error would name the key
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    yield from ((name, int(left)) for name, left in zip(names, answers, strict=True) if left >= _NONE)
