"""How many rows of a table are overdue: through an index, of a small table all, else a sample by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pymysql

from upkeep.jobs.ttl_verification.overdue import MOST, SECONDS, SHOWN
from upkeep.tidb import faults, names, sql
from upkeep.tidb.catalog import Table
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.sql import Sql

SMALL: Final = 10_000
"""A table with fewer rows is read as a whole."""
ZERO_DATES_END: Final = "0001-01-01"
"""'0000-00-00' and its like are no time."""


def before(age: str, bound: str | int, *, dates: bool) -> Sql:
    """Return the predicate of rows with a time before a bound; what is no date is before nothing."""
    column = sql.identifier(age)
    if not dates:
        return sql.fill("{a} < %(bound)s", {"bound": bound}, a=column)
    text = "({a} < %(bound)s and {a} >= %(zero)s and month({a}) > 0 and dayofmonth({a}) > 0)"
    return sql.fill(text, {"bound": bound, "zero": ZERO_DATES_END}, a=column)


def overdue(session: TiDBSession, table: Table, indexes: Sequence[Mapping[str, Any]], age: str, predicate: Sql) -> Row:
    """Return how many rows a predicate finds, and digests of those that are oldest; ``why`` says why not."""
    try:
        leading = (r["name"] for r in indexes if r["place"] == 1 and r["column"] and names.same(r["column"], age))
        index = next(leading, None)
        if index is None and not _is_small(session, table):
            return _sampled(session, table, age, predicate)
        source = table.identifier
        if index is not None:
            source = sql.fill("{t} use index ({i})", t=table.identifier, i=sql.identifier(index))
        parts = {"source": source, "predicate": predicate}
        count = int(session.rows("ttl_verification/overdue", {"most": MOST + 1}, **parts)[0]["overdue"])
        return {"overdue": count, "ids": _oldest(session, table, indexes, age, parts) if count else []}
    except pymysql.MySQLError as error:
        if faults.code(error) in faults.INTERRUPTED:
            return {"why": f"they could not be counted in {SECONDS} s"}
        return {"why": faults.describe(error), "denied": faults.code(error) in faults.PRIVILEGE}


def _is_small(session: TiDBSession, table: Table) -> bool:
    """Return whether a table may be read whole; statistics say 0 also of what was never analysed."""
    if table.rows > SMALL:
        return False
    parts = {"source": table.identifier, "predicate": Sql("true")}
    return int(session.rows("ttl_verification/overdue", {"most": SMALL + 1}, **parts)[0]["overdue"]) <= SMALL


def _sampled(session: TiDBSession, table: Table, age: str, predicate: Sql) -> Row:
    """Return what one row of each region says: it can prove that rows are overdue, never that none is."""
    row = session.rows("ttl_verification/sample", table=table.identifier, predicate=predicate)[0]
    found = int(row["overdue"])
    sampled: Row = {"sampled": int(row["sampled"])}
    if found:
        return {"overdue": found, **sampled}
    return {"why": f"it has no index on {age}; of a sample of {sampled['sampled']:,} rows none is overdue", **sampled}


def _oldest(
    session: TiDBSession, table: Table, indexes: Sequence[Mapping[str, Any]], age: str, parts: Mapping[str, Sql]
) -> list[str]:
    columns = ["_tidb_rowid"]
    if table.pk_type == "CLUSTERED":
        primary = sorted((row for row in indexes if row["name"] == "PRIMARY"), key=lambda row: int(row["place"]))
        columns = [row["column"] for row in primary]
    key = sql.joined(", ", (sql.identifier(column) for column in columns))
    rows = session.rows("ttl_verification/oldest", {"most": SHOWN}, key=key, age=sql.identifier(age), **parts)
    return [str(row["id"]) for row in rows]
