"""What the entries of a stream amount to, by the hours of their ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from upkeep.jobs.backup.marks import Mark
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession

HOUR: Final = 3_600_000
"""Milliseconds."""
PAGE_SECONDS: Final = 0.002
"""One page is read in about so long: others wait for the server meanwhile."""
LARGEST_PAGE: Final = 4096


def hours(
    session: RedisSession, name: str, until: EntryId, checkpoint: Callable[[], object]
) -> Iterator[tuple[int, Mark]]:
    """Yield the hours that begin before an id, by the milliseconds of their beginning, with all their entries."""
    since = "-"
    while first := session.look("count_entries", name, since, f"({until}", 1)[1]:
        begin = EntryId.parse(first).milliseconds // HOUR * HOUR
        since = f"{begin + HOUR}-0"
        yield begin, _amount(session, name, first, since, checkpoint)


def _amount(session: RedisSession, name: str, low: str, high: str, checkpoint: Callable[[], object]) -> Mark:
    total, size = Mark(), 64
    while True:
        checkpoint()
        started = time.monotonic()
        rows, last, first, second = session.look("mark_entries", name, low, f"({high}", size)
        took = time.monotonic() - started
        total = Mark.total((total, Mark(rows, int(first), int(second))))
        if rows < size:
            return total
        low = f"({last}"
        # large entries make a page slow, and the server does nothing else meanwhile
        size = max(1, min(size * 2 if took < PAGE_SECONDS else size // 2, LARGEST_PAGE))
