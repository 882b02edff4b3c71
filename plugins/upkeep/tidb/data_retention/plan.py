"""What retention would do, and why: pure decisions over a `TableView`.

Whole partitions: one that is due is exchanged with an empty table that carries our marker (no row is copied,
nobody waits), and the empty partition is merged into the one below it. So no partition is ever dropped with
rows that arrived at the last moment, and the lowest partition, where rows without a time lie, always stays.
The exchanged table is dropped in a later run, after its grace period. For ``then: archive`` the rows move out
of the partition first, and only the merging is left.

Rows: one action for each table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.data_retention.limits import limited
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.model import Action, Observation, Plan, ReasonCode, Request
from upkeep.tidb import sql
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention import detached, drop_plan, merge
from upkeep.tidb.data_retention.args import Detaching, OfPartition, Rows
from upkeep.tidb.data_retention.checks import left_to_ttl, refusals
from upkeep.tidb.data_retention.findings import findings
from upkeep.tidb.data_retention.row_plan import intent, row_action
from upkeep.tidb.data_retention.view import Piece
from upkeep.tidb.data_retention.view import TableView as View
from upkeep.tidb.data_retention.view_from_frames import views
from upkeep.tidb.server import not_available, stuck_jobs

Blocked = tuple[ReasonCode, str] | None
_OF_PARTITIONS: Final = ("detach_partition", "archive_partition")
_COUNTING: Final = ("detach_partition", "delete_rows", "archive_rows", "archive_partition")


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be done to every table in care."""
    actions: list[Action] = []
    found = [*stuck_jobs(observation.frames["jobs"]), *not_available(observation.frames["server"][0])]
    seen = views(observation, target)
    found += detached.orphans(observation, seen)
    for view in seen:
        refused = refusals(view)
        # the limit is for the table: no action alone says how much of it goes
        decided = list(_decide(view, refused))
        actions += limited(decided, _removing(decided), _total(view), target)
        found += findings(view, refused)
    return Plan.make(observation, actions, found)


def _decide(view: View, refused: Sequence[Refusal]) -> Iterator[Action]:
    if view.problem is not None or view.table is None:
        return
    # planned all the same: a person sees what would go, and why it does not
    blocked: Blocked = (refused[0].code, refused[0].text) if refused else None
    if left_to_ttl(view):
        yield from drop_plan.marked(view, blocked)
        return
    removing = list(_pieces(view, blocked) if view.by_partition else _rows(view, blocked))
    yield from removing
    yield from _merges(view, removing)
    yield from drop_plan.marked(view, blocked)


# -- whole partitions --------------------------------------------------------------------------------


def _pieces(view: View, blocked: Blocked) -> Iterator[Action]:
    for piece in _ours(view):
        if piece.rows == 0 and piece.counted:
            continue  # only to be merged
        why = blocked or _protected(view, piece)
        if view.policy.then == "archive":
            # no exchange for what is archived: rows move one by one anyway, and the emptied partition is merged
            archive = _archive_partition(view, piece, why)
            yield archive
            if _goes_below(view, piece):
                yield _merge(view, piece, after=(archive.id,))
            continue
        detach = _detach(view, piece, why)
        yield detach
        if not view.policy.grace.approximate:
            yield drop_plan.drop_at_once(view, piece, detach, why)


def _ours(view: View) -> list[Piece]:
    """Return the due partitions, without those that somebody has put back by hand."""
    back = detached.back_by_hand(view)
    return [p for p in view.due_pieces if p.partition.id not in back]


def _goes_below(view: View, piece: Piece) -> bool:
    """Return whether a partition, once it is empty, is merged with the one below it."""
    return not piece.lowest and _below(view, piece).partition.id not in detached.back_by_hand(view)


def _below(view: View, piece: Piece) -> Piece:
    return view.pieces[view.pieces.index(piece) - 1]


def _protected(view: View, piece: Piece) -> Blocked:
    """Return why a partition must stay: rows without a time lie in it, and they are never due."""
    if view.policy.then == "archive" or piece.ageless == 0 or (piece.ageless is None and not piece.lowest):
        return None
    if piece.ageless is None:
        text = f"whether rows of {piece.partition.name} have no {view.age} could not be counted in time"
        return ReasonCode.NOT_SUPPORTED, text
    text = (
        f"{piece.ageless:,} rows of {piece.partition.name} have no {view.age} (NULL, or a date with zeros): never due"
    )
    return ReasonCode.NOT_SUPPORTED, text


