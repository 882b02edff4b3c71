"""Why a table's rows may not be deleted or archived, each with the exact remedy. Pure.

A delete that would do more than delete (cascade into other tables, fire triggers or rules), that would see
only some of the rows (row-level security), or that would read the whole table in every batch is refused
before its first row; `cascades: declared` accepts the first kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from upkeep.fleet.location import is_table_name
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.model import FindingStatus
from upkeep.postgres import names
from upkeep.postgres.catalog import PAGE_BYTES
from upkeep.postgres.data_retention.archive_drift import table_drift
from upkeep.postgres.data_retention.archive_table import drift
from upkeep.postgres.data_retention.view import TableView
from upkeep.postgres.names import column_of

ROOM_LEFT: Final = 64 << 20
"""Bytes that stay free at a location besides what the due rows may take."""
SMALL_ROWS: Final = 10_000
"""A table so small is read in a few milliseconds: it needs no index on its age column."""
_ACTIONS: Final = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "a": "NO ACTION", "r": "RESTRICT"}


def refusals(view: TableView) -> list[Refusal]:
    """Return why nothing of the table may go; empty when it may.

    Whole partitions that are detached and dropped fire nothing and need no index: only what moves or
    deletes rows is looked at for that.
    """
    if view.problem is not None:
        return [Refusal("policy", *view.problem)]
    found = list(_shape(view))
    rows_move = not view.by_partition or view.archives
    if rows_move and view.facts is not None:
        found += [*_deleting(view), *_references(view)]
    if not view.by_partition:
        found += _index(view)
    if view.archives:
        found += _archive(view)
    return found


def unindexed_leaves(view: TableView) -> list[str]:
    """Return the tables whose due rows cannot be found without reading them whole, and that are not small."""
    return [
        leaf.subject
        for leaf in view.row_leaves()
        if leaf.kind == "r" and not leaf.ordered and not leaf.brin and not _small(leaf.rows, leaf.pages)
    ]


def _small(rows: float | None, pages: int) -> bool:
    return pages <= SMALL_ROWS // 50 if rows is None else rows <= SMALL_ROWS


def _shape(view: TableView) -> Iterator[Refusal]:
    relation = view.relation
    if relation is None:
        return
    if view.by_partition and not view.tells_age:
        key = ", ".join(column or "an expression" for column in relation.key_columns)
        kind = {"r": "range", "l": "list", "h": "hash"}.get(relation.strategy or "", "another way")
        yield Refusal(
            "partition_key",
            f"it is partitioned by {kind} of ({key}), so no partition tells the age {view.age} of its rows",
            "write precision: row, or name a sub-partitioned table itself",
        )
    if view.by_partition and not relation.may_alter:
        yield Refusal(
            "privileges",
            "our role may not detach or drop its partitions",
            relation.handed("our role"),
        )
    if view.facts is not None and view.facts["has_children"]:
        yield Refusal(
            "inheritance",
            "other tables inherit from it (not as partitions): a delete would reach into them",
            "name the inheriting tables in the fleet file, or make it a partitioned table",
        )


def _deleting(view: TableView) -> Iterator[Refusal]:
    facts, subject = view.facts or {}, view.subject
    declared = view.cascades
    accept = "write cascades: declared if that is meant"
    if not declared and (facts["delete_triggers"] or facts["delete_rules"]):
        fired = ", ".join([*facts["delete_triggers"], *facts["delete_rules"]])
        yield Refusal("triggers", f"deleting from it would fire {fired}", accept)
    for key in facts["referenced_by"]:
        if key["on_delete"] in ("c", "n", "d") and not declared:
            table = names.display(key["schema"], key["table"])
            text = f"deleting from it would change {table} (ON DELETE {_ACTIONS[key['on_delete']]} of {key['name']})"
            yield Refusal("foreign_keys", text, accept)
    if facts["security_active"]:
        text = "row-level security hides rows of it from our role: what is due could not be seen whole"
        yield Refusal("row_security", text, "use a role with BYPASSRLS, or the owner without FORCE ROW LEVEL SECURITY")
    give = f"grant select, delete on {subject} (and its partitions) to our role"
    if not facts["may_select"]:
        text = (
            "our role may not SELECT in it (and in every partition of it, each in its schema): nobody knows what is due"
        )
        yield Refusal("privileges", text, give, status=FindingStatus.NOT_AVAILABLE)
    elif not facts["may_delete"]:
        yield Refusal("privileges", "our role may not SELECT and DELETE in it (and in every partition of it)", give)
    if facts["publications"] and facts["without_identity"]:
        published = ", ".join(names.quote(p) for p in facts["publications"])
        text = f"{published} publishes its deletes, but it has no replica identity: PostgreSQL would refuse them"
        yield Refusal(
            "replica_identity", text, f"alter table {subject} replica identity full, or give it a primary key"
        )


def _references(view: TableView) -> Iterator[Refusal]:
    if view.cascades and not view.references:
        return
    for key in view.references:
        if not key["indexed"]:
            table = names.display(key["schema"], key["table"])
            columns = ", ".join(names.quote(c) for c in key["columns"])
            yield Refusal(
                "foreign_keys",
                f"{table} refers to it ({key['name']}), and no index on {table} ({columns}) finds the references: "
                "every deleted row would read that table whole",
                f"create index concurrently on {table} ({columns})",
            )


def _index(view: TableView) -> Iterator[Refusal]:
    tables = unindexed_leaves(view)
    if tables:
        more = f" and {len(tables) - 1} more partitions" if len(tables) > 1 else ""
        yield Refusal(
            "age_index",
            f"no index leads with {view.age} on {tables[0]}{more}: every run would read it whole",
            f"create index concurrently on {tables[0]} ({names.quote(column_of(view.age))})",
        )


def _archive(view: TableView) -> Iterator[Refusal]:
    into = view.into or ""
    if not is_table_name(into):
        yield from _files(view)
        return
    archive, facts, relation = view.archive, view.archive_facts, view.relation
    if archive is None or facts is None or relation is None:
        text = f"the archive table {into} does not exist"
        yield Refusal("archive", text, f"create table {into} (like {view.subject} including defaults)")
        return
    if archive.oid in (view.facts or {}).get("members", []) or relation.oid in facts["members"]:
        yield Refusal("archive", "the archive is the table itself or a part of it", "name another table in retain.into")
        return
    columns = drift((view.facts or {}).get("columns") or (), archive, facts, source=relation)
    for one in (*columns, *(table_drift(view) if archive.kind in ("r", "p") else ())):
        yield Refusal("archive_drift", one.text, one.remedy)
    fired = ", ".join([*facts["insert_triggers"], *facts["insert_rules"]])
    if fired and not view.cascades:
        yield Refusal("archive", f"inserting into {archive.subject} would fire {fired}", "write cascades: declared")
    if facts["security_active"]:
        yield Refusal(
            "archive",
            f"row-level security of {archive.subject} applies to our role",
            "use its owner; a role with bypassrls where it is forced",
        )
    if not facts["may_insert"]:
        text = f"our role may not INSERT into and SELECT from {archive.subject}"
        yield Refusal("privileges", text, f"grant insert, select on {archive.subject} to our role")
    gap = archive_gap(view)
    if gap:
        yield Refusal(
            "archive", f"no partition of {archive.subject} takes rows of {gap}", "create that partition first"
        )


def _files(view: TableView) -> Iterator[Refusal]:
    files = view.files or {}
    if files.get("problem"):
        yield Refusal("archive_location", f"{view.into}: {files['problem']}", "correct retain.into, or mend it")
    elif files.get("writable") is False:
        text = f"{view.into} cannot be written by the account that runs Upkeep"
        yield Refusal("archive_location", text, "create the directory, or give that account the right to write there")
    elif space(view) == "too little":
        need, free = (files_need(view) or 0) >> 20, files["free_bytes"] >> 20
        text = f"{view.into} has {free:,} MiB left, and about {need:,} MiB of rows are due"
        yield Refusal("archive_location", text, "free space there, or name another location")


def files_need(view: TableView) -> int | None:
    """Return how many bytes the due rows take in the table: compressed files are smaller; ``None``: nobody knows."""
    total = 0
    pieces = {piece.partition.oid for piece in view.due_pieces}
    for leaf in view.leaves:
        if view.by_partition:
            total += leaf.pages * PAGE_BYTES if pieces & set(leaf.path) else 0
        elif leaf.due:
            share = min(leaf.due / leaf.rows, 1) if leaf.rows else 1
            total += round(leaf.pages * PAGE_BYTES * share)
    return total if view.leaves else None


def space(view: TableView) -> str | None:
    """Return ``enough``, ``too little`` or ``not available`` of the location's room; ``None``: no location."""
    if view.files is None:
        return None
    need, free = files_need(view), view.files.get("free_bytes")
    if need is None or free is None:
        return "not available"
    return "enough" if free >= need + ROOM_LEFT else "too little"


def archive_gap(view: TableView) -> str | None:
    """Return the first place of the due rows that no partition of the archive takes."""
    if view.archive_bounds is None or view.axis is None or view.cut_off is None:
        return None
    for low, high in _due_spans(view):
        place = low
        for lower, upper in sorted(view.archive_bounds):
            if lower <= place < upper:
                place = upper
        if place < high:
            return view.axis.write(place)
    return None


def _due_spans(view: TableView) -> Iterator[tuple[int, int]]:
    """Yield the ranges on the axis that rows would come from: due partitions whole, leaves from their oldest row on."""
    if view.cut_off is None or view.axis is None:
        return
    if view.by_partition:
        for piece in view.due_pieces:
            if piece.lower is not None and piece.upper is not None:
                yield max(piece.lower, _oldest(view, piece.partition.oid) or piece.lower), piece.upper
        return
    for leaf in view.row_leaves():
        if leaf.due and leaf.first is not None:
            yield view.axis.read(leaf.first), view.cut_off


def _oldest(view: TableView, oid: int) -> int | None:
    places = [view.axis.read(f.first) for f in view.leaves_below(oid) if f.first is not None and view.axis]
    return min(places, default=None)
