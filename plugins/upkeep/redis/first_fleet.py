"""A first fleet entry for an existing Redis database: its streams, the longest first, and which keys expire."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final, cast

from redis.exceptions import NoPermissionError

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, Draft, length, scalar
from upkeep.model import Json
from upkeep.redis import streams
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession
from upkeep.words import counted

_SECONDS: Final = 10.0
"""Streams are looked for no longer: of a larger database a part was seen, and it is said so."""
_KEYS: Final = 10_000
"""So many keys are asked how long they live: enough to tell the families of keys."""
_STEP: Final = 500
_LEAST: Final = 10
"""Fewer keys of one form are no family."""
_VARIABLE: Final = re.compile(r".*\d.*|[0-9a-fA-F-]{8,}|.*@.*")
"""A part of a key's name that tells one from another: with a digit, a hexadecimal number, an address."""
_USUAL: Final = (3_600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400, 366 * 86_400)
_NEVER: Final = -1
"""What PTTL says of a key that does not expire."""


def sections(session: Session) -> dict[str, list[str]]:
    """Return the lines of each section of a target, indented for it."""
    redis = cast("RedisSession", session)
    return {"streams": list(_streams(redis)), "keys": list(_keys(redis))}


def _streams(redis: RedisSession) -> Iterator[str]:
    found, whole = _stream_names(redis)
    named = [name for name in found if streams.is_text(name)]
    known = {name: _length(redis, name) for name in named}
    lengths = sorted(((n, name) for name, n in known.items() if n is not None), key=lambda one: (-one[0], one[1]))
    now = redis.now()
    draft = Draft()
    for place, (_, name) in enumerate(lengths):
        facts = _facts(streams.describe(redis, name), now) if place < MOST else ""
        rule = (f"# {scalar(streams.escaped(name))}:", "#   retain: {for: 90 days, then: delete}")
        draft.aged.append([f"# {facts}", *rule])
    yield from draft.lines("streams")
    if denied := len(named) - len(lengths):
        yield f"      # our user may not look at {counted(denied, 'stream')} besides: it needs their keys (~…)"
    if not whole:
        yield f"      # streams were looked for during {_SECONDS:.0f} s: there may be more"
    elif not named:
        yield "      # there are no streams: nothing else here has an age"


def _stream_names(redis: RedisSession) -> tuple[list[str], bool]:
    """Return the names of streams, and whether all keys were seen."""
    client: Any = redis.client
    found: set[str] = set()
    until, cursor = time.monotonic() + _SECONDS, 0
    while True:
        cursor, names = client.scan(cursor, count=1000, _type="stream")
        found.update(names)
        if cursor == 0 or time.monotonic() > until:
            return sorted(found), cursor == 0


def _length(redis: RedisSession, name: str) -> int | None:
    """Return how long a stream is; ``None``: our user may not look at it."""
    try:
        return int(redis.command("XLEN", name))
    except NoPermissionError:
        return None


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    kind: str
    lives: int


def _keys(redis: RedisSession) -> Iterator[str]:
    looked = _looked(redis)
    known = redis.info().get(f"db{redis.identity.rpartition(':')[2]}") or {}
    proven, unproven = [], []
    for pattern, keys in _families(looked).items():
        if all(key.lives != _NEVER for key in keys):
            proven.append((pattern, keys))
        elif any(key.kind != "stream" for key in keys):
            unproven.append((pattern, keys))
    if not (proven or unproven):
        return
    part = "" if len(looked) == known.get("keys") else f"; looked at: {len(looked):,}"
    yield f"      # {known.get('keys', 0):,} keys, {known.get('expires', 0):,} of them expire{part}"
    for pattern, keys in proven[:MOST]:
        longest = max(key.lives for key in keys) // 1000
        most = next((usual for usual in _USUAL if usual > longest), None)
        if most is not None:
            yield ""
            yield f"      # {len(keys):,} looked at: all expire, the last in {longest:,} s; each night proves it"
            yield f"      {scalar(pattern)}:"
            yield f"        ttl: {{at_most: {length(most)}}}"
    if unproven:
        yield ""
        yield "      # These do not expire. If they should, the application must say so; then declare it as above"
    for pattern, keys in unproven[:MOST]:
        kinds = Counter(key.kind for key in keys).most_common(1)[0][0]
        never = sum(key.lives == _NEVER for key in keys)
        yield f"      #   {streams.shown(pattern)} ({kinds}): {never:,} of {len(keys):,} looked at"


def _looked(redis: RedisSession) -> list[_Key]:
    """Return some keys, with their kinds and how long they live yet."""
    client: Any = redis.client
    found: dict[str, _Key] = {}
    cursor = seen = 0
    while True:
        cursor, names = client.scan(cursor, count=_STEP)
        named = [name for name in names if streams.is_text(name)]
        with client.pipeline(transaction=False) as pipe:
            for name in named:
                pipe.type(name)
                pipe.pttl(name)
            answers = pipe.execute(raise_on_error=False)  # keys that are not ours to look at are left out
        pairs = zip(named, answers[::2], answers[1::2], strict=True)
        told = {name: _Key(name, kind, lives) for name, kind, lives in pairs if isinstance(lives, int)}
        found |= {name: key for name, key in told.items() if isinstance(key.kind, str) and key.kind != "none"}
        seen += len(names)
        if cursor == 0 or seen >= _KEYS:
            return list(found.values())


def _families(keys: Sequence[_Key]) -> Mapping[str, list[_Key]]:
    """Return the patterns of names, and the keys that each fits; the largest first."""
    forms = Counter(_form(key.name) for key in keys)
    rest = Counter(form.partition(":")[0] for form, count in forms.items() for _ in range(count) if count < _LEAST)
    patterns = [form for form, count in forms.items() if count >= _LEAST and "*" in form]
    patterns += [f"{first}:*" for first, count in rest.items() if count >= _LEAST and first not in {"", "*"}]
    found: dict[str, list[_Key]] = defaultdict(list)
    for pattern in dict.fromkeys(patterns):
        found[pattern] = [key for key in keys if fnmatchcase(key.name, pattern.replace("\\", ""))]
    return dict(sorted(found.items(), key=lambda one: (-len(one[1]), one[0])))


def _form(name: str) -> str:
    """Return a key's name with ``*`` for the parts that tell it from others of its family."""
    first, *rest = name.split(":")
    parts = [streams.escaped(first), *("*" if _VARIABLE.fullmatch(part) else streams.escaped(part) for part in rest)]
    return ":".join(parts)


def _facts(row: Json, now: datetime) -> str:
    groups = f"; consumer groups: {len(row['groups'])}" if row["groups"] else ""
    if row["first"] is None:
        return f"empty{groups}"
    first = EntryId.parse(row["first"])
    since = "its ids are no times" if first.is_early or first.is_late(now) else f"since {first.moment:%Y-%m-%d}"
    return f"{row['length']:,} entries {since}{groups}"
