"""Declared list values as the server sees them: which are equal to those that partitions hold, which it refuses.

Nothing is asked where every declared value stands in the catalog word for word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from upkeep.fleet import HashLevel, ListLevel, RangeLevel
from upkeep.fleet.tables import Top
from upkeep.postgres import bounds
from upkeep.postgres.bounds import UnknownBoundsError
from upkeep.postgres.names import column_of
from upkeep.postgres.partition_creation.list_and_hash import texts, to_ask
from upkeep.postgres.partition_creation.view import Care
from upkeep.postgres.partition_creation.view_of_level import CHILDLESS
from upkeep.postgres.session import PostgresSession, Row

_REFUSED = (psycopg.errors.DataError, psycopg.errors.IntegrityError)


class Question(NamedTuple):
    """What must be asked of one level of one table.

    Attributes
    ----------
    texts
        Declared values; none where only the column's type is asked.
    known
        Values that partitions hold.
    """

    root: int
    depth: int
    column: str
    texts: tuple[str, ...]
    known: tuple[str, ...]


def ask(found: Sequence[Care], frames: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Question]:
    """Yield what must be asked: values that no partition holds word for word, types that no partition tells."""
    rows = {row["parent"]: row for row in (*frames["spans"], *frames["branch_spans"])}
    for care in found:
        if care.depth or care.relation is None or care.relation.kind != "p" or care.later:
            continue
        table, level = care.relation, care.level
        yield from _question(table.oid, 0, level, [rows.get(table.oid, CHILDLESS)])
        below = level.subpartition if isinstance(level, Top) else None
        if below is None:
            continue
        parents = rows.get(table.oid, CHILDLESS)["parents"] or ()
        children = [rows[oid] for oid in parents if oid in rows]
        asked = list(_question(table.oid, 1, below, children))
        yield from asked
        column = column_of(below.by)
        alike = any(row["oid"] in parents and row["key_columns"] == [column] for row in frames["branches"])
        if not asked and not alike:
            yield Question(table.oid, 1, column, (), ())


def _question(
    root: int, depth: int, level: RangeLevel | ListLevel | HashLevel, children: Sequence[Mapping[str, Any]]
) -> Iterator[Question]:
    if not isinstance(level, ListLevel):
        return
    try:
        yield from _asked(root, depth, level, children)
    except UnknownBoundsError:
        return  # said of the table itself


def _asked(root: int, depth: int, level: ListLevel, children: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    listed = [[b for b in row["bounds"] if b.startswith("FOR VALUES IN")] for row in children]
    if listed and not any(to_ask(level, known) for known in listed):
        return
    held = {value for known in listed for text in known for value in bounds.values(text) if value is not None}
    yield Question(root, depth, column_of(level.by), tuple(texts(level)), tuple(sorted(held)))


def compare(session: PostgresSession, row: Row, question: Question) -> list[Row]:
    """Return what the server says of each declared value; one that the type refuses spoils no other."""
    collation: sql.Composable = sql.SQL("")
    if row["collation_name"] is not None:
        collation = sql.SQL(" collate {}").format(sql.Identifier(row["collation_schema"], row["collation_name"]))
    typed: dict[str, sql.Composable] = {"typed": sql.SQL(row["typed"]), "plain": sql.SQL(row["plain"])}
    statement = session.statement("partition_creation/list_values", collation=collation, **typed)
    both = sorted({*question.texts, *question.known})
    try:
        return [_said(one, row) for one in _rows(session, statement, question.texts, both)]
    except _REFUSED:
        pass
    good: list[str] = []
    bad: list[Row] = []
    for text in dict.fromkeys(question.texts):
        try:
            _rows(session, statement, (text,), [text])
            good.append(text)
        except _REFUSED as error:
            problem = f"list: '{text}' is no {row['typed']}: {error.diag.message_primary}"
            bad.append({"text": text, "canonical": None, "equal": [], "problem": problem})
    rest = _rows(session, statement, tuple(good), sorted({*good, *question.known}))
    return [*(_said(one, row) for one in rest), *bad]


def _rows(session: PostgresSession, statement: sql.Composed, wanted: Sequence[str], known: Sequence[str]) -> list[Row]:
    return session.execute(statement, {"texts": list(wanted), "known": list(known)}).fetchall()


def _said(one: Row, row: Row) -> Row:
    problem = None
    if not one["kept"]:
        problem = f"list: '{one['text']}' does not fit into {row['typed']}: it would become '{one['canonical']}'"
    return {"text": one["text"], "canonical": one["canonical"], "equal": one["equal"], "problem": problem}
