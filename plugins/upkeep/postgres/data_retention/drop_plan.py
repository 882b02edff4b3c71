"""Dropping what was detached: in the run that detaches it, or once its grace period is over. Pure.

Each night anew, by today's policy (`detached`): what an earlier run decided only says what there is to drop.
"""

from __future__ import annotations

from collections.abc import Iterator

from upkeep.jobs.data_retention.marker import kept_until, read_marker, read_otherwise, required
from upkeep.model import Action, Json, ReasonCode, Requirement
from upkeep.postgres import names
from upkeep.postgres.catalog import PAGE_BYTES
from upkeep.postgres.data_retention.args import Detaching, Dropping
from upkeep.postgres.data_retention.detached import droppable, is_due, must_be_empty, today
from upkeep.postgres.data_retention.row_plan import archive_marked, effect, quality_of_whole
from upkeep.postgres.data_retention.view import Piece
from upkeep.postgres.data_retention.view import TableView as View
from upkeep.postgres.session import statement


def terms_since(view: View, marker: Json) -> Json:
    """Return what was wanted when a detaching was begun, with the stricter requirement of then and now."""
    wanted = today(view)
    rule = required(marker, view.policy)
    marker = {key: value for key, value in marker.items() if key != "grace"}  # its date is today's
    return {
        **wanted,
        **{key: marker[key] for key in wanted if key in marker},
        "requires": rule.model_dump(exclude_none=True),
    }


def drop_at_once(view: View, piece: Piece, detach: Action, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    """Yield the dropping of a table in the run that detaches it: never before a backup has seen it detached."""
    partition = piece.partition
    begun = read_marker(partition.marker) or {}
    rule, known = required(begun, view.policy), Detaching.of(detach)
    if view.policy.grace.approximate or rule.kind == "backup":
        return
    if not is_due(view, {"bounds": known.bounds}) or read_otherwise(begun, today(view)):
        return  # an interrupted detaching is completed, whatever the policy says by now
    args = Dropping(
        oid=partition.oid,
        parent_oid=known.parent_oid,
        bounds=known.bounds,
        partition=partition.subject,
        must_be_empty=must_be_empty(view, begun),
        foreign_keys=(),
    )
    yield _drop(view, args, "the policy gives no grace", rule, blocked, after=(detach.id,))


def drops(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    """Yield the dropping of what earlier runs detached, once nothing keeps it any more."""
    for marked in view.marked:
        if not droppable(view, marked):
            continue
        marker, rule = marked.marker, required(marked.marker, view.policy)
        after: tuple[str, ...] = ()
        empty = must_be_empty(view, marker)
        if empty and marked.not_empty:
            archive = archive_marked(view, marked, blocked).model_copy(update={"requires": rule})
            yield archive
            after = (archive.id,)
        until = kept_until(marker, view.policy).isoformat()
        args = Dropping(
            oid=marked.oid,
            parent_oid=marker.get("parent_oid"),
            bounds=marker.get("bounds"),
            partition=marked.subject,
            detached_at=marker.get("at"),
            kept_until=until,
            snapshot_after=marker.get("at"),
            must_be_empty=empty,
            foreign_keys=tuple(marked.foreign_keys),
        )
        why = f"it was detached at {marker.get('at')}, and its grace period ended at {until}"
        yield _drop(view, args, why, rule, blocked if after else None, after=after)


def _drop(
    view: View,
    args: Dropping,
    why: str,
    rule: Requirement,
    blocked: tuple[ReasonCode, str] | None,
    *,
    after: tuple[str, ...],
) -> Action:
    marked = next((m for m in view.marked if m.oid == args.oid), None)
    subject = args.partition
    if not args.must_be_empty:  # rows may have reached it since it was looked at, before it was detached
        args = args.model_copy(update=quality_of_whole(view, args.oid, subject))
    same = args.model_dump(include={"oid", "parent_oid", "bounds", "partition", "detached_at"})
    return Action.make(
        kind="drop_partition",
        subject=view.subject,
        args=args.written(),
        intent={**same, **effect(view)},
        statements=(statement("drop_table", table=names.parse(subject).exact.identifier).as_string(None),),
        reason=f"{subject} is no longer part of the table: {why}",
        detail=subject,
        destructive=True,
        precondition="the same object, detached still, with the marker of this detaching, where and as it was left; "
        "nothing depends on it",
        undo="none but a restore",
        lock="ACCESS EXCLUSIVE on the detached table, which no query of the parent reads",
        not_during=("backup",),
        rows=_rows(marked.marker.get("rows"), marked.rows) if marked else None,
        bytes=marked.pages * PAGE_BYTES if marked else None,
        requires=rule,
        blocked=blocked,
        after=after,
    )


def _rows(left: int | None, estimate: float) -> int:
    return round(max(estimate, 0)) if left is None else left
