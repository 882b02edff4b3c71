"""What is read of a plain table before its conversion is planned: what it carries, and its lowest and highest key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from upkeep.fleet import RangeLevel
from upkeep.postgres import faults, holders
from upkeep.postgres.partition_creation.conversion import checks
from upkeep.postgres.partition_creation.conversion.names import CHECK, wanted
from upkeep.postgres.partition_creation.conversion.view import Facts
from upkeep.postgres.partition_creation.view import Care
from upkeep.postgres.session import PostgresSession, Row

LOOK_SECONDS: Final = 60
"""How long reading the lowest and highest key may take: with an index on it, milliseconds."""


def facts(session: PostgresSession, oids: Sequence[int]) -> dict[int, Row]:
    """Return what tables carry, by their object ids."""
    if not oids:
        return {}
    published = session.rows("partition_creation/conversion/publications", {"oids": list(oids)})
    return {
        oid: {**row, "publications": [_without_oid(p) for p in published if p["oid"] == oid]}
        for oid, row in catalog_facts(session, oids).items()
    }


def catalog_facts(session: PostgresSession, oids: Sequence[int]) -> dict[int, Row]:
    """Return what tables carry but for their publications: some milliseconds, whatever else the database has."""
    rows = session.rows("partition_creation/conversion/facts", {"oids": list(oids), "check": CHECK})
    return {row["oid"]: row for row in rows}


def _without_oid(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "oid"}


def observe(session: PostgresSession, tables: Mapping[int, str]) -> list[Row]:
    """Return a row for each plain table, given by object id and partition column."""
    known = facts(session, sorted(tables))
    return [_observe(session, row, tables[oid]) for oid, row in sorted(known.items())]


def dependents(session: PostgresSession, oid: int) -> list[Row]:
    """Return what depends on a table by its object id: kind and name."""
    return session.rows("partition_creation/conversion/dependents", {"oid": oid})


def taken(session: PostgresSession, found: Iterable[Care]) -> list[Row]:
    """Return which names that conversions would like are taken."""
    known = [(c.conversion, c.level) for c in found if c.conversion and isinstance(c.level, RangeLevel)]
    wishes = [(conversion.facts["schema"], n) for conversion, level in known for n in wanted(conversion, level)]
    if not wishes:
        return []
    return session.rows(
        "partition_creation/taken_names", {"schemas": [s for s, _ in wishes], "names": [n for _, n in wishes]}
    )


def _observe(session: PostgresSession, known: Row, column: str) -> Row:
    row: Row = {
        "oid": known["oid"],
        "facts": known,
        "dependents": dependents(session, known["oid"]),
        "before": session.rows(
            "partition_creation/conversion/before_triggers", {"oid": known["oid"], "column": column}
        ),
        "lowest": None,
        "highest": None,
        "any_null": None,
        "position": None,
        "unknown": None,
        "remedy": None,
    }
    # Reading the ends of a large table without an index takes long: not for one that is refused whatever they are.
    if known["kind"] != "r" or checks.refusals(known, row["dependents"], column):
        return row  # refused anyway: the rows are not looked at
    try:
        row |= measure(session, known, column)
    except psycopg.errors.LockNotAvailable:
        row["unknown"] = f"another session holds it locked{holders.held_by(session, [known['oid']])}"
    except psycopg.errors.QueryCanceled:
        row["unknown"] = f"the lowest and highest {column} could not be read in {LOOK_SECONDS} s"
        row["remedy"] = "make an index on the partition column (create index concurrently …)"
    except psycopg.errors.InsufficientPrivilege as error:  # row security counts as one: rows must not be overlooked
        row["unknown"] = faults.describe(error)
        row["remedy"] = "let the connection's role read every row (grant select; bypassrls where policies restrict it)"
    except psycopg.errors.UndefinedTable as error:
        row["unknown"] = faults.describe(error)
    return row


def measure(session: PostgresSession, known: Facts, column: str) -> dict[str, Any]:
    """Return lowest and highest key as texts, whether a row has none, and where the key's sequence stands.

    Raises `psycopg.errors.QueryCanceled` after `LOOK_SECONDS`, `LockNotAvailable` after two seconds.
    """
    with session.transaction():
        session.rows("set_local_timeouts", {"lock": "2s", "statement": f"{LOOK_SECONDS}s"})
        return _ends(session, known, column)


def _ends(session: PostgresSession, known: Facts, column: str) -> dict[str, Any]:
    parts = {"table": sql.Identifier(known["schema"], known["name"]), "key": sql.Identifier(column)}
    about = next(c for c in known["columns"] if c["name"] == column)
    ends = session.execute(session.statement("partition_creation/conversion/range", **parts)).fetchall()[0]
    nulls = False
    if not about["not_null"]:
        nulls = session.execute(session.statement("partition_creation/conversion/null", **parts)).fetchall()[0][
            "any_null"
        ]
    position = session.rows("partition_creation/highest_id", {"oid": known["oid"], "column": column})[0]["at"]
    return {**ends, "any_null": nulls, "position": position}
