"""Ids of a stream's entries: milliseconds since 1970 and a number within the millisecond.

Source: https://redis.io/docs/latest/develop/data-types/streams/ (entry ids).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Self

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Ids before it count something else (seconds, rows): then nobody knows an entry's age."""
AHEAD: Final = timedelta(days=1)
"""So far may clocks be apart; ids beyond it count something else (microseconds), or a writer's clock is wrong."""


class EntryId(NamedTuple):
    """One entry's id; they compare as the server compares them."""

    milliseconds: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1700000000000-0``. Raises `ValueError`."""
        milliseconds, _, number = text.partition("-")
        return cls(int(milliseconds), int(number or 0))

    @classmethod
    def first_at(cls, moment: datetime) -> Self:
        """Return the lowest id of a moment; fractions of a millisecond count as none."""
        return cls(max(0, (moment - EPOCH) // timedelta(milliseconds=1)), 0)

    @property
    def moment(self) -> datetime:
        """The time that it says."""
        return EPOCH + timedelta(milliseconds=self.milliseconds)

    @property
    def is_early(self) -> bool:
        """Whether it cannot be a time, being too low."""
        return self < EntryId.first_at(EARLIEST)

    def is_late(self, now: datetime) -> bool:
        """Whether it lies in the future."""
        return self > EntryId.first_at(now + AHEAD)

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.number}"
