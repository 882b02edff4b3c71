"""Actions that remove rows in batches, and what makes an action the same on another day. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.model import Action, Json, ReasonCode
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention import archive_table, detached
from upkeep.tidb.data_retention.args import Rows
from upkeep.tidb.data_retention.doomed import Doomed
from upkeep.tidb.data_retention.view import TableView as View

Blocked: TypeAlias = tuple[ReasonCode, str] | None


def intent(view: View, *, oid: int | None, bounds: Any) -> Json:
    """Return what makes an action the same on another day: the object, and what is to become of it."""
    table, archive = view.table, view.archive if view.policy.then == "archive" else None
    how = {key: value for key, value in detached.today(view).items() if key not in ("requires", "grace")}
    into = {"id": archive.id, "name": archive.subject} if archive is not None else view.policy.into
    type_ = view.axis.type if view.axis is not None else None
    object_: Json = {"table": table.id if table is not None else None, "oid": oid, "bounds": bounds}
    return object_ | {"type": type_, "into": into} | how


def row_action(
    view: View, kind: str, reason: str, *, rows: int | None, blocked: Blocked, more: Mapping[str, Any] | None = None
) -> Action:
    """Return the removal of due rows, in batches; ``more`` says of which partition or detached table."""
    table, archive = view.table, view.archive
    assert table is not None and view.axis is not None  # noqa: S101, PT018 - as _decide says
    values: dict[str, Any] = {
        "table": Planned(table.id, table.schema, table.name),
        "age": view.age,
        "age_type": view.axis.type,
        "cut_off": view.cut_off_text,
        "index": view.age_index,
        "key": view.row_key,
        "references": [dict(r) for r in view.referenced_by if r["on_delete"] not in ("CASCADE", "SET NULL")],
        **(more or {}),
    }
    if kind != "delete_rows" and archive is not None and blocked is None:
        values["archive"] = Planned(archive.id, archive.schema, archive.name)
        values["columns"] = archive_table.moved(view.columns, view.archive_columns)
        values["shape"] = {
            "table": archive_table.shape(view.columns),
            "archive": archive_table.shape(view.archive_columns),
        }
    args = Rows(**values)
    whole = more or {}
    verb = "deletes" if kind == "delete_rows" else "moves"
    return Action.make(
        kind=kind,
        subject=view.subject,
        args=args.written(),
        intent=intent(view, oid=whole.get("oid"), bounds=[whole.get("ends")]),
        reach=None if whole else view.cut_off,
        statements=Doomed.of(args).shown(args),
        reason=reason,
        detail=whole.get("partition", f"before {view.cut_off_text}"),
        destructive=True,
        precondition=f"each batch {verb} only rows that are due at that moment, whatever was planned",
        undo="none but a restore" if kind == "delete_rows" else "none: copy the rows back from the archive by hand",
        lock="row locks of one batch for about half a second",
        not_during=("backup",),
        rows=rows,
        requires=requirement(view.policy),
        blocked=blocked,
    )
