"""What retention would do, and why: pure decisions over a `TableView`.

Whole partitions: archived (when the policy says so) while attached, detached when every row of theirs is due,
dropped in a later run when their grace period is over. Rows: one action for each table, over all its leaves.
What exists is looked at one by one: a gap stops nothing, and the last partition is never taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from psycopg import sql

from upkeep.fleet import Target
from upkeep.jobs.data_retention.limits import limited
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.jobs.partition_creation.axis import brief
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    Json,
    Observation,
    Plan,
    ReasonCode,
    Request,
    Requirement,
    Severity,
)
from upkeep.postgres.catalog import PAGE_BYTES
from upkeep.postgres.data_retention.args import Detaching, Referring
from upkeep.postgres.data_retention.checks import refusals
from upkeep.postgres.data_retention.detached import orphans, today
from upkeep.postgres.data_retention.drop_plan import drop_at_once, drops, terms_since
from upkeep.postgres.data_retention.findings import findings, strays
from upkeep.postgres.data_retention.row_plan import archive_partition, delete_rows, effect, quality_args, settle_files
from upkeep.postgres.data_retention.sizes import row_estimate, table_rows
from upkeep.postgres.data_retention.view import Piece
from upkeep.postgres.data_retention.view import TableView as View
from upkeep.postgres.data_retention.view_from_frames import marks, views
from upkeep.postgres.session import statement

NOTHING: Final = Requirement()
_SIGHTS: Final = {
    "sees_all": ("server_activity", "other roles' transactions and the lag of replicas: neither is waited for"),
    "sees_archiver": ("server_archiver", "how far the archive of WAL is behind: it is not waited for"),
}
"""What our role may see of the server → the check that says that it does not."""


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be done to every table in care."""
    actions: list[Action] = []
    found: list[Finding] = [*_unseen(observation), *strays(observation)]
    seen = views(observation, target)
    found += orphans(observation, marks(observation.frames), seen)
    for view in seen:
        refused = refusals(view)
        busy = _busy(view, observation)
        decided = [] if busy else list(_decide(view, refused))
        found += [*([busy] if busy else []), *findings(view, refused)]
        actions += _limited(view, decided, target)
    return Plan.make(observation, actions, found)


def _unseen(observation: Observation) -> Iterator[Finding]:
    """Yield that what slows a deletion down cannot be seen: others' transactions, the lag of replicas, the archiver."""
    for sight, (check, what) in _SIGHTS.items():
        if not observation.frames["server"][0].get(sight, True):
            yield Finding.of(
                check,
                "server",
                Severity.INFO,
                f"our role does not see {what}",
                "grant pg_monitor to our role",
                status=FindingStatus.NOT_AVAILABLE,
            )


def _busy(view: View, observation: Observation) -> Finding | None:
    held = {row["oid"]: row.get("held_by", "") for row in observation.frames["busy"]}
    if view.relation is None or view.relation.oid not in held:
        return None
    who = held[view.relation.oid]
    return Finding.of(
        "lock",
        view.subject,
        Severity.WARNING,
        f"another session holds it exclusively: what is due could not be seen; the next run looks again{who}",
        status=FindingStatus.NOT_AVAILABLE,
    )


def _decide(view: View, refused: Sequence[Refusal]) -> Iterator[Action]:
    if view.problem is not None or view.relation is None:
        return
    blocked = (refused[0].code, refused[0].text) if refused else None
    if view.files is not None and view.files["undecided"]:
        yield settle_files(view)
    if view.by_partition:
        yield from _pending(view, blocked)
        yield from _pieces(view, blocked)
    else:
        yield from delete_rows(view, blocked)
        yield from _pending(view, blocked)
        yield from _empty_pieces(view)
    yield from drops(view, blocked)


# -- whole partitions --------------------------------------------------------------------------------


