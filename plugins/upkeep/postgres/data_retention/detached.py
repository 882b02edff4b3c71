"""Whether a detached table may be dropped, asked anew each night: by today's policy, and as it is by now. Pure.

It goes only when today's policy of its table finds it due by the bounds that it had, when it has been detached for as
long as the later of then and now says, and when it is where and as it was left. All else stays, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from upkeep import words
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import kept_until, read_otherwise, terms
from upkeep.jobs.data_retention.refusal import KeepReason
from upkeep.jobs.partition_creation.axis import UnknownBoundsError, Value, brief
from upkeep.model import Finding, Json, Observation, Severity
from upkeep.postgres import bounds, catalog, names
from upkeep.postgres.catalog import PAGE_BYTES
from upkeep.postgres.data_retention.view import Marked
from upkeep.postgres.data_retention.view import TableView as View
from upkeep.postgres.names import column_of


def today(view: View) -> Json:
    """Return what today's policy wants, as a marker keeps it."""
    return terms(view.policy, column_of(view.age), view.axis)


def droppable(view: View, marked: Marked) -> bool:
    """Return whether a detached table may be dropped now."""
    return not marked.is_partition and not marked.detach_pending and why_kept(view, marked) is None


def why_kept(view: View, marked: Marked) -> KeepReason | None:
    """Return why a table that is no partition any more stays; ``None`` when it may be dropped now."""
    reasons = (
        _not_ours(marked),
        _changed(view, marked),
        _no_longer_due(view, marked),
        _rows_to_move(view, marked),
        _grace(view, marked),
    )
    return next(chain.from_iterable(reasons), None)


def is_due(view: View, marker: Json) -> bool:
    """Return whether the bounds that a marker remembers are due by today's cut-off."""
    end = _end(view, marker)
    return end is not None and view.cut_off is not None and end <= view.cut_off


def must_be_empty(view: View, marker: Json) -> bool:
    """Return whether its rows belong into an archive: by today's policy, or by that of the detaching."""
    return "archive" in (view.policy.then, marker.get("then"))


def _not_ours(marked: Marked) -> Iterator[KeepReason]:
    if marked.marker.get("oid", marked.oid) != marked.oid:
        text = "carries the marker of another table (copied, or restored): it is not dropped"
        yield KeepReason("unknown_marker", text, f"look at it by hand, then: comment on table {marked.subject} is null")
    if not marked.known:
        text = "carries Upkeep's marker, but the ledger knows nothing of it: it is not dropped"
        yield KeepReason("unknown_marker", text, "drop it by hand when nobody needs it, or remove its comment")


def _changed(view: View, marked: Marked) -> Iterator[KeepReason]:
    if marked.dependants:
        text = f"cannot be dropped: {', '.join(marked.dependants)} depends on it"
        yield KeepReason("dependants", text, f"drop or change what depends on it; {_ways_back(marked)}")
    if not marked.may_alter:
        grant = catalog.handed(marked.owner, [marked.subject], "our role", superuser=marked.owner_is_superuser)
        yield KeepReason("privileges", "cannot be dropped: our role does not own it", grant)
    empty = must_be_empty(view, marked.marker)  # then it is looked at for rows, whatever size it has
    changed = difference(
        {**marked.evidence, **marked.marker},
        subject=marked.subject,
        pages=0 if empty else marked.pages,
        rows=None if empty else marked.counted,
        objects=marked.objects,
    )
    if changed is not None:
        remedy = f"undo that change, or drop it by hand when nobody needs it; {_ways_back(marked)}"
        yield KeepReason("detached_changed", f"is not as it was left, and is not dropped: {changed}", remedy)


