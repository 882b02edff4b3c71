"""Row-wise actions: which leaves, how, and what a person reads of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from psycopg import sql

from upkeep.model import Action, Json, ReasonCode
from upkeep.postgres import names
from upkeep.postgres.catalog import PAGE_BYTES
from upkeep.postgres.data_retention.archive_table import move_parts, moving
from upkeep.postgres.data_retention.args import (
    CleaningUp,
    Files,
    Filing,
    LeafRows,
    Lighter,
    Moving,
    Rows,
    Settling,
    Way,
)
from upkeep.postgres.data_retention.doomed import Doomed, due_of
from upkeep.postgres.data_retention.files.archive import filing, statement_parts
from upkeep.postgres.data_retention.sizes import row_estimate
from upkeep.postgres.data_retention.view import Leaf, Marked, Piece
from upkeep.postgres.data_retention.view import TableView as View
from upkeep.postgres.names import column_of
from upkeep.postgres.session import statement

SHOWN: Final = 3
"""Leaves whose statements are shown in full."""
SAMPLE_ROWS: Final = 200_000
SAMPLE_SHARE: Final = 0.2
SAMPLE_MOST_PAGES: Final = 2_000_000
"""One page in a hundred of a larger table (16 GB) would take seconds to read: there the index tells the ends."""
ANALYZE_ROWS: Final = 50_000
ANALYZE_SHARE: Final = 0.1
"""The planner's statistics are made anew when more rows, or a greater share of the table, go."""
VACUUM_SHARE: Final = 0.2
"""Where autovacuum is off, the space is made reusable when so much of the table goes."""


