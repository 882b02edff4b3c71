"""Whether a detached table may be dropped, asked anew each night: by today's policy, and as it is by now. Pure.

It goes only when today's policy of its table finds it due by the bounds that it had, when it has been detached for as
long as the later of then and now says, and when it is where and as it was left. All else stays, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from upkeep import words
from upkeep.jobs.contract import tolerated
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import kept_until, read_marker, read_otherwise, terms
from upkeep.jobs.data_retention.refusal import KeepReason
from upkeep.jobs.partition_creation.axis import UnknownBoundsError, Value
from upkeep.model import Finding, Json, Observation, Severity
from upkeep.tidb import names
from upkeep.tidb.data_retention.view import Marked
from upkeep.tidb.data_retention.view import TableView as View

GROWTH: Final = 1.1
"""Where rows cannot be counted in time, statistics decide; they are not exact, so a tenth more is no growth."""
PREPARING: Final = "preparing"
DETACHED: Final = "detached"
RETURNING: Final = "returning"
"""The states of a marker: made and not exchanged yet; out of its table; on its way back into it."""


def today(view: View) -> Json:
    """Return what today's policy wants, as a marker keeps it."""
    return terms(view.policy, view.age.lower(), view.axis)


def why_kept(view: View, marked: Marked) -> KeepReason | None:
    """Return why a table that holds a detached partition stays; ``None`` when it may be dropped now."""
    # in this order: whose it is, then what the policy says; what has to be counted comes last, and only where nothing
    # else keeps the table
    for reasons in (_not_ours, _no_longer_due, _rows_to_move, _grace, _changed):
        found = next(reasons(view, marked), None)
        if found is not None:
            return found
    return None


def back_by_hand(view: View) -> set[int]:
    """Return the ids of partitions that somebody has exchanged back by hand: our marker lies beside them."""
    here = {p.id for p in view.partitions}
    beside = [m for m in view.marked if not m.exchanged and m.marker.get("state") == DETACHED and is_named(view, m)]
    return here & {m.marker["oid"] for m in beside}


def is_named(view: View, marked: Marked) -> bool:
    """Return whether a table with our marker is where such a table is made: a copy of the marker is elsewhere."""
    marker, table = marked.marker, view.table
    if table is None or not names.same(marked.table.schema, table.schema) or not isinstance(marker.get("oid"), int):
        return False
    # where a detaching makes it, or where the ledger saw it last: an owner may have renamed the table it was part of
    wanted = table_name(table.name, str(marker.get("partition")), marker["oid"])
    left = str(marked.evidence.get("partition", ""))
    return names.same(marked.table.name, wanted) or names.same(marked.table.subject, left)


def table_name(table: str, partition: str, oid: int) -> str:
    """Return the name of the table that a partition becomes; the same at every try."""
    tail = f"__{oid}"
    room = names.MAX_CHARACTERS - len(tail) - 2
    return f"{table[: room // 2]}__{partition[: room // 2]}{tail}".rstrip()


# -- reasons -----------------------------------------------------------------------------------------


def _not_ours(view: View, marked: Marked) -> Iterator[KeepReason]:
    marker, left, table = marked.marker, marked.evidence, marked.table.subject
    if not marked.known:
        text = "carries Upkeep's marker, but the ledger knows nothing of it: it is not dropped"
        yield KeepReason("unknown_marker", text, "drop it by hand when nobody needs it")
    if marker.get("state") == RETURNING:
        text = "is kept: putting it back was interrupted"
        yield KeepReason("detached_changed", text, f"once more: {_undo(marked)}")
    if any(key in left and marker.get(key) != left[key] for key in ("bounds", "parent_oid")):
        text = "is not dropped: its marker is not the one that the ledger remembers"
        yield KeepReason("detached_changed", text, f"look who wrote its comment; {_undo(marked)}")
    if not names.same(left.get("partition", table), table):
        text = f"is not as it was left, and is not dropped: it was called {left['partition']}"
        yield KeepReason("detached_changed", text, f"give it its name again, or drop it by hand; {_undo(marked)}")
    if not names.same(str(marker["detached_from"]), view.subject):
        text = f"is not dropped: the table that it was part of was called {marker['detached_from']}"
        yield KeepReason(
            "detached_changed", text, "give that its name again, or drop this by hand when nobody needs it"
        )


