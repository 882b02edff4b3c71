"""What is looked at of tables that carry our marker before one of them is dropped: when planned, and once more then.

Nothing is counted of a table that stays anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from upkeep.model import Json
from upkeep.tidb import server, sql
from upkeep.tidb.ages import ageless
from upkeep.tidb.data_retention import detached
from upkeep.tidb.data_retention.drop_plan import not_due
from upkeep.tidb.data_retention.view import Marked, TableView
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.sql import Sql


def of_marked(session: TiDBSession, view: TableView) -> Iterator[Row]:
    """Yield the frame ``kept``: one row for each table with our marker that might go."""
    for marked in view.marked:
        table = marked.table
        if not marked.exchanged:
            yield {"id": table.id, "rows": server.count(session, table.identifier, Sql("true"), 1)}
        elif marked.marker.get("state") == detached.DETACHED and detached.why_kept(view, marked) is None:
            yield {"id": table.id, **_look(session, view, marked)}


def _look(session: TiDBSession, view: TableView, marked: Marked) -> Row:
    table, left = marked.table, {**marked.evidence, **marked.marker}
    return {
        "rows": count(session, table.identifier, detached.most(left)),
        "holds": server.count(session, table.identifier, Sql("true"), 1),
        "not_due": holds_others(session, table.identifier, not_due(view, marked.marker["bounds"][1])),
        "dependants": dependants(session, table.schema, table.name),
    }


def count(session: TiDBSession, table: Sql, left: int | None) -> int | None:
    """Return how many rows a detached table holds, up to one more than it may; ``None``: not known."""
    return None if left is None else server.count(session, table, Sql("true"), left + 1)


def holds_others(session: TiDBSession, table: Sql, others: Json | None) -> bool:
    """Return whether rows lie in a table that its partition cannot have held, as far as that can be seen in time."""
    if others is None:
        return False
    column = sql.identifier(others["column"])
    value = Sql(str(int(others["from"]))) if others["type"].startswith("int") else sql.literal(others["from"])
    without = ageless(others["column"], others["type"])
    predicate = sql.fill("({a} >= {v} or {w})", a=column, v=value, w=without)
    return bool(server.count(session, table, predicate, 1))


def dependants(session: TiDBSession, schema: str, name: str) -> list[str]:
    """Return the views that read a table, and the tables with foreign keys to it."""
    about = {"schema": schema, "name": name, "quoted": sql.identifier(schema, name).text}
    return [row["name"] for row in session.rows("data_retention/dependants", about)]
