"""What partition creation decides: one action for each missing partition, findings for the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from upkeep.fleet import RangeLevel, Target
from upkeep.jobs.partition_creation.axis import brief
from upkeep.model import Action, Finding, Json, LeaseName, Observation, Plan, ReasonCode, Request
from upkeep.postgres import names
from upkeep.postgres.partition_creation import alike, default_scan, findings, leftovers
from upkeep.postgres.partition_creation.branches import branch_args, branch_blocked
from upkeep.postgres.partition_creation.conversion import plan as conversion_plan
from upkeep.postgres.partition_creation.ends import type_end
from upkeep.postgres.partition_creation.forms import Form, Remainder, Rest, Span, Values, form_args, said
from upkeep.postgres.partition_creation.partition_names import choose, names_of
from upkeep.postgres.partition_creation.statements import shown
from upkeep.postgres.partition_creation.view import Care
from upkeep.postgres.partition_creation.view_from_frames import cares
from upkeep.postgres.partition_creation.view_of_level import default_row

KIND: Final = "create_partition"
LEFTOVER: Final = "remove_leftover"


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be done, and what was seen."""
    frames = observation.frames
    found = cares(frames, target, observation.at)
    notes: list[Finding] = []
    actions: list[Action] = []
    taken = {(row["schema"], row["name"]) for row in frames["taken"]}
    left = leftovers.parents(frames["server"][0]["markers"])
    seen: set[tuple[int, int]] = set()
    for care in found:
        notes += findings.of_table(care)
        if (care.root, care.depth) not in seen:  # once for all sub-partitions
            notes += type_end(care, observation.at)
            seen.add((care.root, care.depth))
        actions += _leftovers(care, left)
        actions += _creations(care, observation, taken, left)
        if care.conversion is not None:
            actions.append(conversion_plan.action(care, care.conversion, taken))
            notes += conversion_plan.findings(care, care.conversion)
        notes += findings.of_locks(care, frames["blockers"])
        notes += [*findings.not_copied(care, frames["siblings"]), *alike.findings(care, frames)]
    notes += [*findings.of_defaults(found, observation, actions), *default_scan.findings(actions)]
    notes.append(findings.free_disk())
    return Plan.make(observation, actions, notes)


def _leftovers(care: Care, left: Mapping[int, int]) -> Iterator[Action]:
    if care.relation is None or care.relation.oid not in left:
        return
    known = care.relation
    yield Action.make(
        kind=LEFTOVER,
        subject=care.subject,
        args={"parent": {"oid": known.oid, "schema": known.schema, "name": known.name}},
        statements=(f"-- drops what carries the comment '{leftovers.HALF_MADE} …' for {care.subject}",),
        reason=f"a run that was killed left {left[known.oid]} things half made; they hold copies only",
        destructive=False,
        precondition="not attached, and marked by its comment as ours",
        lock="ACCESS EXCLUSIVE on the default partition, for milliseconds",
        not_during=("backup",),
    )


def _creations(
    care: Care, observation: Observation, taken: set[tuple[str, str]], left: Mapping[int, int]
) -> Iterator[Action]:
    if care.relation is None or not care.ready:
        return
    default = default_row(care, observation.frames)
    for form in care.to_create:
        name = choose(care.relation.schema, names_of(care, form), taken)
        yield _creation(care, form, name, (default, observation, taken, left))


_Seen: TypeAlias = tuple[Mapping[str, Any] | None, Observation, set[tuple[str, str]], Mapping[int, int]]
"""What is seen of the default partition, the whole observation, the names that are taken, and what is left over."""


def _creation(care: Care, form: Form, name: str, seen: _Seen) -> Action:
    relation, (default, observation, taken, left) = care.relation, seen
    assert relation is not None  # noqa: S101 - as in _creations
    frames = observation.frames
    like = alike.model(care.model, relation, frames)
    rows = rows_in(default, form)
    args: Json = {
        "parent": {"oid": relation.oid, "schema": relation.schema, "name": relation.name},
        "child": {"schema": relation.schema, "name": name},
        "default": None if isinstance(form, Rest) else _default_args(care, default),
        "key": relation.key_columns[0],
        "type": care.axis.type if care.axis is not None else relation.key_types[0],
        **form_args(form, care.axis),
        "move": rows or 0,
        "move_at_most": care.may_move,
        "live": default_scan.is_live(care, form, frames, default),
        "role": frames["server"][0]["role"],
        "like": like,
    }
    args |= branch_args(care, form, name, default, frames, taken) | _above(relation.oid, frames)
    blocked = _blocked(care, default, rows, like) or branch_blocked(care, form, args, default)
    if blocked is None and (waiting := default_scan.hindrance(args, default)):
        blocked = ReasonCode.NOT_SUPPORTED, waiting
    columns: list[str] = next((row["names"] for row in frames["columns"] if row["oid"] == relation.oid), [])
    child = names.display(relation.schema, name)
    parent = relation.subject
    return Action.make(
        kind=KIND,
        subject=care.subject,
        args=args,
        intent={"parent": relation.oid, "key": args["key"], "type": args["type"], **form_args(form, care.axis)},
        statements=shown(args, columns) if like is not None else (),
        reason=_reason(care, form, rows),
        detail=_detail(child, form, args),
        destructive=False,
        precondition=f"no partition of {parent} meets {said(args)}, and {child} does not exist",
        undo=f"alter table {parent} detach partition {child}; drop table {child} (only while it is empty)",
        lock=_lock(care, args),
        not_during=_not_during(args, left),
        rows=rows or 0,
        blocked=blocked,
    )


