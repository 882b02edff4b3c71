"""Where a detached table is now: found by the id of its data, whatever it is called; and its rows on their way back."""

from __future__ import annotations

from dataclasses import dataclass

import pymysql

from upkeep.jobs.errors import ConservationError
from upkeep.tidb import faults, names, server, sql
from upkeep.tidb.catalog import Planned
from upkeep.tidb.ddl import Tools
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is now; ``rows`` by statistics."""

    schema: str
    name: str
    comment: str
    rows: int = 0

    @property
    def identifier(self) -> Sql:
        """The name for a statement."""
        return sql.identifier(self.schema, self.name)

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


def by_id(session: TiDBSession, oid: int) -> Place | None:
    """Return the table whose data has that id."""
    rows = session.rows("data_retention/table_by_id", {"id": oid})
    return Place(**rows[0]) if rows else None


def holds_rows(session: TiDBSession, table: Sql) -> bool:
    """Return whether a table holds rows; one that cannot be looked into in time counts as holding some."""
    return server.count(session, table, Sql("true"), 1) != 0


def give_back(tools: Tools, table: Planned, other: Place, predicate: Sql) -> int:
    """Move rows of a detached table back into its parent, in one transaction; return how many."""
    session = tools.session
    listed = sql.joined(", ", (sql.identifier(c) for c in _columns(session, table)))
    parent = table.identifier
    tools.checkpoint(f"returning rows of {other.subject}")
    try:
        # one transaction: at every moment each row is in exactly one of the two tables
        with session.transaction():
            parts = {"table": parent, "columns": listed, "other": other.identifier, "predicate": predicate}
            copied = session.execute(sql.statement("data_retention/return_rows", **parts)).count
            deleted = session.execute(
                sql.statement("data_retention/delete_rows", other=other.identifier, predicate=predicate)
            ).count
            # READ COMMITTED: the DELETE also sees what was written after the copy, and that would be lost
            if copied != deleted:
                raise ConservationError(f"{copied} rows were copied back, {deleted} deleted; rolled back")
    except pymysql.MySQLError as error:
        if faults.code(error) != faults.DUPLICATE:
            raise
        here = names.display(table.schema, table.name)
        text = f"rows of {other.subject} have keys that were given anew in {here}"
        raise ConservationError(f"{text}: none was returned; compare the two, and move or delete them") from error
    return copied


def _columns(session: TiDBSession, table: Planned) -> list[str]:
    among = sql.fill("c.table_name = %(name)s", {"name": table.name})
    rows = session.rows("columns", {"schemas": [table.schema]}, among=among)
    return [row["name"] for row in rows if not row["is_generated"]]