def _detach(view: View, piece: Piece, blocked: Blocked) -> Action:
    table, partition, scale = view.table, piece.partition, view.scale
    assert table is not None and scale is not None  # noqa: S101, PT018 - there are pieces
    args = Detaching(
        **_args(view, piece),
        lowest=piece.lowest,
        ageless=view.ageless,
        terms=detached.today(view),
        merges=_goes_below(view, piece),
    )
    other = detached.table_name(table.name, partition.name, partition.id)
    parts = {"table": table.identifier, "partition": sql.identifier(partition.name)}
    return Action.make(
        kind="detach_partition",
        subject=view.subject,
        args=args.written(),
        intent=intent(view, oid=partition.id, bounds=list(args.bounds)),
        statements=(
            sql.statement("data_retention/exchange_partition", other=sql.identifier(table.schema, other), **parts).text,
        ),
        reason=f"all rows of {partition.name} are older than {view.policy.for_}: it ends at "
        f"{scale.text(piece.span.upper)}, the cut-off is {view.cut_off_text}",
        detail=f"{partition.name}, {scale.text(piece.span.lower)} to {scale.text(piece.span.upper)}",
        destructive=True,
        precondition="the same partition with the same bound, and no row without a time in it",
        undo=f"upkeep undo puts it back, until it is dropped ({view.policy.grace} later)",
        lock="none that readers or writers feel; waits for transactions that began before it",
        not_during=("backup",),
        rows=piece.rows,
        bytes=partition.bytes or None,
        requires=requirement(view.policy),
        blocked=blocked,
    )


def _args(view: View, piece: Piece) -> dict[str, Any]:
    table, scale = view.table, view.scale
    assert table is not None and scale is not None  # noqa: S101, PT018 - there are pieces
    lower = scale.number(piece.span.lower) if not piece.lowest else None
    return {
        "oid": piece.partition.id,
        "parent_oid": table.id,
        "table": Planned(table.id, table.schema, table.name),
        "partition": piece.partition.name,
        "bounds": (lower, scale.number(piece.span.upper)),
    }


def _merge(view: View, piece: Piece, after: tuple[str, ...] = ()) -> Action:
    below, args = _below(view, piece).partition.name, OfPartition(**_args(view, piece))
    return Action.make(
        kind="merge_partitions",
        subject=view.subject,
        args=args.written(),
        intent=intent(view, oid=piece.partition.id, bounds=list(args.bounds)),
        statements=(f"-- {below} and {piece.partition.name} become {piece.partition.name}; rows that arrive are kept",),
        reason=f"{piece.partition.name} is empty and will stay so: all its rows would be older than {view.policy.for_}",
        detail=f"{piece.partition.name} and {below}",
        destructive=False,
        precondition=f"together they hold at most {merge.MERGE_ROWS:,} rows (they are copied)",
        undo="none needed: no row goes",
        lock="none that readers or writers feel; waits for transactions that began before it",
        not_during=("backup",),
        rows=0,
        after=after,
    )


def _merges(view: View, removing: Sequence[Action]) -> Iterator[Action]:
    """Yield the merging of partitions that are due and empty: row by row emptied, or left by a run that was killed.

    Merging gives both another id, so it goes after what is to be done with one of them: that may wait for a person.
    """
    ids = {_of(a): a.id for a in removing if a.kind in _OF_PARTITIONS and a.blocked is None}
    for piece in _ours(view):
        if piece.rows == 0 and piece.counted and _goes_below(view, piece):
            touched = (_below(view, piece).partition.id, piece.partition.id)
            yield _merge(view, piece, after=tuple(ids[oid] for oid in touched if oid in ids))


def _of(action: Action) -> int | None:
    """Return the id of the partition that is taken out, or emptied."""
    return Detaching.of(action).oid if action.kind == "detach_partition" else Rows.of(action).oid


# -- rows --------------------------------------------------------------------------------------------


def _rows(view: View, blocked: Blocked) -> Iterator[Action]:
    if view.due == 0:
        return
    kind = "archive_rows" if view.policy.then == "archive" else "delete_rows"
    reason = f"rows with {view.age} before {view.cut_off_text} are older than {view.policy.for_}"
    yield row_action(view, kind, reason, rows=view.due, blocked=blocked)


def _archive_partition(view: View, piece: Piece, blocked: Blocked) -> Action:
    reason = f"all rows of {piece.partition.name} are older than {view.policy.for_}: they move before it goes"
    assert view.scale is not None  # noqa: S101 - there are pieces
    args = {"partition": piece.partition.name, "oid": piece.partition.id, "ends": view.scale.number(piece.span.upper)}
    return row_action(view, "archive_partition", reason, rows=piece.rows, blocked=blocked, more=args)


# -- limits ------------------------------------------------------------------------------------------


def _removing(actions: Sequence[Action]) -> list[Action]:
    """Return the actions that remove rows of the table: not what is detached already, of which it has none left."""
    removing = [a for a in actions if a.kind in _COUNTING and not a.statements[0].startswith("-- completes")]
    return [a for a in removing if a.kind == "detach_partition" or Rows.of(a).detached_at is None]


def _total(view: View) -> int:
    known = sum(p.rows or 0 for p in view.pieces)
    return max(view.rows, known, view.due or 0)