def _above(oid: int, frames: Mapping[str, Sequence[Mapping[str, Any]]]) -> Json:
    condition = next((row["condition"] for row in frames.get("conditions", ()) if row["oid"] == oid), None)
    return {"above": condition} if condition else {}


def _detail(child: str, form: Form, args: Json) -> str:
    leaves = args["below"]["leaves"] if "below" in args else ()
    below = f", with {len(leaves)} sub-partitions" if leaves else ""
    if isinstance(form, Span):
        return f"{child}, {brief(args['lower'])} to {brief(args['upper'])}{below}"
    return f"{child}, {said(args)}{below}"


def _reason(care: Care, form: Form, rows: int | None) -> str:
    if isinstance(form, Remainder):
        return f"modulus {form.modulus} is declared, and no partition takes remainder {form.remainder}"
    if isinstance(form, Rest):
        return "a default partition is declared, and there is none"
    if isinstance(form, Values):
        why = f"declared for '{form.label}', and no partition takes it"
    else:
        why = _missing_span(care, form)
    return f"{why}; moves {rows} rows out of the default partition" if rows else why


def _missing_span(care: Care, span: Span) -> str:
    layout, level = care.layout, care.level
    assert layout is not None and isinstance(level, RangeLevel)  # noqa: S101, PT018 - spans are missing of ranges
    if span.upper <= layout.current:
        return "a gap between partitions"
    if span.lower <= layout.current:
        return "the current period has no partition"
    return f"{level.ahead} ahead of the current one are declared, not all are there"


def _not_during(args: Json, left: Mapping[int, int]) -> tuple[LeaseName, ...]:
    """Return ``backup`` where a table that a dump reads is locked exclusively: the default one, or what is left."""
    return ("backup",) if args["default"] is not None or args["parent"]["oid"] in left else ()


def _lock(care: Care, args: Json) -> str:
    if args.get("form") == "default":
        return "SHARE UPDATE EXCLUSIVE on the parent: readers and writers pass"
    if args["move"]:
        long = "while it is read and the rows go" if care.default and args["default"]["large"] else "for milliseconds"
        return f"ACCESS EXCLUSIVE on the parent and its default partition, {long}"
    if care.default is None:
        return "SHARE UPDATE EXCLUSIVE on the parent: readers and writers pass"
    parent = (
        "SHARE ROW EXCLUSIVE (readers pass)" if args["live"] else "SHARE UPDATE EXCLUSIVE (readers and writers pass)"
    )
    return f"{parent} on the parent, ACCESS EXCLUSIVE on its default partition, for milliseconds"


def _default_args(care: Care, default: Mapping[str, Any] | None) -> Json | None:
    if care.default is None or default is None:
        return None
    known = {"oid": care.default.oid, "schema": care.default.schema, "name": care.default.name}
    return {**known, "large": default_scan.is_large(default)}


def rows_in(default: Mapping[str, Any] | None, form: Form) -> int | None:
    """Return how many rows of the default partition belong to a new one; ``None`` when that is unknown."""
    if default is None:
        return 0
    if default["unknown"]:
        return None
    buckets = default["buckets"]
    if isinstance(form, Values):
        inside = [b for b in buckets if b.get("label") == form.label]
    elif isinstance(form, Span):
        inside = [b for b in buckets if b["lower"] is not None and form.lower <= b["lower"] < form.upper]
    else:
        return 0
    return sum(int(b["rows"]) for b in inside)


def _blocked(
    care: Care, default: Mapping[str, Any] | None, rows: int | None, like: Mapping[str, Any] | None
) -> tuple[ReasonCode, str] | None:
    if like is None:
        return ReasonCode.STATE_CHANGED, "the table to model it after went away while it was looked at"
    if rows is None and default is not None:
        return ReasonCode.NOT_SUPPORTED, f"the rows of the default partition are unknown: {default['unknown']}"
    if not rows or default is None or care.relation is None:
        return None
    limit = care.may_move
    if rows > limit:
        return ReasonCode.OVER_LIMIT, f"{rows} rows of the default partition belong here, over the limit of {limit}"
    hindrance = _hindrance(care, default)
    return (ReasonCode.NOT_SUPPORTED, hindrance) if hindrance else None


def _hindrance(care: Care, default: Mapping[str, Any]) -> str | None:
    """Return what else would react to rows leaving the default partition, so that the move would not go unseen."""
    relation = care.relation
    assert relation is not None  # noqa: S101 - only tables that exist get here
    referenced = sorted({*relation.referenced_by, *default.get("referenced_by", ())})
    if referenced:
        return f"rows cannot leave the default partition unseen: foreign keys of {', '.join(referenced)} would react"
    if relation.publications:
        known = ", ".join(relation.publications)
        return f"rows cannot leave the default partition unseen: publication {known} would send the delete alone"
    reacting = [*default.get("triggers", ()), *default.get("rules", ())]
    if reacting:
        return f"rows cannot leave the default partition unseen: {', '.join(reacting)} would fire"
    return None
