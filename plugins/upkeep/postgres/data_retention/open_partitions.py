"""Due rows that no whole partition takes along: in a default partition, or in one without an end or a beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, brief
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.postgres import faults, holders
from upkeep.postgres.data_retention.args import Known
from upkeep.postgres.data_retention.doomed import Doomed, due_of
from upkeep.postgres.data_retention.view import Piece, TableView
from upkeep.postgres.session import PostgresSession, Row

COUNT_LIMIT: Final = 50_000
"""Rows counted exactly; where there are more, that is said."""
COUNT_TIMEOUT: Final = "10s"
"""An index on the age column answers at once; without one, a large partition is not counted."""
FOR_EVER: Final = 100 * 366 * 86_400_000_000
"""Microseconds: who writes such an end means none."""


def open_pieces(view: TableView) -> list[Piece]:
    """Return the partitions that may hold due rows, and have no end, no beginning, or are the default."""
    cut_off = view.cut_off
    if not view.by_partition or not view.tells_age or cut_off is None:
        return []
    known = [p for p in view.pieces if p.partition.kind != "f"]  # what lies on another server is said of it
    found = [p for p in known if not p.partition.detach_pending and not p.is_due(cut_off)]
    return [p for p in found if p.partition.is_default or (_is_open(p, cut_off) and (p.lower or 0) < cut_off)]


def _is_open(piece: Piece, cut_off: int) -> bool:
    return piece.lower == LOWEST or _never_ends(piece, cut_off)


def _never_ends(piece: Piece, cut_off: int) -> bool:
    return piece.partition.is_default or piece.upper == HIGHEST or (piece.upper or 0) - cut_off > FOR_EVER


def count(session: PostgresSession, view: TableView) -> Iterator[Row]:
    """Yield how many due rows each of them holds; ``None``: that could not be counted in time."""
    pieces = open_pieces(view)
    parents = [p.partition.oid for p in pieces if p.partition.kind == "p"]
    below = session.rows("foreign_below", {"oids": parents}) if parents else []
    foreign = {row["oid"]: row["names"] for row in below}
    for piece in pieces:
        table = piece.partition
        if table.oid in foreign:  # counting would ask the other server
            yield {"oid": table.oid, "due": None, "why": f"{foreign[table.oid][0]} lies on another server"}
            continue
        all_due = due_of(view).model_copy(update={"references": ()})
        doomed = Doomed.from_args(all_due, Known(table.oid, table.schema, table.name))
        parts: dict[str, sql.Composable] = {"table": doomed.table, "age": doomed.age, "due": doomed.due}
        due, why = None, None
        try:
            with session.transaction():
                session.rows("set_local_timeouts", {"lock": "2s", "statement": COUNT_TIMEOUT})
                known = session.execute(
                    session.statement("data_retention/due", limit=sql.Literal(COUNT_LIMIT + 1), **parts)
                )
                due = known.fetchall()[0]["due"]
        except psycopg.errors.QueryCanceled:
            why = f"not in {COUNT_TIMEOUT.removesuffix('s')} seconds; an index on {view.age} would help"
        except psycopg.errors.UndefinedTable:
            continue  # it went away meanwhile
        except psycopg.errors.LockNotAvailable:
            why = f"another session holds it locked{holders.held_by(session, [table.oid])}"
        except psycopg.Error as error:  # a lost connection is none of these
            why = faults.describe(error)
        yield {"oid": table.oid, "due": due, "why": why}


def findings(view: TableView) -> Iterator[Finding]:
    """Yield what is due and stays, with how much and the way out."""
    for piece in open_pieces(view):
        row = view.open_rows.get(piece.partition.oid)
        if row is None or row["due"] == 0:
            continue
        yield _finding(view, piece, row)


def _finding(view: TableView, piece: Piece, row: Row) -> Finding:
    name, due = piece.partition.subject, row["due"]
    never = _never_ends(piece, view.cut_off or 0)
    evidence: dict[str, Any] = {"partition": name, "due": due, "bounds": piece.partition.bounds}
    where = f"the default partition {name}" if piece.partition.is_default else f"{name} ({_range(view, piece)})"
    remedy = "write precision: row"
    if piece.partition.is_default:
        remedy += ", or delete them by hand: no partition is made for what is due"
    elif never:
        remedy += ", or detach it, create the partitions that it stands for, and move its rows into them"
    if due is None:
        text = f"whether {where} holds due rows was not counted: {row['why']}; with precision: partition they stay"
        unseen = FindingStatus.INSUFFICIENT_EVIDENCE
        return Finding.of(
            "due_rows_stay", view.subject, Severity.WARNING, text, remedy, evidence=evidence, status=unseen
        )
    rows = f"more than {COUNT_LIMIT:,}" if due > COUNT_LIMIT else f"{due:,}"
    text = f"{rows} due rows lie in {where}: with precision: partition "
    if never:
        text += "none of them ever goes"
        return Finding.of("due_rows_stay", view.subject, Severity.WARNING, text, remedy, evidence=evidence)
    text += "they stay until all of it is due"
    return Finding.of("due_rows_stay", view.subject, Severity.INFO, text, remedy, evidence=evidence)


def _range(view: TableView, piece: Piece) -> str:
    known = (piece.lower, piece.upper)
    ends = {LOWEST: "MINVALUE", HIGHEST: "MAXVALUE", None: "?"}
    low, high = (ends.get(v) or (brief(view.axis.write(v)) if view.axis and v is not None else "?") for v in known)
    return f"{low} to {high}"
