"""The staged rows of a file, some pages at a time: no statement's time grows with the file."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from psycopg import errors, sql

from upkeep.jobs.contract import Work
from upkeep.jobs.data_retention.pace import Pace
from upkeep.postgres.session import PostgresSession

TARGET_SECONDS: Final = 2.0
FIRST_ROWS: Final = 10_000
SAY_SECONDS: Final = 5.0
"""Who watches hears of the progress so often."""


@dataclass
class Pages:
    """Goes through the pages of the temporary table.

    Attributes
    ----------
    rows, count
        How many rows lie there, on how many pages.
    """

    work: Work[PostgresSession]
    rows: int
    count: int
    _said: float = field(default_factory=time.monotonic, init=False)

    def each(self, word: str, do: Callable[[sql.Composed], int]) -> int:
        """Call ``do`` with each range of pages, in order; return the sum of what it returns.

        A range whose statement takes too long is rolled back to where it began, and tried again in smaller ones:
        then the driver has raised ``QueryCanceled``, and ``do`` has counted nothing yet.
        """
        session = self.work.session
        pace = Pace(size=max(min(FIRST_ROWS, self.rows), 1), target=TARGET_SECONDS)
        first, total = 0, 0
        while first < self.count:
            last = min(first + max(pace.size * self.count // max(self.rows, 1), 1), self.count)
            started = time.monotonic()
            try:
                # A savepoint: the transaction of the whole file goes on when one range is taken back.
                with session.transaction():
                    done = do(_between(first, last))
            except errors.QueryCanceled:
                if last - first == 1 or not pace.shrink(1):
                    raise
                continue
            total += done
            # An estimate of rows by pages; nobody else writes a temporary table, so its pages stay as they are.
            pace.learn(self.rows * (last - first) // self.count, time.monotonic() - started)
            first = last
            self.work.checkpoint(self._progress(word, first))
        return total

    def _progress(self, word: str, page: int) -> str:
        if time.monotonic() < self._said + SAY_SECONDS:
            return ""
        self._said = time.monotonic()
        return f"{word} {self.rows * page // self.count:,} of {self.rows:,} rows"


def _between(first: int, last: int) -> sql.Composed:
    return sql.SQL("(upkeep_restore.ctid >= {}::tid and upkeep_restore.ctid < {}::tid)").format(
        sql.Literal(f"({first},0)"), sql.Literal(f"({last},0)")
    )
