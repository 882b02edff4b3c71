"""What would be done with the tables that carry our marker: dropped, completed, or removed as left over. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.data_retention.marker import kept_until, required
from upkeep.model import Action, Json, ReasonCode, Requirement
from upkeep.tidb import names, sql
from upkeep.tidb.ages import age_text
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention import detached
from upkeep.tidb.data_retention.args import Bounds, Detaching, Dropping, Leftover
from upkeep.tidb.data_retention.row_plan import row_action
from upkeep.tidb.data_retention.view import Marked, Piece
from upkeep.tidb.data_retention.view import TableView as View

Blocked: TypeAlias = tuple[ReasonCode, str] | None
NOTHING: Final = Requirement()


def marked(view: View, blocked: Blocked) -> Iterator[Action]:
    """Yield what becomes of each table with our marker; what stays is said by `detached`."""
    detaching = {p.partition.id for p in view.due_pieces if not (p.rows == 0 and p.counted)}
    for one in view.marked:
        if not one.exchanged:
            if one.marker.get("oid") not in detaching and detached.is_named(view, one) and detached.removable(one):
                yield _leftover(view, one)
        elif one.marker.get("state") == detached.PREPARING:
            if detached.is_named(view, one):
                yield _complete(view, one)
        elif detached.why_kept(view, one) is None:
            move = _move(view, one, blocked)
            yield from move
            yield _drop(view, one, blocked, after=tuple(a.id for a in move))


def _leftover(view: View, one: Marked) -> Action:
    table = view.table
    assert table is not None  # noqa: S101 - there is a marker of it
    args = Leftover(
        id=one.table.id,
        oid=one.marker["oid"],
        name=one.table.subject,
        table=Planned(table.id, table.schema, table.name),
    )
    return Action.make(
        kind="remove_leftover",
        subject=view.subject,
        args=args.written(),
        statements=(sql.statement("data_retention/drop_table", table=one.table.identifier).text,),
        reason=f"a run that was killed left {one.table.subject}, which holds no partition's data",
        destructive=False,
        precondition="it carries our marker and is not exchanged; rows of an interrupted undo return first",
        lock="none",
        not_during=("backup",),
        rows=0,
    )


def _complete(view: View, one: Marked) -> Action:
    """Return the end of a detaching that a killed run began: the exchange is done, the marker is not written."""
    marker, rule = one.marker, requirement(view.policy)
    unknown = Requirement(kind="approval") if rule.kind == "nothing" else rule
    table = view.table
    assert table is not None  # noqa: S101 - there is a marker of it
    lowest = bool(marker.get("lowest", True))
    args = Detaching(
        oid=marker["oid"],
        parent_oid=table.id,
        table=Planned(table.id, table.schema, table.name),
        partition=str(marker["partition"]),
        bounds=_bounds(marker),
        lowest=lowest,
        merges=not lowest,
        ageless=view.ageless,
        terms=detached.today(view),
    )
    return Action.make(
        kind="detach_partition",
        subject=view.subject,
        args=args.written(),
        intent={"completes": marker["oid"], "parent_oid": table.id, "bounds": marker["bounds"]},
        statements=(f"-- completes the marker of {one.table.subject}",),
        reason=f"the detaching of {marker['partition']} was interrupted" + ("" if one.known else "; not by Upkeep"),
        detail=str(marker["partition"]),
        destructive=True,
        precondition="the exchange is done",
        undo="upkeep undo puts it back, until it is dropped",
        lock="none",
        not_during=("backup",),
        rows=0,
        requires=NOTHING if one.known else unknown,
    )


def _move(view: View, one: Marked, blocked: Blocked) -> list[Action]:
    """Return the moving of a detached table's rows, where the policy says by now that they are to be archived."""
    if view.policy.then != "archive" or one.facts.get("holds") == 0:
        return []
    table, marker = one.table, one.marker
    more = {
        "table": Planned(table.id, table.schema, table.name),
        "oid": table.id,
        "ends": marker["bounds"][1],
        "detached_at": marker["at"],
        "references": [],
    }
    reason = f"{table.subject} was detached at {marker['at']}; its rows move before it goes, as the policy says by now"
    rows = _rows(one)
    moving = row_action(view, "archive_rows", reason, rows=rows, blocked=blocked, more=more)
    return [moving.model_copy(update={"requires": required(marker, view.policy), "detail": table.subject})]


