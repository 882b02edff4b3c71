"""What retention reports besides its actions: what stays although it is due, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.model import Finding, Observation, Severity
from upkeep.postgres import names
from upkeep.postgres.data_retention import open_partitions, undroppable
from upkeep.postgres.data_retention.archive_drift import doubts
from upkeep.postgres.data_retention.detached import detached_finding
from upkeep.postgres.data_retention.view import TableView as View


def findings(view: View, refused: Sequence[Refusal]) -> Iterator[Finding]:
    """Yield everything that a person should know of this table's retention."""
    yield from (one.finding(view.subject) for one in refused)
    if view.problem is not None:
        return
    yield from _referenced(view)
    yield from undroppable.findings(view)
    yield from _last(view)
    yield from _default(view)
    yield from open_partitions.findings(view)
    yield from _ageless(view)
    yield from _elsewhere(view)
    yield from _publications(view)
    yield from _history(view)
    yield from doubts(view)
    yield from (found for marked in view.marked if (found := detached_finding(view, marked)) is not None)


def strays(observation: Observation) -> Iterator[Finding]:
    """Yield what a killed run left undecided in files that no policy covers any more."""
    for row in observation.frames.get("strays", ()):
        yield Finding.of(
            "archive_stray",
            row["table"],
            Severity.WARNING,
            f"{row['notes']} note(s) of {row['table']} in {row['location']} are undecided: a run was killed, "
            "and no policy archives that table there any more (renamed? another retain.into?)",
            f"upkeep restore-archive --target {observation.target} --table '{row['table']}' --from-location "
            f"{row['location']} --into TABLE --to 0001-01-01T00:00Z settles them and loads nothing",
            evidence=dict(row),
        )


def _say(
    view: View, check: str, severity: Severity, summary: str, remedy: str | None = None, **evidence: Any
) -> Finding:
    return Finding.of(check, view.subject, severity, summary, remedy, evidence=evidence)


def _referenced(view: View) -> Iterator[Finding]:
    due = {p.partition.oid: p.partition.subject for p in view.due_pieces}
    for oid, table in (view.referenced_pieces or {}).items():
        if oid not in due:
            continue
        if table is None:
            text = f"whether rows of {due[oid]} are still referred to could not be found out in time: it stays"
            remedy = "index the referring columns, or grant SELECT on the referring table"
        else:
            text = f"{due[oid]} is due but stays: rows of {table} still refer to its rows"
            remedy = f"delete the rows of {table} first (give it a retention of its own), or drop its foreign key"
        yield _say(view, "referenced_partition", Severity.WARNING, text, remedy, partition=due[oid], referencing=table)
    kept = sum(leaf.referenced for leaf in view.leaves)
    if kept:
        tables = sorted({names.display(k["schema"], k["table"]) for k in view.references})
        text = f"{kept:,} due rows stay: rows of {', '.join(tables)} still refer to them"
        remedy = f"delete the rows of {', '.join(tables)} first (give them a retention of their own)"
        yield _say(view, "referenced_rows", Severity.WARNING, text, remedy, rows=kept, referencing=tables)


def _last(view: View) -> Iterator[Finding]:
    if not view.by_partition:
        return
    for parent in dict.fromkeys(piece.parent.oid for piece in view.due_pieces):
        due = [piece for piece in view.due_pieces if piece.parent.oid == parent]
        if len(due) != len(view.remaining(parent)):
            continue
        below = "" if view.relation is None or parent == view.relation.oid else f" of {due[-1].parent.subject}"
        text = f"{due[-1].partition.subject} is due but stays: it is the last partition{below}"
        yield _say(view, "last_partition", Severity.WARNING, text, "create newer partitions (job partition_creation)")


def _default(view: View) -> Iterator[Finding]:
    if not view.by_partition or not view.tells_age:
        return
    for default in (p.partition for p in view.pieces if p.partition.is_default):
        if default.rows <= 0 and default.pages <= 0:
            continue
        text = f"the default partition {default.subject} holds rows: with precision: partition none of them ever goes"
        remedy = "let partition_creation move them into partitions, or write precision: row"
        yield _say(view, "default_rows", Severity.WARNING, text, remedy, rows=round(max(default.rows, 0)))


def _ageless(view: View) -> Iterator[Finding]:
    """Say which partitions hold rows whose age no partition tells, while others do."""
    if not view.by_partition or not view.tells_age:
        return
    silent = [p.partition for p in view.pieces if p.upper is None and not p.partition.is_default]
    known = [partition.subject for partition in silent if not partition.detach_pending]
    if known:
        more = f" and {len(known) - 1} more" if len(known) > 1 else ""
        text = f"{known[0]}{more} has no ranges of {view.age}: with precision: partition its rows never go"
        yield _say(view, "ageless_partition", Severity.WARNING, text, "write precision: row", partitions=known)


def _elsewhere(view: View) -> Iterator[Finding]:
    foreign = [] if view.by_partition else [leaf.subject for leaf in view.row_leaves("f")]
    if foreign:
        text = f"{foreign[0]} lies on another server: its rows are not looked at"
        yield _say(view, "foreign_partition", Severity.WARNING, text, "declare retention where the rows are")
    if not view.by_partition and view.cascades and view.facts:
        fired = [*view.facts["delete_triggers"], *view.facts["delete_rules"]]
        fired += [k["name"] for k in view.facts["referenced_by"] if k["on_delete"] in ("c", "n", "d")]
        if fired:
            text = f"deleting fires {', '.join(fired)}, as declared; rows of a partition go through it, not its parent"
            yield _say(view, "cascades", Severity.INFO, text)


def _publications(view: View) -> Iterator[Finding]:
    published = list((view.facts or {}).get("publications") or ())
    if not published:
        return
    if view.by_partition and not view.archives:
        text = f"it is published by {', '.join(published)}: subscribers keep the rows of dropped partitions"
    else:
        text = f"it is published by {', '.join(published)}: the deletes reach the subscribers"
    yield _say(view, "publication", Severity.INFO, text, publications=published)


def _history(view: View) -> Iterator[Finding]:
    timelines = (view.files or {}).get("timelines")
    if timelines:
        text = f"the last file was written on timeline {timelines[0]}, the server is on {timelines[1]} now: it was "
        text += "promoted or restored, and rows of files shortly before that may be in the table again"
        if timelines[0] == timelines[1]:
            text = "the last file was written in another history of the server: it is a copy, or its disk was put "
            text += "back, and rows of files since then may be in the table (still, or again)"
        remedy = "compare those files with the table before they are restored; the finding ends with the next file"
        yield _say(view, "archive_history", Severity.WARNING, text, remedy, file=timelines[0], server=timelines[1])
