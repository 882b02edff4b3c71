"""What retention reports besides its actions: what stays although it is due, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.tidb.data_retention.checks import forgets_at_once, left_to_ttl
from upkeep.tidb.data_retention.detached import detached_finding
from upkeep.tidb.data_retention.view import TableView as View


def findings(view: View, refused: Sequence[Refusal]) -> Iterator[Finding]:
    """Yield everything that a person should know of this table's retention."""
    yield from (one.finding(view.subject) for one in refused)
    yield from (found for one in view.marked if (found := detached_finding(view, one)) is not None)
    if view.problem is not None:
        return
    yield from _ttl(view)
    yield from _archive_ttl(view)
    yield from _ageless(view)
    yield from _last(view)
    yield from _stuck(view)
    yield from _timeless(view)
    yield from _estimates(view)


def _say(view: View, check: str, severity: Severity, summary: str, remedy: str | None = None, **more: Any) -> Finding:
    return Finding.of(check, view.subject, severity, summary, remedy, evidence=more)


def _ttl(view: View) -> Iterator[Finding]:
    ttl = view.ttl
    if ttl is None:
        return
    if left_to_ttl(view):
        text = f"TiDB's own TTL deletes rows {ttl.text} after {ttl.column}: nothing is done twice"
        earlier = ttl.length is not None and ttl.length.approximate < view.policy.for_.approximate
        if earlier:
            text += f", but that is earlier than the {view.policy.for_} of the policy"
        remedy = f"alter table {view.subject} ttl = … to the policy's length" if earlier else None
        yield _say(view, "ttl", Severity.WARNING if earlier else Severity.INFO, text, remedy)
    elif not ttl.enabled or not view.ttl_runs:
        text = f"it has a TTL ({ttl.text} after {ttl.column}) that is switched off: this policy does the work"
        yield _say(view, "ttl", Severity.INFO, text)


def _archive_ttl(view: View) -> Iterator[Finding]:
    own, archive = view.archive_ttl, view.archive
    if view.policy.then == "archive" and own is not None and archive is not None and not forgets_at_once(view):
        state = "" if own.enabled and view.ttl_runs else " (switched off)"
        text = f"{archive.subject} has a TTL of its own{state}: what is archived goes {own.text} after {own.column}"
        yield _say(view, "archive_expires", Severity.INFO, text)


def _ageless(view: View) -> Iterator[Finding]:
    if not view.by_partition:
        return
    for piece in view.due_pieces:
        if piece.ageless == 0 or view.policy.then == "archive" or (piece.ageless is None and not piece.lowest):
            continue
        if piece.ageless is None:
            text = f"whether rows of {piece.partition.name} have no {view.age} could not be counted in time"
            unseen = FindingStatus.NOT_AVAILABLE
            yield Finding.of(
                "null_rows", view.subject, Severity.WARNING, text, "run again at a quieter hour", status=unseen
            )
            continue
        text = (
            f"{piece.ageless:,} rows without {view.age} (NULL, or a date with zeros) lie in the "
            f"{'lowest ' if piece.lowest else ''}partition {piece.partition.name}: it is due and stays, for they are "
            "never due"
        )
        remedy = f"give them a {view.age}, or delete them; or write precision: row"
        yield _say(
            view, "null_rows", Severity.WARNING, text, remedy, rows=piece.ageless, partition=piece.partition.name
        )


def _last(view: View) -> Iterator[Finding]:
    if not view.by_partition or not view.pieces or view.cut_off is None:
        return
    last = view.pieces[-1]
    if last.span.upper <= view.cut_off:
        text = f"{last.partition.name} is due but stays: it is the last partition"
        yield _say(view, "last_partition", Severity.WARNING, text, "create newer partitions (job partition_creation)")


def _stuck(view: View) -> Iterator[Finding]:
    for row in view.stuck:
        remedy = "write precision: row, or divide the partition (reorganize partition)"
        if row["open"]:
            remedy += f"; job partition_creation does, where partition: is declared for {view.subject}"
        if row["rows"] is None:
            text = f"how many due rows {row['partition']} holds, which stays, could not be counted in time"
            yield Finding.of(
                "due_rows_stay", view.subject, Severity.WARNING, text, remedy, status=FindingStatus.NOT_AVAILABLE
            )
        elif row["rows"]:
            least = "at least " if row["least"] else ""
            text = (
                f"{least}{row['rows']:,} rows older than {view.policy.for_} lie in {row['partition']} ({row['why']}) "
            )
            text += "and stay: precision: partition removes whole partitions only"
            about = {"rows": row["rows"], "partition": row["partition"]}
            yield _say(view, "due_rows_stay", Severity.WARNING, text, remedy, **about)


def _timeless(view: View) -> Iterator[Finding]:
    if view.timeless:
        text = f"{view.timeless:,} rows or more have a {view.age} whose month or day is 0 (as 2026-00-10): that is no "
        text += "time, so they are never due"
        remedy = f"give them a {view.age}, or delete them"
        yield _say(view, "zero_dates", Severity.WARNING, text, remedy, rows=view.timeless)


def _estimates(view: View) -> Iterator[Finding]:
    guessed = [p for p in view.due_pieces if view.by_partition and not p.counted]
    if guessed or view.due_is_least:
        text = "how many rows would go is the server's estimate (information_schema and the planner, from statistics)"
        yield _say(view, "estimate", Severity.INFO, text)