def _drop(view: View, one: Marked, blocked: Blocked, *, after: tuple[str, ...]) -> Action:
    marker = one.marker
    until = kept_until(marker, view.policy).isoformat()
    args = Dropping(
        oid=one.table.id,
        parent_oid=marker["parent_oid"],
        bounds=_bounds(marker),
        detached_at=marker["at"],
        kept_until=until,
        snapshot_after=marker["at"],
        name=one.table.subject,
        not_due=not_due(view, marker["bounds"][1]),
        empty=view.policy.then == "archive",
        planned_rows=one.evidence.get("planned_rows"),
    )
    why = f"it was detached at {marker['at']}, and its grace period ended at {until}"
    rows = _rows(one)
    rule = required(marker, view.policy)
    return _drop_action(view, args, why, blocked, rule, rows=0 if after else rows, size=one.table.bytes, after=after)


def _bounds(marker: Json) -> Bounds:
    """Return a marker's bounds; what somebody wrote there instead fits no partition."""
    found = marker["bounds"]
    lower, upper = found if isinstance(found, list) and len(found) == 2 else (None, found)  # noqa: PLR2004 - a pair
    return None if lower is None else str(lower), str(upper)


def _rows(one: Marked) -> int | None:
    """Return how many rows a detached table holds: counted now, or then, or planned, or by statistics."""
    known = (one.facts.get("rows"), one.marker.get("rows"), one.evidence.get("planned_rows") or None)
    return next((rows for rows in known if rows is not None), one.table.rows or None)


def drop_at_once(view: View, piece: Piece, detach: Action, blocked: Blocked) -> Action:
    """Return the dropping of a partition that the same plan detaches: the policy gives no grace."""
    table = view.table
    assert table is not None  # noqa: S101 - there are pieces
    name = detached.table_name(table.name, piece.partition.name, piece.partition.id)
    bounds = Detaching.of(detach).bounds
    args = Dropping(
        oid=piece.partition.id,
        parent_oid=table.id,
        bounds=bounds,
        name=names.display(table.schema, name),
        not_due=not_due(view, bounds[1]),
        planned_rows=piece.rows,
    )
    why, size = "the policy gives no grace", piece.partition.bytes
    rule, after = requirement(view.policy), (detach.id,)
    return _drop_action(view, args, why, blocked, rule, rows=piece.rows, size=size, after=after)


def not_due(view: View, end: str) -> Json | None:
    """Return what tells rows that the partition cannot have held: from its end on, or without a time."""
    if view.axis is None or view.scale is None:
        return None
    return {"column": view.age, "type": view.axis.type, "from": age_text(view.axis, view.scale.read(end))}


def _drop_action(
    view: View,
    args: Dropping,
    why: str,
    blocked: Blocked,
    rule: Requirement,
    *,
    rows: int | None,
    size: int,
    after: tuple[str, ...] = (),
) -> Action:
    identity = args.model_dump(mode="json", include={"oid", "parent_oid", "bounds", "detached_at", "name"})
    return Action.make(
        kind="drop_partition",
        subject=view.subject,
        args=args.written(),
        intent=identity,
        statements=(f"drop table {args.name}",),
        reason=f"{args.name} is no longer part of the table: {why}",
        destructive=True,
        precondition="the same object with the marker of this detaching, past its date, where and as it was left",
        undo="none but a restore (FLASHBACK TABLE within the GC life time)",
        lock="none that the table's readers or writers feel",
        not_during=("backup",),
        rows=rows,
        bytes=size or None,
        requires=rule,
        blocked=blocked,
        after=after,
    )
