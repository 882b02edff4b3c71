"""Reading rows for a job of another target: one SELECT, in a read-only transaction, through a cursor on the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from upkeep.jobs.reading import late, refuse_twins, refused, select_of
from upkeep.postgres import faults
from upkeep.postgres.session import PostgresSession


@dataclass(frozen=True, slots=True)
class PostgresReader:
    """Reads over one session; implements `upkeep.engines.Reader`."""

    session: PostgresSession

    def ready(self, statement: str) -> None:
        """Ask for the server's clock; refuse what is no SELECT."""
        select_of(statement)
        self.session.now()

    def rows(self, statement: str, *, size: int, seconds: float) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield what a SELECT returns; the server refuses all that writes."""
        select, deadline = sql.SQL(select_of(statement)), time.monotonic() + seconds
        try:
            with self.session.transaction():
                self.session.rows("reader_settings", {"milliseconds": f"{seconds * 1000:.0f}"})
                with self.session.cursor("upkeep_reader") as cursor:
                    cursor.execute(select)
                    refuse_twins(column.name for column in cursor.description or ())
                    while batch := cursor.fetchmany(size):
                        yield batch
                        if time.monotonic() > deadline:
                            raise late(seconds)
        except psycopg.errors.QueryCanceled:
            raise late(seconds) from None
        except psycopg.Error as error:
            said = faults.describe(error)
            if isinstance(error, psycopg.errors.UndefinedTable):
                said = f"{said}; write each table with its schema (public.orders)"  # no search_path is relied on
            raise refused(faults.classify(error, self.session.connection), said) from None
