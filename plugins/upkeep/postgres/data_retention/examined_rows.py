"""The rows that an action would remove, for the owner's own expectations: one snapshot, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from upkeep.fleet import suites
from upkeep.jobs.contract import RowBatch, Work
from upkeep.model import Json
from upkeep.postgres.data_retention import detach
from upkeep.postgres.data_retention.args import Due, Known
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.session import PostgresSession

BATCH_ROWS: Final = 5_000
_NUMBERS: Final = ("smallint", "integer", "bigint", "real", "double precision", "numeric", "boolean")
TIMEOUT: Final = "10min"


def batches(work: Work[PostgresSession]) -> Iterator[RowBatch]:
    """Yield the rows; the first batch may be empty: it says what is seen."""
    session, args = work.session, work.action.args
    wanted = suites.columns(suites.read(Path(args["quality"]["suite"])))
    with session.transaction():
        session.execute(session.statement("repeatable_read"))
        session.rows("set_local_timeouts", {"lock": "2s", "statement": TIMEOUT})
        seen = session.rows("data_retention/oldest_running")[0]["transaction"]
        yield RowBatch(rows=(), keys=(), seen=seen)
        for leaf in _leaves(session, {**args["quality"], **{k: args[k] for k in ("cut_off", "leaves") if k in args}}):
            keys = [row["name"] for row in session.rows("data_retention/primary_key", {"oid": leaf["oid"]})]
            statement = session.statement(
                "data_retention/quality_rows",
                wanted=_columns(leaf["columns"] or [], wanted, keys),
                table=sql.Identifier(leaf["schema"], leaf["name"]),
                due=leaf["due"],
            )
            with session.cursor("upkeep_quality") as cursor:
                cursor.execute(statement)
                while rows := cursor.fetchmany(BATCH_ROWS):
                    yield RowBatch(rows=rows, keys=tuple(keys), seen=seen)


def _leaves(session: PostgresSession, about: Json) -> Iterator[Json]:
    """Yield the tables to look at, with the condition of the rows that are to go: all, where a table goes whole."""
    if "whole" in about:
        for row in session.rows("data_retention/quality_leaves", {"oid": about["whole"]}):
            yield {**row, "due": sql.SQL("true")}
        return
    for leaf in about["leaves"]:
        here = detach.place(session, leaf["oid"])
        if here is not None:
            due = Due(**{field: about[field] for field in Due.model_fields})
            doomed = Doomed.from_args(due, Known(here.oid, here.schema, here.name))
            known = {"oid": here.oid, "schema": here.schema, "name": here.name}
            yield {**known, "columns": about["columns"], "due": doomed.predicate}


def _columns(facts: list[Json], wanted: set[str] | None, keys: list[str]) -> sql.Composable:
    """Return the select list: what the suite names, and the key; a column that is not there the suite reports."""
    chosen: list[Any] = []
    for column in facts:
        if wanted is None or column["name"] in wanted or column["name"] in keys:
            name = sql.Identifier("t", column["name"])
            plain = column["type"].partition("(")[0] in _NUMBERS
            value = name if plain else sql.SQL("{}::text").format(name)
            chosen.append(sql.SQL("{} as {}").format(value, sql.Identifier(column["name"])))
    return sql.SQL(", ").join(chosen) if chosen else sql.SQL("null as nothing")
