"""Putting a detached partition back where it was, when it is still the table that was detached from there."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
from psycopg import errors, sql

from upkeep.errors import UpkeepError
from upkeep.jobs.data_retention.marker import read_marker
from upkeep.jobs.errors import RefusedError
from upkeep.model import Json
from upkeep.postgres import bounds, ddl, faults, names
from upkeep.postgres.data_retention.detach import (
    QUIET_SECONDS,
    Place,
    Tools,
    comment_statement,
    place,
)
from upkeep.postgres.session import PostgresSession


def reattach(tools: Tools, evidence: Json) -> str:
    """Put a detached partition back where it was; return what was done.

    Parameters
    ----------
    evidence
        What was recorded when it was detached.

    Raises
    ------
    RefusedError
        It is gone, attached elsewhere, not the table that was detached, or its place is taken.
    """
    if "oid" not in evidence:
        raise RefusedError("the table was gone already when it was to be detached; restore it from a backup")
    here = place(tools.session, int(evidence["oid"]))
    parent = place(tools.session, int(evidence["parent_oid"]))
    if here is None or parent is None:
        gone = evidence.get("partition", "the table") if here is None else "the table that it was part of"
        raise RefusedError(f"{gone} was dropped since; restore it from a backup")
    # Twice is as good as once: whoever is not sure whether an undo went through says it again.
    if here.is_partition and (here.parent, here.bounds) == (parent.oid, evidence["bounds"]):
        return f"{here.subject} is a partition of {parent.subject} again already"  # an undo that was killed had done it
    marker = _marker_of(here, parent, evidence)
    _require_shape(tools.session, here, parent)
    lower, upper = bounds.texts(str(evidence["bounds"]))
    # ATTACH reads the whole table under ACCESS EXCLUSIVE unless a valid CHECK implies the bounds (PostgreSQL 16,
    # 5.11.2.2). So one is added unproven, proven while readers and writers pass, and dropped with the attaching.
    check = sql.Identifier(names.shorten(f"upkeep_{here.oid}", names.MAX_BYTES))
    condition = _condition(tools.session, parent.oid, lower, upper)
    prepare = tools.session.statement(
        "data_retention/add_check", table=here.table, constraint=check, condition=condition
    )
    waits: dict[str, Any] = {"checkpoint": tools.checkpoint, "sleep": tools.sleep}
    drop = tools.session.statement("drop_constraint", table=here.table, name=check)
    validate = tools.session.statement("data_retention/validate_check", table=here.table, constraint=check)
    takes = sql.SQL("for values from ({}) to ({})").format(_bound(lower), _bound(upper))
    attach = tools.session.statement("attach_partition", parent=parent.table, child=here.table, bounds=takes)
    comment = comment_statement(tools.session, here, marker.get("comment"))
    try:
        # An undo that was killed may have left its CHECK: it is dropped first, for it may be of other bounds.
        ddl.run(tools.session, [drop, prepare], what=f"preparing {here.subject}", **waits)
        ddl.run_alone(tools.session, validate, lock_seconds=QUIET_SECONDS, what=f"checking {here.subject}", **waits)
        statements = [attach, drop, comment]
        ddl.run(tools.session, statements, quiet=[parent.table], what=f"attaching {here.subject}", **waits)
    except (errors.CheckViolation, errors.InvalidObjectDefinition, errors.DatatypeMismatch) as error:
        # Best effort: a CHECK that stays refuses no row that belongs there, and the next undo removes it.
        with contextlib.suppress(UpkeepError, psycopg.Error):
            ddl.run(tools.session, [drop], what=f"preparing {here.subject}", **waits)
        text = f"{here.subject} does not fit into {parent.subject} any more: {faults.describe(error)}"
        raise RefusedError(f"{text}; move its rows by hand") from error
    return f"{here.subject} is a partition of {parent.subject} again"


def _marker_of(here: Place, parent: Place, evidence: Json) -> Json:
    """Return the marker of exactly this detaching."""
    if here.is_partition:
        raise RefusedError(f"{here.subject} is attached already, elsewhere or with other bounds")
    if parent.kind != "p":
        raise RefusedError(f"{parent.subject} is not partitioned any more: move the rows by hand")
    marker = read_marker(here.comment)
    if marker is None:
        raise RefusedError(f"{here.subject} does not carry Upkeep's marker any more: look at it by hand")
    known = {"oid": here.oid, "parent_oid": parent.oid, "bounds": evidence["bounds"]}
    wrong = [key for key, value in known.items() if marker.get(key, value) != value]
    if wrong:
        raise RefusedError(f"{here.subject} carries the marker of another detaching ({', '.join(wrong)})")
    return marker


def _require_shape(session: PostgresSession, here: Place, parent: Place) -> None:
    rows = {row["oid"]: row for row in session.rows("data_retention/shape", {"oids": [here.oid, parent.oid]})}
    mine, theirs = (
        dict(zip(rows[oid]["names"], rows[oid]["types"], strict=True)) if oid in rows else {}
        for oid in (here.oid, parent.oid)
    )
    changed = sorted(c for c in {*mine, *theirs} if mine.get(c) != theirs.get(c))
    if changed:
        raise RefusedError(
            f"columns of {here.subject} are not those of {parent.subject} any more ({', '.join(changed)}): make them "
            "alike, then undo again"
        )


def _condition(session: PostgresSession, parent: int, lower: str, upper: str) -> sql.Composed:
    """Return what the bounds say of the key, so that attaching finds it proven."""
    key = sql.Identifier(session.rows("data_retention/key", {"oid": parent})[0]["name"])
    # A range partition takes no NULL: without this word the CHECK would not imply its bounds.
    parts = [sql.SQL("{} is not null").format(key)]
    if lower != "MINVALUE":
        parts.append(sql.SQL("{} >= {}").format(key, sql.Literal(lower)))
    if upper != "MAXVALUE":
        parts.append(sql.SQL("{} < {}").format(key, sql.Literal(upper)))
    above = session.rows("partition_condition", {"oids": [parent]})  # what the parent itself, a partition, takes
    # NULL where it takes everything: a default partition without siblings
    parts += [sql.SQL("({})").format(sql.SQL(row["condition"])) for row in above if row["condition"]]
    return sql.SQL(" and ").join(parts)


def _bound(text: str) -> sql.Composable:
    return sql.SQL(text) if text in ("MINVALUE", "MAXVALUE") else sql.Literal(text)