def difference(
    left: Json, *, subject: str, pages: int, rows: int | None, objects: Sequence[Mapping[str, Any]]
) -> str | None:
    """Return how a table differs from how it was left, as far as the marker (or the ledger) says; ``None``: not.

    Parameters
    ----------
    left
        What was written down at the detaching.
    rows
        How many it holds by now, counted up to one more than it had; ``None``: not counted.
    """
    if left.get("partition", subject) != subject:
        return f"it was called {left['partition']}"
    if rows is not None and left.get("rows") is not None and rows > left["rows"]:
        return f"rows arrived in it (it had {left['rows']:,})"
    if pages * PAGE_BYTES > left.get("bytes", pages * PAGE_BYTES):
        return f"it grew (from {left['bytes']:,} to {pages * PAGE_BYTES:,} bytes)"
    new = [one["what"] for one in objects if one["oid"] not in left.get("objects", [one["oid"]])]
    return f"{', '.join(new)} appeared" if new else None


def _no_longer_due(view: View, marked: Marked) -> Iterator[KeepReason]:
    marker = marked.marker
    otherwise = read_otherwise(marker, today(view))
    if not otherwise and "age" not in marker and not view.tells_age:
        otherwise = ["retain.by"]
    if otherwise:
        changed = " and ".join(otherwise)
        text = f"is kept: {changed} changed since, so that today's policy reads its bounds otherwise than they were"
        yield KeepReason("detached_not_due", text, f"write {changed} as it was, or {_ways_back(marked)}")
    elif not is_due(view, marker):
        text = f"is kept: no longer due under today's policy: for {view.kept_for} ({_ends(view, marker)})"
        yield KeepReason("detached_not_due", text, _ways_back(marked))
    elif marked.younger:
        text = f"is kept: it holds rows that are not due under today's policy: for {view.kept_for}"
        text += f" ({view.age} is not before {view.cut_off_text}, or it has no such column any more)"
        yield KeepReason("detached_not_due", text, f"look at these rows; {_ways_back(marked)}")


def _ends(view: View, marker: Json) -> str:
    end = _end(view, marker)
    if end is None or view.axis is None:
        return "nothing says where it ends"
    try:
        return f"it ends at {brief(view.axis.write(end))}, the cut-off is {view.cut_off_text}"
    except OverflowError:
        return "it has no end"


def _end(view: View, marker: Json) -> Value | None:
    try:
        return None if view.axis is None else bounds.read(marker.get("bounds") or "", view.axis)[1]
    except UnknownBoundsError:
        return None


def _rows_to_move(view: View, marked: Marked) -> Iterator[KeepReason]:
    if not must_be_empty(view, marked.marker) or marked.not_empty is False:
        return
    if marked.not_empty is None:
        text = "is kept: whether it holds rows that belong into the archive could not be seen"
        yield KeepReason("detached_rows", text, "the next run looks again; grant select on it to our role")
    elif not view.archives:
        text = "is kept: its rows were to be archived, and today's policy says then: delete"
        yield KeepReason("detached_rows", text, f"write then: archive, or {_ways_back(marked)}")
    elif not can_move(view):
        text = f"is kept: its rows have to move into {view.into} first, which is not possible now"
        yield KeepReason("detached_rows", text, "see the findings about the archive")


def can_move(view: View) -> bool:
    """Return whether there is somewhere for rows to move to."""
    return view.archives and bool(view.archive_facts or view.files) and view.facts is not None


def _grace(view: View, marked: Marked) -> Iterator[KeepReason]:
    until = kept_until(marked.marker, view.policy)
    if view.server_now < until:
        text = f"is kept until {words.moment(until)}"
        yield KeepReason("detached", text, f"{_ways_back(marked)}, until then", Severity.INFO)
    elif marked.uncounted and not must_be_empty(view, marked.marker):
        text = "is kept: the rows that it holds could not be looked at in time"
        remedy = f"the next run looks again; an index on {view.age} makes that quick; {_ways_back(marked)}"
        yield KeepReason("detached_changed", text, remedy)


# -- what is said of them ----------------------------------------------------------------------------


def detached_finding(view: View, marked: Marked) -> Finding | None:
    """Return what a person should know of a table with our marker; ``None`` when an action takes care of it."""
    if marked.detach_pending:
        return None
    if marked.is_partition:
        return attached_again(view.subject, marked) if marked.marker.get("state") == "detached" else None
    kept = why_kept(view, marked)
    if kept is None:
        return None
    return _finding(view.subject, marked, kept)