def delete_rows(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    """Yield the one action that deletes or archives the due rows of all leaves, when there are any."""
    leaves = [leaf for leaf in view.row_leaves() if leaf.kind == "r" and leaf.due != 0]
    if not leaves:
        return
    counts = [leaf.due for leaf in leaves]
    rows = None if any(n is None for n in counts) else sum(n or 0 for n in counts)
    whole = {p.partition.oid for p in view.due_pieces}
    action = _row_action(
        view,
        "archive_rows" if view.archives else "delete_rows",
        [_leaf_rows(leaf, "pages" if not leaf.ordered or whole & set(leaf.path) else _by_key(leaf)) for leaf in leaves],
        rows=rows,
        rough=any(leaf.due_is_least for leaf in leaves),
        reason=f"rows with {view.age} before {view.cut_off_text} are older than {view.kept_for}",
        blocked=blocked,
    )
    yield action
    yield from _clean_up(view, action, leaves, blocked)


def _clean_up(
    view: View, action: Action, leaves: Sequence[Leaf], blocked: tuple[ReasonCode, str] | None
) -> Iterator[Action]:
    """Yield fresh statistics (and, where autovacuum is off, VACUUM) for the leaves that lose much."""
    much = [leaf for leaf in leaves if (leaf.due or 0) > min(ANALYZE_ROWS, ANALYZE_SHARE * (leaf.rows or 0))]
    if not much:
        return
    tables = [
        Lighter(
            leaf.oid,
            leaf.schema,
            leaf.name,
            leaf.autovacuum_off and (leaf.due or 0) > VACUUM_SHARE * (leaf.rows or 0),
        )
        for leaf in much
    ]
    yield Action.make(
        kind="analyze",
        subject=view.subject,
        args=CleaningUp(tables=tuple(tables)).written(),
        intent={"table": view.relation.oid if view.relation else None},
        statements=tuple(_text(clean_up_statement(t), table=sql.Identifier(t.schema, t.name)) for t in tables),
        reason="the planner's statistics are wrong after so many rows went",
        detail=f"{len(tables)} table{'s' if len(tables) > 1 else ''}",
        destructive=False,
        precondition="the rows have gone",
        lock="SHARE UPDATE EXCLUSIVE: readers and writers pass; skipped where others hold it",
        blocked=blocked,
        after=(action.id,),
    )


def clean_up_statement(table: Lighter) -> str:
    """Return the name of the statement that cleans a table up."""
    return "data_retention/vacuum" if table.vacuum else "analyze"


def archive_partition(view: View, piece: Piece, blocked: tuple[ReasonCode, str] | None) -> Action:
    """Return the moving of a due partition's rows, while it is attached."""
    leaves = view.leaves_below(piece.partition.oid)
    return _row_action(
        view,
        "archive_partition",
        [_leaf_rows(leaf, "pages") for leaf in leaves],
        of=piece.partition.subject,
        oid=piece.partition.oid,
        rows=row_estimate(view, piece),
        rough=True,
        reason=f"all rows of {piece.partition.subject} are older than {view.kept_for}: they move before it goes",
        blocked=blocked,
    )


def archive_marked(view: View, marked: Marked, blocked: tuple[ReasonCode, str] | None) -> Action:
    """Return the moving of rows that a detached table holds."""
    itself = LeafRows(marked.oid, marked.schema, marked.name, "pages")
    leaves = [_leaf_rows(leaf, "pages") for leaf in marked.leaves if leaf.kind == "r"]
    return _row_action(
        view,
        "archive_partition",
        leaves or [itself],
        oid=marked.oid,
        rows=round(max(marked.rows, 0)),
        rough=True,
        reason=f"{marked.subject} was detached with rows in it: they move before it is dropped",
        blocked=blocked,
    )


def effect(view: View) -> Json:
    """Return what becomes of rows, for an action's intent: never how far back, when, or what it requires."""
    axis = view.axis
    return {
        "then": "archive" if view.archives else "delete",
        "into": view.into,
        "archive": view.archive.oid if view.archive else None,
        "age": column_of(view.age),
        "type": axis.type if axis else None,
        "unit": axis.unit if axis else None,
        "timezone": axis.zone.key if axis else None,
    }


def _leaf_rows(leaf: Leaf, way: Way) -> LeafRows:
    return LeafRows(leaf.oid, leaf.schema, leaf.name, way)


def _by_key(leaf: Leaf) -> Way:
    """Return how ranges of the age column are cut: by a sample where much of a large table goes."""
    due = leaf.due or 0
    large = due >= SAMPLE_ROWS and due >= SAMPLE_SHARE * (leaf.rows or 0) and leaf.pages <= SAMPLE_MOST_PAGES
    return "sample" if large else "keys"


def _row_action(
    view: View,
    kind: str,
    leaves: list[LeafRows],
    *,
    of: str | None = None,
    oid: int | None = None,
    rows: int | None,
    rough: bool,
    reason: str,
    blocked: tuple[ReasonCode, str] | None,
) -> Action:
    rows_of = {**due_of(view).said(), "leaves": tuple(leaves)}
    args = Rows(**rows_of, **quality_args(view, [asdict(leaf) for leaf in leaves], of))
    archive, facts = view.archive, view.archive_facts
    if view.files is not None and view.relation is not None:
        relation = view.relation
        files = Files(view.into or "", relation.schema, relation.name)
        args = filing(args, (view.facts or {})["columns"], files)
    elif blocked is None and archive is not None and facts is not None:
        args = moving(args, (view.facts or {})["columns"], archive, facts)
    batch = "one and a half seconds" if isinstance(args, Filing) else "half a second"
    verb = "deletes" if kind == "delete_rows" else "moves"
    return Action.make(
        kind=kind,
        subject=view.subject,
        args=args.written(),
        intent={"table": view.relation.oid if view.relation else None, "partition": oid, **effect(view)},
        reach=view.cut_off,
        statements=_row_statements(args) if kind == "delete_rows" or isinstance(args, Moving | Filing) else (),
        reason=reason,
        detail=_detail(view, kind, leaves),
        destructive=True,
        precondition=f"each batch {verb} only rows that are due at that moment, whatever was planned",
        undo=_undo(kind, args),
        lock=f"row locks of one batch for about {batch}",
        not_during=("backup",),
        rows=rows,
        rough=rough,
        bytes=_row_bytes(view, leaves, rows),
        requires=view.requirement,
        blocked=blocked,
    )


def quality_args(view: View, leaves: Sequence[Json], of: str | None = None) -> Json:
    """Return what an action must say so that the owner's expectations are asked before it runs."""
    if view.quality is None:
        return {}
    facts = (view.facts or {}).get("columns") or ()
    about = {"suite": view.quality, "leaves": list(leaves), "of": of, **due_of(view).written()}
    return {"quality": {**about, "columns": [{"name": c["name"], "type": c["type"]} for c in facts]}}


def quality_of_whole(view: View, oid: int, subject: str) -> Json:
    """Return the same for a detached table, which goes with whatever rows it holds by then."""
    return {"quality": {"suite": view.quality, "whole": oid, "of": subject}} if view.quality is not None else {}


def _undo(kind: str, args: Rows) -> str:
    if kind == "delete_rows":
        return "none but a restore"
    return "upkeep restore-archive" if isinstance(args, Filing) else "none: copy the rows back from the archive by hand"


def settle_files(view: View) -> Action:
    """Return the deciding of files that an earlier run left undecided."""
    relation = view.relation
    files = (
        Settling(files=Files(view.into or "", relation.schema, relation.name)).written() if relation else {"files": {}}
    )
    return Action.make(
        kind="settle_files",
        subject=view.subject,
        args=files,
        statements=(re.sub(r"%\((\w+)\)s", r"{\1}", _text("data_retention/transaction_end")),),
        reason="an earlier run ended before it knew what became of its last transaction",
        detail=f"files in {view.into}",
        destructive=False,
        precondition="the server knows the transaction still",
        lock="none",
    )


def _detail(view: View, kind: str, leaves: Sequence[LeafRows]) -> str:
    if kind == "archive_partition":
        return names.display(leaves[0].schema, leaves[0].name) if len(leaves) == 1 else f"{len(leaves)} leaves"
    where = f" in {len(leaves)} partitions" if view.is_partitioned else ""
    return f"{view.age} before {view.cut_off_text}{where}"


def _row_statements(args: Rows) -> tuple[str, ...]:
    """Return the statements of one batch of each of the first leaves, for reading."""
    shown = []
    where = sql.SQL("t.ctid >= {first} and t.ctid < {last}")
    for leaf in args.leaves[:SHOWN]:
        doomed = Doomed.from_args(args, leaf)
        part = (
            where
            if leaf.way == "pages"
            else sql.SQL("t.{} >= {} and t.{} < {}").format(
                doomed.age, sql.SQL("{first}"), doomed.age, sql.SQL("{last}")
            )
        )
        composed = sql.Composed([part])
        if isinstance(args, Filing):
            shown.append(_text("data_retention/archive_file", **statement_parts(args, doomed, composed)))
        elif isinstance(args, Moving):
            shown.append(_text("data_retention/archive", **move_parts(args, doomed, composed)))
        else:
            shown.append(_text("data_retention/delete", table=doomed.table, range=composed, due=doomed.predicate))
    if len(args.leaves) > len(shown):
        shown.append(f"-- and the same on {len(args.leaves) - len(shown)} more partitions")
    return tuple(shown)


def _row_bytes(view: View, leaves: Sequence[LeafRows], rows: int | None) -> int | None:
    oids = {leaf.oid for leaf in leaves}
    of = [leaf for leaf in view.leaves if leaf.oid in oids]
    total = sum(leaf.rows or 0 for leaf in of)
    if not total or rows is None:
        return None
    return round(sum(leaf.pages for leaf in of) * PAGE_BYTES * min(rows / total, 1))


def _text(name: str, **parts: Any) -> str:
    return statement(name, **parts).as_string(None)
