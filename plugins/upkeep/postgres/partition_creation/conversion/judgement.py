"""What a conversion of a plain table makes of its policy: refused and why, or between which bounds. Pure.

The bounds of the first partition contain every row there is, and those to come while it is prepared and
approved: writers whose rows follow the clock must never be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from upkeep.fleet import RangeLevel
from upkeep.fleet.tables import Top
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Axis, Value, length
from upkeep.jobs.partition_creation.layout import Span
from upkeep.jobs.partition_creation.limits import misread
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.postgres import names
from upkeep.postgres.catalog import KINDS, Relation
from upkeep.postgres.names import column_of
from upkeep.postgres.partition_creation.conversion.checks import KEY_TYPES, Refusal, of_before_triggers, refusals
from upkeep.postgres.partition_creation.conversion.view import Conversion
from upkeep.postgres.partition_creation.view_of_level import axis_of

APPROVAL: Final = 86_400_000_000
"""Microseconds that an approval stays valid."""
PROOF: Final = 86_400_000_000
"""Microseconds for which writers may meet the CHECK: while rows are checked, or until the run after one killed."""


class Verdict(NamedTuple):
    """A conversion, or why there is none; ``later``: that could not be seen now."""

    conversion: Conversion | None = None
    problem: Finding | None = None
    later: bool = False


def judge(
    table: Relation,
    part: RangeLevel,
    row: Mapping[str, Any] | None,
    clock: Callable[[Axis], Value],
) -> Verdict:
    """Return what can be done with a plain table.

    Parameters
    ----------
    row
        What ``observe`` read; ``None`` when the table went away meanwhile.
    clock
        Where the server's clock stands on an axis of time.
    """
    if table.kind != "r":
        text = f"{table.subject} is {KINDS.get(table.kind, 'no table')}: only a table can be partitioned"
        return Verdict(problem=_refused(table, [Refusal(text, "correct the name")]))
    if row is None:
        return Verdict(problem=_unseen(table, "it went away while it was looked at"), later=True)
    column = column_of(part.by)
    known = [
        *_rights(table),
        *refusals(row["facts"], row["dependents"], column),
        *of_before_triggers(row["before"], column),
        *_of_the_policy(part),
    ]
    type_ = next((c["type"] for c in row["facts"]["columns"] if c["name"] == column), None)
    if type_ not in KEY_TYPES:
        return Verdict(problem=_refused(table, known))
    axis = axis_of(table.subject, column, type_, part)
    if isinstance(axis, Finding):
        return Verdict(problem=axis if not known else _refused(table, known))
    if known:
        return Verdict(problem=_refused(table, known))
    if row["unknown"]:
        return Verdict(problem=_unseen(table, row["unknown"], row["remedy"]), later=True)
    position = _position(row, axis, clock)
    found = _measured(row, column, axis, part, position)
    if isinstance(found, list):
        return Verdict(problem=_refused(table, found))
    before = tuple(trigger["name"] for trigger in row["before"])
    return Verdict(conversion=Conversion(row["facts"], column, axis, position, *found, before))


def span(axis: Axis, part: RangeLevel, position: Value, lowest: Value | None, highest: Value | None) -> Span:
    """Return the bounds of the first partition.

    The lower one is the start of the period of the lowest value, or of the current period when that is earlier. The
    upper one leaves a whole period beyond the current one and beyond the highest value; on an axis of time, as seen
    from the end of an approval's validity and of the proof; for ids, whose pace is unknown, as many periods as the
    policy wants ahead.

    Raises `OverflowError` where the calendar ends.
    """
    # Writers go on while a person decides and while the rows are checked: both are counted in.
    last = position if axis.is_id else position + APPROVAL + PROOF
    last = last if highest is None else max(last, highest)
    first = position if lowest is None else min(position, lowest)
    upper = axis.following(last, part.every)
    for _ in range(_periods(axis, part)):
        upper = axis.following(upper, part.every)
    return Span(axis.floor(first, part.every), upper)


def room(axis: Axis, part: RangeLevel) -> Value:
    """Return how far writers must be from the upper bound when the conversion begins."""
    return length(part.every) * _periods(axis, part) // 2 if axis.is_id else PROOF


def _periods(axis: Axis, part: RangeLevel) -> int:
    return max(part.ahead, 1) if axis.is_id else 1


def _position(row: Mapping[str, Any], axis: Axis, clock: Callable[[Axis], Value]) -> Value:
    """Return where writers stand: the clock; for ids the sequence, else the highest id."""
    if not axis.is_id:
        return clock(axis)
    known = [v for v in (row["position"], axis.read(row["highest"]) if row["highest"] else None) if v is not None]
    return max(known, default=0)


def _measured(
    row: Mapping[str, Any], column: str, axis: Axis, part: RangeLevel, position: Value
) -> tuple[Span, str | None] | list[Refusal]:
    quoted = names.quote(column)
    if row["any_null"]:
        reason = f"there are rows without a value in {quoted} (NULL), which no range partition takes"
        return [Refusal(reason, f"give them a value or delete them, then alter column {quoted} set not null")]
    lowest, highest = (axis.read(row[k]) if row[k] is not None else None for k in ("lowest", "highest"))
    if {lowest, highest} & {LOWEST, HIGHEST}:
        reason = f"the values of {quoted} reach from {row['lowest']} to {row['highest']}, beyond years 1 to 9999"
        return [Refusal(reason, "correct those values")]
    ends = [v for v in (lowest, highest) if v is not None]
    wrong = misread("", quoted, axis, ends, "values")
    if wrong is not None:
        return [Refusal(wrong.summary, "correct unit: in the fleet file")]
    try:
        found = span(axis, part, position, lowest, highest)
        if axis.end is None or found.upper < axis.end:
            axis.write(found.upper), axis.write(found.lower)
    except (OverflowError, ValueError):
        reason = f"the values of {quoted} reach from {row['lowest']} to {row['highest']}, where the calendar ends"
        return [Refusal(reason, "correct those values")]
    if axis.end is not None and found.upper >= axis.end:
        last = max(position, position if highest is None else highest)
        if axis.following(last, part.every) >= axis.end:
            reason = f"the column {quoted} has no room for another period: its type ends at {axis.last}"
            return [Refusal(reason, f"alter column {quoted} type bigint, or correct its highest value")]
        found = Span(found.lower, axis.end)
    usual = span(axis, part, position, None, None).upper
    return found, row["highest"] if found.upper > usual + length(part.every) else None


def _rights(table: Relation) -> Iterator[Refusal]:
    if not table.may_alter:
        owner = names.quote(table.owner)
        yield Refusal(f"our role lacks the rights of its owner {owner}", table.handed("the connection's role"))
    elif not table.may_create:
        schema = names.quote(table.schema)
        remedy = f"grant create on schema {schema} to the connection's role"
        yield Refusal(f"our role may not create tables in schema {schema}", remedy)


def _of_the_policy(part: RangeLevel) -> Iterator[Refusal]:
    if isinstance(part, Top) and part.subpartition is not None:
        reason = "its policy declares sub-partitions, which the part that holds its rows would not have"
        yield Refusal(reason, "convert it without 'subpartition', and declare that after")


def _refused(table: Relation, known: list[Refusal]) -> Finding:
    plain = "" if table.kind != "r" else f"{table.subject} is a plain table and cannot be converted: "
    text = plain + "; ".join(r.reason for r in known)
    remedy = "first " + "; ".join(r.remedy for r in known) if plain else known[0].remedy
    reasons = [r.reason for r in known]
    return Finding.of("partitioned", table.subject, Severity.ERROR, text, remedy, evidence={"reasons": reasons})


def _unseen(table: Relation, why: str, remedy: str | None = None) -> Finding:
    text = f"{table.subject} is a plain table; whether it can be converted is unknown: {why}"
    unseen = FindingStatus.NOT_AVAILABLE
    return Finding.of("partitioned", table.subject, Severity.WARNING, text, remedy or "run again", status=unseen)
