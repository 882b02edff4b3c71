"""What index analysis reads: the catalog, each server's counters, what the look before had measured."""

from __future__ import annotations

from collections.abc import Sequence

import pymysql

from upkeep.fleet import Target
from upkeep.jobs.contract import Ask
from upkeep.jobs.index_analysis import advice
from upkeep.model import Observation
from upkeep.tidb import catalog, faults, names
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.sql import Sql


def observe(ask: Ask[TiDBSession]) -> Observation:
    """Read the indexes of the connection's database, and of those that the fleet file names."""
    session = ask.session
    schemas = _schemas(session, ask.target)
    frames: dict[str, list[Row]] = {"server": [_server(session)], **read(session, schemas, Sql("true"))}
    frames["usage"], frames["unknown"] = _usage(session, schemas)
    frames["earlier"] = advice.earlier(ask.memory)
    return ask.answer(frames)


def read(session: TiDBSession, schemas: Sequence[str], among: Sql) -> dict[str, list[Row]]:
    """Return the frames of which `view` makes indexes; ``among``: a condition on ``i.table_name``."""
    if not schemas:
        return {"indexes": [], "foreign_keys": [], "tables": []}
    wanted = {"schemas": list(schemas)}
    rows = session.rows("index_analysis/indexes", wanted, among=among)
    tables = session.rows("tables", wanted, among=Sql("true"))
    return {
        "indexes": [{key.lower(): value for key, value in row.items()} for row in rows],
        "foreign_keys": session.rows("index_analysis/foreign_keys", wanted),
        "tables": [{key: row[key] for key in ("schema", "name", "id", "rows")} for row in tables],
    }


def _server(session: TiDBSession) -> Row:
    return {"subject": "server", "reachable": True, "version_tested": session.tested}


def _schemas(session: TiDBSession, target: Target) -> list[str]:
    patterns = [names.parse("*"), *map(names.parse, target.subjects())]
    return catalog.databases(session, patterns)


def _usage(session: TiDBSession, schemas: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """Return each index's count with the servers that it is of; and why there is none, where nobody can tell."""
    if not schemas:
        return [], []
    try:
        servers = {row["instance"]: str(row["started"]) for row in session.rows("index_analysis/servers")}
        rows = session.rows("index_analysis/usage", {"schemas": list(schemas)})
        counted = _with_statistics(session)
    except pymysql.MySQLError as error:
        return [], [_why(error)]
    silent = servers.keys() - {row["instance"] for row in rows}
    if silent and rows:
        text = f"servers of the cluster do not answer: {', '.join(sorted(silent))}"
        return [], [{"why": text, "remedy": "see why, there"}]
    counters = ", ".join(f"{name} {started}" for name, started in sorted(servers.items()))
    found: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = (row["schema"].lower(), row["table"].lower(), row["name"].lower())
        if key[:2] in counted:
            one = found.setdefault(key, {**row, "scans": 0, "counters": counters})
            one["scans"] += int(row["scans"])
    return [{key: one[key] for key in ("schema", "table", "name", "scans", "counters")} for one in found.values()], []


def _with_statistics(session: TiDBSession) -> set[tuple[str, str]]:
    rows = [{key.lower(): value for key, value in row.items()} for row in session.rows("index_analysis/statistics")]
    return {
        (row["db_name"].lower(), row["table_name"].lower()) for row in rows if row.get("last_analyze_time") is not None
    }


def _why(error: pymysql.MySQLError) -> Row:
    if faults.code(error) in faults.PRIVILEGE:
        return {
            "why": f"our user may not see who uses indexes: {faults.describe(error)}",
            "remedy": "grant process on *.*, and select on mysql.stats_meta, to it",
        }
    if faults.code(error) in faults.GONE:
        return {"why": "this release counts no use of indexes", "remedy": "TiDB does from 8.0 on"}
    return {"why": f"the use of indexes cannot be read: {faults.describe(error)}", "remedy": "see the server's log"}