def _pieces(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    for piece in going(view):
        after: tuple[str, ...] = ()
        if view.archives:
            archive = archive_partition(view, piece, blocked)
            yield archive
            after = (archive.id,)
        detach = _detach(view, piece, blocked, after)
        yield detach
        yield from drop_at_once(view, piece, detach, blocked)


def _empty_pieces(view: View) -> Iterator[Action]:
    """Yield the end of partitions that row by row became empty: else they would pile up for ever."""
    for piece in going(view):
        leaves = view.leaves_below(piece.partition.oid)
        if leaves and all(leaf.pages == 0 or (leaf.due == 0 and leaf.referenced == 0) for leaf in leaves):
            detach = _detach(view, piece, None, empty=True)
            yield detach
            yield from drop_at_once(view, piece, detach, None)


def going(view: View) -> list[Piece]:
    """Return the due partitions that may go.

    None that is still referred to or held, never the last one of its parent, and none that somebody attached again
    while it carries our marker.
    """
    stay = {*(view.referenced_pieces or {}), *(view.undroppable or {})}
    due = [p for p in view.due_pieces if p.partition.oid not in stay and not view.holds_reattached(p)]
    youngest = {piece.parent.oid: piece for piece in due}  # they come in the order of their ends
    emptied = {oid for oid in youngest if sum(p.parent.oid == oid for p in due) == len(view.remaining(oid))}
    return [p for p in due if p.parent.oid not in emptied or p is not youngest[p.parent.oid]]


def _detach(
    view: View,
    piece: Piece,
    blocked: tuple[ReasonCode, str] | None,
    after: tuple[str, ...] = (),
    *,
    empty: bool = False,
) -> Action:
    parent, partition = piece.parent.full_name.identifier, piece.partition
    default = piece.parent.default_oid
    mode: Literal["plainly", "concurrently"] = "plainly" if default else "concurrently"
    name = "detach_partition" if default else "data_retention/detach_concurrently"
    known: Json = {"oid": partition.oid, **_parent(view, piece), "bounds": partition.bounds}
    args = _detaching(view, piece, mode, empty=empty)
    child = partition.full_name.identifier
    text = _text(name, parent=parent, **{"child" if default else "partition": child})
    return Action.make(
        kind="detach_partition",
        subject=view.subject,
        args=args.written(),
        intent={**known, **effect(view)},
        statements=(text,),
        reason=f"all rows of {partition.subject} are older than {view.kept_for}: it ends at "
        f"{_end(view, piece)}, the cut-off is {view.cut_off_text}",
        detail=f"{partition.subject}, to {_end(view, piece)}",
        destructive=True,
        precondition="the same object with the same bounds, still attached"
        + (", and empty" if args.must_be_empty else ""),
        undo=f"upkeep undo re-attaches it, until it is dropped ({view.policy.grace} later)",
        lock=_detach_lock(mode, args.referencing),
        not_during=("backup",),
        rows=0 if args.must_be_empty else row_estimate(view, piece),
        bytes=_bytes(view, piece),
        requires=view.requirement,
        blocked=blocked,
        after=after,
    )


def _detaching(view: View, piece: Piece, mode: Literal["plainly", "concurrently"], *, empty: bool) -> Detaching:
    args = Detaching(
        oid=piece.partition.oid,
        **_parent(view, piece),
        bounds=piece.partition.bounds,
        mode=mode,
        terms=today(view),
        must_be_empty=empty or view.archives,
        referencing=tuple(
            Referring(k["oid"], k["schema"], k["table"]) for k in (view.facts or {}).get("referenced_by") or ()
        ),
    )
    if args.must_be_empty:  # its rows were looked at when they moved
        return args
    leaves = view.leaves_below(piece.partition.oid)
    about = [{"oid": leaf.oid, "schema": leaf.schema, "name": leaf.name} for leaf in leaves]
    return args.model_copy(update=quality_args(view, about, piece.partition.subject))


def _detach_lock(mode: str, referencing: Sequence[Referring]) -> str:
    if mode == "concurrently":
        text = "SHARE UPDATE EXCLUSIVE on the parent: readers and writers pass"
    else:
        text = "ACCESS EXCLUSIVE on the parent for milliseconds (it has a default partition)"
    return text + (", SHARE ROW EXCLUSIVE on the tables that refer to it" if referencing else "")


def _pending(view: View, blocked: tuple[ReasonCode, str] | None) -> Iterator[Action]:
    """Yield the completion of detachings that an earlier run left pending, and what was to follow them."""
    for piece in view.pieces:
        partition = piece.partition
        if not partition.detach_pending or view.relation is None:
            continue
        marker = next((m.marker for m in view.marked if m.oid == partition.oid), {})
        ours = bool(marker) or partition.oid in view.begun
        rule = view.requirement
        known: Json = {"oid": partition.oid, **_parent(view, piece), "bounds": marker.get("bounds") or partition.bounds}
        parts: dict[str, sql.Composable] = {
            "parent": piece.parent.full_name.identifier,
            "partition": partition.full_name.identifier,
        }
        detach = Action.make(
            kind="detach_partition",
            subject=view.subject,
            args=Detaching(**known, mode="finalize", terms=terms_since(view, marker)).written(),
            intent={**known, "mode": "finalize"},
            statements=(_text("data_retention/detach_finalize", **parts),),
            reason=f"the detaching of {partition.subject} was interrupted: queries no longer see it, and no sibling "
            "can be detached concurrently" + ("" if ours else "; Upkeep did not begin it"),
            detail=partition.subject,
            destructive=True,
            precondition="the detaching is still pending",
            undo="upkeep undo re-attaches it, until it is dropped",
            lock="SHARE UPDATE EXCLUSIVE on the parent, ACCESS EXCLUSIVE on the partition that nobody sees",
            not_during=("backup",),
            rows=round(max(partition.rows, 0)),
            requires=NOTHING if ours else Requirement(kind="approval") if rule.kind == "nothing" else rule,
        )
        yield detach
        yield from drop_at_once(view, piece, detach, blocked)


# -- limits ------------------------------------------------------------------------------------------


def _limited(view: View, actions: Sequence[Action], target: Target) -> list[Action]:
    """Mark what goes over the limits: dropping and finalising take rows that went when they were detached."""
    removing = [a for a in actions if a.destructive and a.kind != "drop_partition" and a.args.get("mode") != "finalize"]
    return limited(actions, removing, table_rows(view), target)


def _parent(view: View, piece: Piece) -> Json:
    """Return what the partition is detached from; and the table itself, when that is another one."""
    known: Json = {"parent_oid": piece.parent.oid}
    if view.relation is not None and view.relation.oid != piece.parent.oid:
        known["root_oid"] = view.relation.oid
    return known


def _end(view: View, piece: Piece) -> str:
    return brief(view.axis.write(piece.upper)) if view.axis and piece.upper is not None else ""


def _bytes(view: View, piece: Piece) -> int:
    leaves = view.leaves_below(piece.partition.oid)
    return (sum(leaf.pages for leaf in leaves) if leaves else piece.partition.pages) * PAGE_BYTES


def _text(name: str, **parts: Any) -> str:
    return statement(name, **parts).as_string(None)
