"""The keys of an entry on the server: set where they are absent or ours, removed where they are ours.

Which are ours is kept in a hash beside them: key → digest of the value that was set. A key is ours while it holds that
value; whoever writes another one has it from then on. Each script is one atomic step for up to `STEP` keys.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from upkeep.fleet.policies.warm import OWN
from upkeep.redis.session import RedisSession

STEP: Final = 250
STEP_BYTES: Final = 2**18
"""Of one script: the server does nothing else meanwhile, for about a millisecond."""
JITTER: Final = 0.1
_OUTLIVES: Final = 3
"""So many times as long as its keys the hash lives: after a quiet night nothing that was ours is taken for others'."""
_DIGITS: Final = 20
TOTAL: Final = ""
"""The field of the hash with the bytes that its keys hold; no key is called so."""


@dataclass
class Store:
    """The keys of one entry, and what became of them."""

    session: RedisSession
    entry: str
    seconds: int
    made: int = 0
    same: int = 0
    prolonged: int = 0
    removed: int = 0
    foreign: set[bytes] = field(default_factory=set)

    @property
    def owned(self) -> str:
        """The name of the hash."""
        return f"{OWN}warm:{self.entry}"

    def held(self) -> tuple[int, int]:
        """Return how many keys are ours, and about how many bytes they hold."""
        client: Any = self.session.client
        total = client.hget(self.owned, TOTAL)
        return max(int(client.hlen(self.owned)) - (total is not None), 0), int(total or 0)

    def put(self, pairs: Sequence[tuple[bytes, bytes]], bytes_so_far: int) -> None:
        """Set some keys."""
        names = [key for key, _ in pairs]
        arguments: list[bytes | int] = [self.seconds * 1000 * _OUTLIVES, bytes_so_far]
        for key, value in pairs:
            arguments += (value, hashlib.sha1(value, usedforsecurity=False).hexdigest()[:_DIGITS].encode())
            arguments.append(life(key, self.seconds))
        made, same, prolonged, *foreign = self.session.change_many("warm_keys", [self.owned, *names], arguments)
        self.made += made
        self.same += same
        self.prolonged += prolonged
        self.foreign.update(names[number] for number in foreign)

    def clear(self, but: Collection[bytes] = ()) -> Iterator[int]:
        """Remove the keys that are ours, except those of ``but``; yields after each step how many went."""
        client: Any = self.session.client
        names: list[bytes] = []
        for name, _ in client.hscan_iter(self.owned, count=1000):
            key = name.encode("utf-8", "surrogateescape")
            if name != TOTAL and key not in but:
                names.append(key)
            if len(names) == STEP:
                yield self._remove(names)
                names = []
        if names:
            yield self._remove(names)

    def _remove(self, names: Sequence[bytes]) -> int:
        removed = int(self.session.change_many("unwarm_keys", [self.owned, *names], []))
        self.removed += removed
        return removed

    def close(self, total: int) -> None:
        """Write down how many bytes the keys hold; without any, the hash goes."""
        keys, _ = self.held()
        if keys:
            self.session.command("HSET", self.owned, TOTAL, total)
        else:
            self.session.command("UNLINK", self.owned)

    def value(self, key: bytes) -> bytes | None:
        """Return what a key holds now; ``None``: nothing, or no text."""
        script = "local v = redis.pcall('GET', KEYS[1]) return type(v) == 'string' and v"
        found = self.session.read_only(script, key)
        return None if found is None else found.encode("utf-8", "surrogateescape")


def life(key: bytes, seconds: int) -> int:
    """Return the milliseconds that a key lives: a tenth more or less, so that not all go at once; always the same."""
    return round(seconds * 1000 * (1 - JITTER + 2 * JITTER * zlib.crc32(key) / 2**32))


def steps(pairs: Sequence[tuple[bytes, bytes]], most: int, most_bytes: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield the pairs in portions of bounded number and size; what is larger by itself goes alone."""
    portion: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in pairs:
        more = len(key) + len(value)
        if portion and (len(portion) == most or size + more > most_bytes):
            yield portion
            portion, size = [], 0
        portion.append((key, value))
        size += more
    if portion:
        yield portion
