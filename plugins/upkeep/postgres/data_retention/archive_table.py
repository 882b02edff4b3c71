"""Rows that move into an archive table: will they fit, and the statement that moves them.

Archive-then-delete is one statement: what DELETE returns is inserted, so every snapshot sees each row in
exactly one of the two tables, a kill at any moment loses and doubles nothing, and rows that others change
in between move as they are then or stay. Both sides are counted from what the statement itself did, and
where the column types are the same, hashed too; a difference rolls the batch back.

A partition is archived the same way while it is still attached, and detached when it is empty: there is no
moment at which its rows are in neither place. Rows already in the archive (copied by somebody else) are a
conflict that fails the batch; they are never silently taken for ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from psycopg import sql

from upkeep.jobs.data_retention.refusal import Drift
from upkeep.jobs.errors import ConservationError
from upkeep.model import Json
from upkeep.postgres import names
from upkeep.postgres.catalog import Relation
from upkeep.postgres.data_retention.args import Known, Moving, Rows
from upkeep.postgres.data_retention.batches import Removed, Remover, Where
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.data_retention.shape import require_shape, shapes
from upkeep.postgres.session import PostgresSession, Row

HASHABLE: Final = frozenset(
    """
    int2 int4 int8 float4 float8 numeric bool text varchar bpchar name char bytea uuid oid
    timestamptz timestamp date time timetz interval jsonb inet cidr macaddr macaddr8
    """.split()  # noqa: SIM905 - a list of words reads better so
)
"""Types whose values ``hash_record_extended`` takes; others are hashed by their text, at three times the cost."""
_WIDER: Final = {
    "smallint": {"integer", "bigint", "numeric"},
    "integer": {"bigint", "numeric"},
    "bigint": {"numeric"},
    "real": {"double precision"},
}
_SIZED: Final = re.compile(r"(character varying|numeric)(?:\((\d+)(?:,(\d+))?\))?")


def drift(columns: Sequence[Json], archive: Relation, archive_facts: Row, *, source: Relation) -> list[Drift]:
    """Return what keeps the table's rows from fitting into the archive; pure.

    Parameters
    ----------
    columns, archive_facts
        From ``facts.sql``.
    """
    table = archive.subject
    found: list[Drift] = []
    if archive.kind not in ("r", "p"):
        return [Drift(f"{table} is no table", "name a table in retain.into")]
    if archive.persistence != "p":
        found.append(lossy(table, archive.kind, of=source.subject))
    theirs = {c["name"]: c for c in archive_facts["columns"] or ()}
    for column in columns:
        other = theirs.get(column["name"])
        found += _column_drift(column, other, table)
    ours = {c["name"] for c in columns}
    for extra in theirs.values():
        given = extra["default"] or extra["identity"] or extra["generated"]
        if extra["name"] not in ours and extra["not_null"] and not given:
            quoted = names.quote(extra["name"])
            text = f"{table} needs a value for {quoted}, which the table does not have"
            found.append(Drift(text, f"alter table {table} alter column {quoted} drop not null"))
    return found


def lossy(table: str, kind: str, *, of: str) -> Drift:
    """Return that a table (``kind`` ``p``: one without rows of its own) does not keep rows through a crash."""
    mend = f"alter table {table} set logged"
    if kind == "p":
        mend = f"make {table} anew without unlogged, and attach its partitions to that"
    return Drift(f"{table} is unlogged: a crash of the server empties it, and archived rows of {of} are gone", mend)


def _column_drift(column: Json, other: Json | None, table: str) -> list[Drift]:
    quoted, wanted = names.quote(column["name"]), column["type"]
    alter = f"alter table {table} alter column {quoted}"
    if other is None:
        return [Drift(f"{table} has no column {quoted}", f"alter table {table} add column {quoted} {wanted}")]
    found = []
    if not fits(wanted, other["type"]):
        found.append(Drift(f"{table}.{quoted} is {other['type']}, narrower than {wanted}", f"{alter} type {wanted}"))
    if other["not_null"] and not column["not_null"] and not other["generated"]:
        found.append(Drift(f"{table}.{quoted} refuses NULL, the table does not", f"{alter} drop not null"))
    if other["generated"] and not column["generated"]:
        found.append(Drift(f"{table}.{quoted} is generated, in the table it is not", f"{alter} drop expression"))
    return found


def fits(source: str, archive: str) -> bool:
    """Return whether every value of one type is kept whole by the other (types as ``format_type`` prints them)."""
    if source == archive or archive in _WIDER.get(source, ()):
        return True
    if archive == "text":
        return source.startswith("character varying")
    mine, other = _SIZED.fullmatch(source), _SIZED.fullmatch(archive)
    if mine is None or other is None or mine[1] != other[1]:
        return False
    if other[2] is None:
        return True
    if mine[2] is None:
        return False
    scale, their_scale = int(mine[3] or 0), int(other[3] or 0)
    return their_scale >= scale and int(other[2]) - their_scale >= int(mine[2]) - scale


def moving(rows: Rows, columns: Sequence[Json], archive: Relation, archive_facts: Row) -> Moving:
    """Return the moving of rows: where to, which columns, how they are compared."""
    theirs = {c["name"]: c for c in archive_facts["columns"] or ()}
    moved = [c for c in columns if not theirs[c["name"]]["generated"]]
    same = all(c["type"] == theirs[c["name"]]["type"] for c in moved)
    hashable = all(c["base"] in HASHABLE for c in moved)
    return Moving(
        **rows.said(),
        archive=Known(archive.oid, archive.schema, archive.name),
        columns=tuple(c["name"] for c in moved),
        # A GENERATED ALWAYS identity refuses given values (PostgreSQL 16, INSERT), and a row keeps its number.
        overriding=any(theirs[c["name"]]["identity"] == "a" for c in moved),
        # Where a column is widened the same value hashes otherwise, and its text may differ (real as double
        # precision): there the counts have to do.
        proof=("record" if hashable else "text") if same else "count",
        shape=shapes(columns, archive_facts["columns"] or ()),
    )


def archiving(session: PostgresSession, args: Moving) -> Remover:
    """Return what moves a range into the archive, and rolls back when the sides differ."""

    def remove(doomed: Doomed, where: Where) -> Removed:
        statement = session.statement("data_retention/archive", **move_parts(args, doomed, where))
        with session.transaction():
            row = session.execute(statement).fetchall()[0]
            # After the statement: by now it holds locks that keep others from altering the two tables until the
            # commit.
            require_shape(session, args, doomed)
            removed = Removed(
                rows=row["rows_deleted"],
                archived=row["rows_archived"],
                hash_source=_modulo(row["hash_source"]),
                hash_archive=_modulo(row["hash_archive"]),
            )
            if removed.rows != removed.archived:
                raise ConservationError(
                    f"{removed.rows} rows were deleted but {removed.archived} inserted into the archive (a trigger or "
                    "rule on it?); the batch was rolled back"
                )
            if removed.hash_source != removed.hash_archive:
                raise ConservationError(
                    "the archive changed rows on their way in (a trigger on it?); the batch was rolled back"
                )
        return removed

    return remove


def move_parts(args: Moving, doomed: Doomed, where: Where) -> dict[str, sql.Composable]:
    """Return what fills the braces of ``archive.sql``."""
    names_ = [sql.Identifier(name) for name in args.columns]
    return {
        "table": doomed.table,
        "range": where,
        "due": doomed.predicate,
        "returned": sql.SQL(", ").join(sql.SQL("t.{}").format(name) for name in names_),
        "archive": sql.Identifier(args.archive.schema, args.archive.name),
        "columns": sql.SQL(", ").join(names_),
        "overriding": sql.SQL("overriding system value" if args.overriding else ""),
        "witness": _hash(args.proof, sql.SQL("a."), names_),
        "source_hash": _hash(args.proof, sql.SQL("moved."), names_),
    }


def _hash(proof: str, alias: sql.SQL, columns: Sequence[sql.Identifier]) -> sql.Composable:
    row = sql.SQL(", ").join(sql.SQL("{}{}").format(alias, column) for column in columns)
    if proof == "record":
        # Since 14; a sum of hashes does not depend on the order in which rows come back.
        return sql.SQL("hash_record_extended(row({}), 0)").format(row)
    if proof == "text":
        return sql.SQL("hashtextextended(row({})::text, 0)").format(row)
    return sql.SQL("null::bigint")


def _modulo(total: Any) -> int | None:
    return None if total is None else int(total) % 2**64