def attached_again(subject: str, marked: Marked) -> Finding:
    """Return that somebody has attached a detached table again."""
    text = "was detached by Upkeep, and somebody has attached it again: while it carries Upkeep's marker it is neither "
    text += "detached nor dropped, and its rows stay"
    remedy = f"to let its policy apply again, remove the marker: comment on table {marked.subject} is null"
    return _finding(subject, marked, KeepReason("reattached", text, remedy, Severity.ERROR))


def orphans(observation: Observation, marks: Sequence[Marked], covered: Sequence[View]) -> Iterator[Finding]:
    """Yield what the ledger remembers to have been detached and no policy of today covers: it is never dropped.

    And what only its marker's name makes a part of a table in care: the database was restored, all ids are new.
    """
    cared = {m.oid for view in covered for m in view.marked}
    subjects = {view.subject for view in covered}
    now = observation.frames["server"][0]["now"]
    for marked in marks:
        source = str(marked.marker["detached_from"])
        if marked.oid in cared or not (marked.known or source in subjects):
            continue
        if marked.is_partition and not marked.detach_pending:
            if marked.marker.get("state") == "detached":
                yield attached_again(source, marked)
            continue
        if not marked.known:
            yield _finding(source, marked, next(_not_ours(marked)))
            continue
        text = f"is kept: no policy of today says retain for the table {source} that it was part of (not in the fleet "
        text += "file any more, renamed, or gone)"
        if source in subjects:
            text = f"is kept: today's policy of {source}, that it was part of, cannot be applied to it (it is another "
            text += "table by now, or see what is found there)"
        text += f", so it is never dropped; last seen {_at(now)}"
        remedy = f"write a retain policy for {source} again, or drop it by hand when nobody needs it; "
        yield _finding(source, marked, KeepReason("detached_orphan", text, remedy + _ways_back(marked)))
    yield from _unmarked(observation, {m.oid for m in marks})


def _unmarked(observation: Observation, marked: set[int]) -> Iterator[Finding]:
    remembered = {int(row["oid"]): row for row in observation.frames["memory"]}
    for row in observation.frames.get("unmarked", ()):
        evidence, subject = remembered.get(row["oid"], {}), names.display(row["schema"], row["name"])
        if row["oid"] in marked or row["is_partition"] or evidence.get("partition") != subject:
            continue
        text = f"{subject}, detached by Upkeep at {_at(evidence.get('detached_at'))}, no longer carries its marker: it "
        yield Finding.of(
            "unmarked", subject, Severity.INFO, f"{text}is not dropped", _undo(evidence), evidence=dict(evidence)
        )


def _finding(subject: str, marked: Marked, kept: KeepReason) -> Finding:
    since = (
        f", detached {_at(marked.marker['at'])}," if "at" in marked.marker and kept.check not in _SINCE_UNSAID else ""
    )
    evidence: Json = {"oid": marked.oid, "table": marked.subject, "marker": marked.marker}
    return Finding.of(
        kept.check, subject, kept.severity, f"{marked.subject}{since} {kept.text}", kept.remedy, evidence=evidence
    )


_SINCE_UNSAID: Final = ("reattached", "unknown_marker")
"""What the marker says of the time is of no use, or another table's."""


def _at(value: Any) -> str:
    try:
        return f"{moment(value):%Y-%m-%d %H:%M %Z}"
    except ValueError:
        return str(value)


def _ways_back(marked: Marked) -> str:
    if marked.evidence or not marked.marker.get("bounds"):
        return _undo(marked.evidence)
    parent, of = marked.marker["detached_from"], marked.marker["bounds"]
    return (
        f"alter table {parent} attach partition {marked.subject} {of} attaches it again"  # a killed run's: no outcome
    )


def _undo(evidence: Mapping[str, Any]) -> str:
    return f"upkeep undo {evidence.get('action_id') or evidence.get('run_id') or 'RUN'} attaches it again"