def _no_longer_due(view: View, marked: Marked) -> Iterator[KeepReason]:
    if view.problem is not None:
        yield KeepReason("detached_not_due", f"is kept: {view.problem[0]}", view.problem[1])
        return
    otherwise = read_otherwise(marked.marker, today(view))
    end = _end(view, marked.marker)
    if not otherwise and end is None:
        # bounds that cannot be read are no bounds that are over
        otherwise = ["retain.by (or how the table is partitioned)"]
    if otherwise:
        changed = " and ".join(otherwise)
        text = f"is kept: {changed} changed since, so that today's policy reads its bounds otherwise than they were"
        yield KeepReason("detached_not_due", text, f"write {changed} as it was; or {_undo(marked)}")
    elif end is not None and (view.cut_off is None or end > view.cut_off):
        said = view.scale.text(end) if view.scale is not None else ""
        text = f"is kept: no longer due under today's policy: for {view.policy.for_} "
        text += f"(it ends at {said}, the cut-off is {view.cut_off_text})"
        yield KeepReason("detached_not_due", text, _undo(marked))


def _end(view: View, marker: Json) -> Value | None:
    try:
        return view.scale.read(str(marker["bounds"][1])) if view.scale is not None else None
    except (UnknownBoundsError, KeyError, IndexError, TypeError):
        return None


def _rows_to_move(view: View, marked: Marked) -> Iterator[KeepReason]:
    if view.policy.then != "archive" and marked.marker.get("then") == "archive":
        text = "is kept: its rows were to be archived, and today's policy says then: delete"
        yield KeepReason("detached_rows", text, f"write then: archive; or {_undo(marked)}")


def _grace(view: View, marked: Marked) -> Iterator[KeepReason]:
    until = kept_until(marked.marker, view.policy)
    if view.server_now < until:
        text = f"is detached and kept until {words.moment(until)}"
        yield KeepReason("detached", text, f"{_undo(marked)}, until then", Severity.INFO)


def _changed(view: View, marked: Marked) -> Iterator[KeepReason]:
    facts, left = marked.facts, {**marked.evidence, **marked.marker}
    back = _undo(marked)
    if facts.get("dependants"):
        text = f"is not dropped: {', '.join(facts['dependants'])} reads it or refers to it"
        yield KeepReason("dependants", text, f"drop or change what depends on it; {back}")
    # to drop it would lose what nobody planned to lose
    odd = odd_rows(left, facts.get("rows"), marked.table.rows)
    if odd is None and facts.get("not_due"):
        odd = f"rows that are not due by {view.age} lie in it by now"
    if odd is not None:
        text = f"is not as it was left, and is not dropped: {odd}"
        yield KeepReason(
            "detached_changed", text, f"look at those rows; drop it by hand when nobody needs them, or {back}"
        )


def odd_rows(left: Json, counted: int | None, statistics: int) -> str | None:
    """Return that a table holds more than it had, or than was planned where it could not be counted at the detaching.

    Parameters
    ----------
    left
        The marker, and ``planned_rows`` of the ledger. Markers of earlier releases tell nothing of rows or policy.
    """
    if left.get("rows") is not None:
        return grown(left["rows"], counted, statistics)
    limit = most(left)
    if limit is None:
        return "how many rows it had could not be counted, and none were planned" if "then" in left else None
    now = statistics if counted is None else counted
    return f"it holds {now:,} rows or more (about {left['planned_rows']:,} were planned)" if now > limit else None


def most(left: Json) -> int | None:
    """Return how many rows a table may hold that is as it was left; ``None``: neither counted nor planned.

    What was planned is an estimate: twice what is tolerated of a count.
    """
    if left.get("rows") is not None:
        return int(left["rows"])
    planned = left.get("planned_rows") or 0  # 0: a later run completed what a killed one had exchanged
    return 2 * tolerated(planned) - planned if planned else None


def grown(left: int | None, counted: int | None, statistics: int) -> str | None:
    """Return that a detached table holds more than it had; ``None``: not, as far as it can be known.

    Parameters
    ----------
    left, counted
        Rows at the detaching, and by now (up to one more than it had); ``None``: not counted in time.
    statistics
        What the server believes by now; they decide where nothing was counted, with a tenth of tolerance.
    """
    if left is None:
        return None
    if counted is not None:
        return f"rows arrived in it (it had {left:,})" if counted > left else None
    return f"it holds about {statistics:,} rows (it had {left:,})" if statistics > left * GROWTH else None


# -- what is said of them ----------------------------------------------------------------------------


def detached_finding(view: View, marked: Marked) -> Finding | None:
    """Return what a person should know of a table with our marker; ``None`` when an action takes care of it."""
    state = marked.marker.get("state")
    if not marked.exchanged:
        return _beside(view, marked)
    if state == PREPARING and not is_named(view, marked):
        text = "was being detached when a run was killed, and somebody has moved it since: it is not touched"
        kept: KeepReason | None = KeepReason(
            "detached_changed", text, "give it its name again, or drop it when nobody needs it"
        )
    else:
        kept = why_kept(view, marked) if state != PREPARING else None
    return None if kept is None else _finding(view.subject, marked, kept)


