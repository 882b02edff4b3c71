"""Rows that a COPY sends, taken in blocks.

The driver hands out one row at a time, through a generator, a wait and a method call for each: that costs more
than everything else that is done with a narrow row. Here one wait takes as many rows as are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import errors, pq
from psycopg.abc import PQGen
from psycopg.waiting import Wait

_DONT_WAIT: Final = 1


class Received:
    """What a COPY sends, in blocks of whole rows.

    Attributes
    ----------
    rows
        How many rows the server says that its statement sent; known at the end.
    """

    def __init__(self, stream: psycopg.Copy, size: int) -> None:
        self._connection = stream.connection
        self._size = size
        self.rows: int | None = None

    def __iter__(self) -> Iterator[bytearray]:
        """Yield blocks of at least ``size`` bytes, the last one smaller.

        Raises
        ------
        psycopg.Error
            What the server says, also at the end.
        """
        while self.rows is None:
            block = self._connection.wait(self._block())
            if block:
                yield block

    def _block(self) -> PQGen[bytearray]:
        pgconn, block = self._connection.pgconn, bytearray()
        take = pgconn.get_copy_data
        while len(block) < self._size:
            length, row = take(_DONT_WAIT)
            if length > 0:
                block += row  # one growing buffer: half the time of a list of rows that is joined
            elif length < 0:
                self.rows = yield from _end(self._connection)
                break
            else:
                yield from _more(pgconn)
        return block


def _end(connection: psycopg.Connection[Any]) -> PQGen[int]:
    """Take the statement's result; the connection is free for the next one then."""
    pgconn, results = connection.pgconn, []
    while True:
        while pgconn.is_busy():
            yield from _more(pgconn)
        result = pgconn.get_result()
        if result is None:
            break
        # All of them, or the connection stays busy and refuses the next statement.
        results.append(result)
    for result in results:
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result, encoding=connection.info.encoding)
    return results[0].command_tuples or 0


def _more(pgconn: pq.abc.PGconn) -> PQGen[None]:
    while not (yield Wait.R):
        continue
    pgconn.consume_input()
