"""Reading rows for a job of another target: one SELECT of a moment ago, in a transaction that takes no writes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pymysql

from upkeep.jobs.reading import late, refuse_twins, refused, select_of
from upkeep.tidb import faults
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql


@dataclass(frozen=True, slots=True)
class TiDBReader:
    """Reads over one session; implements `upkeep.engines.Reader`."""

    session: TiDBSession

    def ready(self, statement: str) -> None:
        """Ask for the server's clock; refuse what is no SELECT."""
        select_of(statement)
        self.session.now()

    def rows(self, statement: str, *, size: int, seconds: float) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield what a SELECT returns; rows come as they are asked for, not all at once."""
        select, deadline = Sql(select_of(statement)), time.monotonic() + seconds
        self.session.rows("reader_settings", {"milliseconds": round(seconds * 1000)})
        self.session.rows("reader_begin")
        whole = False
        try:
            with self.session.stream(select) as cursor:
                refuse_twins(column[0] for column in cursor.description or ())
                while batch := cursor.fetchmany(size):
                    yield batch
                    if time.monotonic() > deadline:
                        raise late(seconds)
                whole = True
        except pymysql.MySQLError as error:
            if faults.code(error) in faults.INTERRUPTED:
                raise late(seconds) from None
            raise refused(faults.classify(error), faults.describe(error)) from None
        finally:
            if not whole:
                self.session.abort()  # else the driver would read all the rest before it lets go
        self.session.execute(Sql("rollback"))