def _beside(view: View, marked: Marked) -> Finding | None:
    """Return what to say of a table with our marker that does not hold the partition's data."""
    if not is_named(view, marked):
        text = "carries a copy of Upkeep's marker: it is not touched"
        remedy = f"alter table {marked.table.subject} comment = '', so that nobody takes it for a detached partition"
        return _finding(view.subject, marked, KeepReason("unknown_marker", text, remedy))
    if marked.marker.get("oid") in back_by_hand(view):
        text = f"is what {marked.marker.get('partition')} was detached into, and somebody has exchanged the two back: "
        text += "while it carries Upkeep's marker that partition is neither detached nor dropped, and its rows stay"
        remedy = f"to let its policy apply again: drop table {marked.table.subject}, when it is empty"
        return _finding(view.subject, marked, KeepReason("reattached", text, remedy, Severity.ERROR))
    if not removable(marked):
        text = "carries Upkeep's marker and holds rows that are not of the partition that was detached: it stays"
        remedy = f"look whose they are, then: alter table {marked.table.subject} comment = ''"
        return _finding(view.subject, marked, KeepReason("unknown_marker", text, remedy))
    return None


def removable(marked: Marked) -> bool:
    """Return whether a table that was left half made may go: empty, or with rows that a killed undo has to return."""
    holds = marked.facts.get("rows") != 0
    return not holds or (marked.known and marked.marker.get("state") == RETURNING)


def orphans(observation: Observation, covered: Sequence[View]) -> Iterator[Finding]:
    """Yield the detached tables that no policy of today takes care of: they are never dropped."""
    cared = {m.table.id for view in covered for m in view.marked}
    gone = {row["id"] for row in observation.frames.get("orphans", ())}
    memory = {int(m["oid"]): m for m in observation.frames["memory"]}
    now = observation.frames["server"][0]["now"]
    for row in observation.frames["marked"]:
        subject, marker = names.display(row["schema"], row["name"]), read_marker(row["comment"])
        evidence = memory.get(row["id"], {})
        if row["id"] in cared:
            continue
        if marker is not None and row["id"] in gone:
            text = f"it was detached from {marker['detached_from']}, which was dropped, truncated or made anew"
            remedy = f"drop table {subject}, when nobody needs its rows"
            about: Json = {"rows": row["rows"]}
            text += f": nothing drops it; last seen {_at(now)}"
            yield Finding.of("orphan", subject, Severity.WARNING, text, remedy, evidence=about)
        elif marker is None or marker.get("oid") != row["id"]:
            if marker is None and evidence:
                text = f"{subject}, detached by Upkeep at {_at(evidence.get('detached_at'))}, no longer carries its "
                text += f"marker: it is not dropped; last seen {_at(now)}"
                remedy = "drop it by hand when nobody needs it"
                yield Finding.of("unmarked", subject, Severity.INFO, text, remedy, evidence=dict(evidence))
        elif evidence:
            source = marker["detached_from"]
            text = f"{subject} is kept: no policy of today says retain for {source}, from which it was "
            text += f"detached at {_at(marker.get('at'))}, so it is never dropped; last seen {_at(now)}"
            remedy = f"write a retain policy for {source} again, or drop it by hand when nobody needs it"
            about = {"oid": row["id"], "table": subject, "marker": marker}
            yield Finding.of("detached_orphan", subject, Severity.WARNING, text, remedy, evidence=about)


def _finding(subject: str, marked: Marked, kept: KeepReason) -> Finding:
    since = f", detached {_at(marked.marker['at'])}," if "at" in marked.marker and kept.check in _SINCE_SAID else ""
    evidence: Json = {"oid": marked.table.id, "table": marked.table.subject, "marker": marked.marker}
    text = f"{marked.table.subject}{since} {kept.text}"
    return Finding.of(kept.check, subject, kept.severity, text, kept.remedy, evidence=evidence)


_SINCE_SAID: Final = ("detached", "detached_not_due", "detached_changed", "detached_rows", "dependants")
"""Elsewhere what the marker says of the time is of no use, or another table's."""


def _at(value: Any) -> str:
    try:
        return f"{moment(value):%Y-%m-%d %H:%M %Z}"
    except ValueError:
        return str(value)


def _undo(marked: Marked) -> str:
    evidence: Mapping[str, Any] = marked.evidence
    return f"upkeep undo {evidence.get('action_id') or evidence.get('run_id') or 'RUN'} puts it back"
