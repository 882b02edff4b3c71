"""What partition creation decides: one action for each missing partition, findings for the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from upkeep.fleet import Target
from upkeep.jobs.partition_creation.axis import brief
from upkeep.model import Action, Finding, FindingStatus, Json, Observation, Plan, ReasonCode, Severity
from upkeep.postgres import names
from upkeep.postgres.partition_creation import alike, leftovers, scan
from upkeep.postgres.partition_creation.branches import branch_args, branch_blocked
from upkeep.postgres.partition_creation.care import with_default
from upkeep.postgres.partition_creation.conversion import plan as conversion_plan
from upkeep.postgres.partition_creation.forms import Form, Remainder, Rest, Span, Values, form_args, said
from upkeep.postgres.partition_creation.model import Care
from upkeep.postgres.partition_creation.names import choose, names_of
from upkeep.postgres.partition_creation.statements import shown
from upkeep.postgres.partition_creation.times import endless, type_end
from upkeep.postgres.partition_creation.tree import cares

KIND: Final = "create_partition"
LONG_SECONDS: Final = 60
"""Locks held for longer are named: our tries end after less."""
LEFTOVER: Final = "remove_leftover"


def plan(observation: Observation, target: Target) -> Plan:
    """Return what would be done, and what was seen."""
    frames = observation.frames
    found = cares(frames, target, observation.at)
    findings: list[Finding] = []
    actions: list[Action] = []
    taken = {(row["schema"], row["name"]) for row in frames["taken"]}
    left = leftovers.parents(frames["server"][0]["markers"])
    seen: set[tuple[int, int]] = set()
    for care in found:
        findings += _of_table(care)
        if (care.root, care.depth) not in seen:  # once for all sub-partitions
            findings += type_end(care, observation.at)
            seen.add((care.root, care.depth))
        actions += _leftovers(care, left)
        actions += _creations(care, observation, taken)
        if care.conversion is not None:
            actions.append(conversion_plan.action(care, care.conversion, taken))
            findings += conversion_plan.findings(care, care.conversion)
        findings += _of_locks(care, frames["blockers"])
        findings += [*_not_copied(care, frames["siblings"]), *alike.findings(care, frames)]
    findings += [*_of_defaults(found, observation, actions), *scan.findings(actions)]
    findings.append(_disk())
    return Plan.make(observation, actions, findings)


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
    )


def _creations(care: Care, observation: Observation, taken: set[tuple[str, str]]) -> Iterator[Action]:
    if care.relation is None or not care.ready:
        return
    default = _default_row(care, observation.frames)
    for form in care.to_create:
        name = choose(care.relation.schema, names_of(care, form), taken)
        yield _creation(care, form, name, (default, observation, taken))


_Seen: TypeAlias = tuple[Mapping[str, Any] | None, Observation, set[tuple[str, str]]]
"""What is seen of the default partition, the whole observation, and the names that are taken."""


def _creation(care: Care, form: Form, name: str, seen: _Seen) -> Action:
    relation, (default, observation, taken) = care.relation, seen
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
        "move_at_most": getattr(care.policy, "move_default_rows", 0),
        "live": scan.is_live(care, form, frames, default),
        "role": frames["server"][0]["role"],
        "like": like,
    }
    args |= branch_args(care, form, name, default, frames, taken) | _above(relation.oid, frames)
    blocked = _blocked(care, default, rows, like) or branch_blocked(care, form, args, default)
    if blocked is None and (waiting := scan.hindrance(args, default)):
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


def _reason(care: Care, span: Form, rows: int | None) -> str:
    layout = care.layout
    if layout is None or not isinstance(span, Span):
        if isinstance(span, Remainder):
            return f"modulus {span.modulus} is declared, and no partition takes remainder {span.remainder}"
        if isinstance(span, Rest):
            return "a default partition is declared, and there is none"
        why = f"declared for '{getattr(span, 'label', '')}', and no partition takes it"
        return f"{why}; moves {rows} rows out of the default partition" if rows else why
    ahead = getattr(care.policy, "ahead", 0)
    if span.upper <= layout.current:
        why = "a gap between partitions"
    elif span.lower <= layout.current:
        why = "the current period has no partition"
    else:
        why = f"{ahead} ahead of the current one are declared, not all are there"
    return f"{why}; moves {rows} rows out of the default partition" if rows else why


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


def _default_row(care: Care, frames: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    if care.default is None:
        return None
    return next((row for row in frames["defaults"] if row["oid"] == care.default.oid), None)


def _default_args(care: Care, default: Mapping[str, Any] | None) -> Json | None:
    if care.default is None or default is None:
        return None
    known = {"oid": care.default.oid, "schema": care.default.schema, "name": care.default.name}
    return {**known, "large": scan.is_large(default)}


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
    limit = getattr(care.policy, "move_default_rows", 0)
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


def _of_table(care: Care) -> Iterator[Finding]:
    if care.problem is not None:
        yield care.problem
    yield from care.notes
    yield from care.sets.findings if care.sets is not None else ()
    for pending in care.pending:
        yield finding(
            "detach_pending",
            care.subject,
            Severity.ERROR,
            f"the detaching of {pending} was interrupted and is pending",
            remedy=f"alter table {care.table} detach partition {pending} finalize",
        )
    layout, relation = care.layout, care.relation
    if not care.ready or relation is None:
        return
    if not (relation.may_alter and relation.may_create):
        lacking = f"the rights of its owner {names.quote(relation.owner)}"
        remedy = f"grant {names.quote(relation.owner)} to the connection's role"
        if relation.may_alter:
            lacking = f"the right to create tables in schema {names.quote(relation.schema)}"
            remedy = f"grant create on schema {names.quote(relation.schema)} to the connection's role"
        yield finding("privileges", care.subject, Severity.ERROR, f"our role lacks {lacking}", remedy=remedy)
    yield from endless(care)
    left = len(care.missing) - len(care.to_create)
    if left > 0 or (layout is not None and layout.more):
        more = f"at least {left} more" if layout is not None and layout.more else f"{left} more"
        more += f" of {care.table}" if care.depth else ""
        yield finding(
            "creation_cap",
            care.subject,
            Severity.WARNING,
            f"{len(care.to_create)} partitions are created in this run, {more} are missing",
            evidence={"max_creations": care.cap, "missing": len(care.missing)},
            remedy="check 'every' and 'from', or how many are declared; the next runs create the rest, or raise "
            "max_creations",
        )
    if layout is not None and layout.expired:
        yield finding(
            "gap_expired",
            care.subject,
            Severity.INFO,
            "a gap lies before what retention keeps today; it is left alone",
            remedy=None,
        )


def _of_locks(care: Care, blockers: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    held = {care.relation.oid} if care.relation is not None else set()
    held |= {care.default.oid} if care.default is not None else set()
    for row in blockers:
        if row["oid"] in held and (row["seconds"] or 0.0) >= LONG_SECONDS:
            who = f"process {row['pid']}" if row["pid"] else "a prepared transaction"
            text = f"{who} ({row['application']}) has held a lock that is in the way for {row['seconds']:.0f} s"
            evidence = {"pid": row["pid"], "seconds": row["seconds"]}
            remedy = "let it end, or end it, then run again"
            yield finding("blocking_transaction", care.subject, Severity.WARNING, text, evidence, remedy)


def _not_copied(care: Care, siblings: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Say what siblings have of their own that a new partition is not given."""
    like = next((row for row in siblings if care.to_create and row["oid"] == care.model), None)
    if like is None:
        return
    kinds = {"triggers": like["own_triggers"], "policies": like["policies"], "publications": like["publications"]}
    known = [f"{kind} {', '.join(names_)}" for kind, names_ in kinds.items() if names_]
    if known and care.oids:
        text = f"the newest partition has {'; '.join(known)} of its own, which new ones are not given"
        remedy = "declare them on the parent, or add them by hand"
        yield finding("not_copied", care.subject, Severity.WARNING, text, kinds, remedy)


def _of_defaults(found: Sequence[Care], observation: Observation, actions: Sequence[Action]) -> Iterator[Finding]:
    blocked = {(a.args["parent"]["oid"], said(a.args)): a.blocked for a in actions if a.blocked}
    for care, default in with_default(found):
        row = _default_row(care, observation.frames)
        if row is None or not care.ready:
            continue
        subject = care.subject
        if row.get("foreign"):
            yield alike.foreign_default(care, default.subject, row["unknown"])
        elif row["unknown"]:
            yield Finding(
                check="default_rows",
                subject=subject,
                status=FindingStatus.NOT_AVAILABLE,
                severity=Severity.WARNING,
                summary=f"whether {default.subject} holds rows is unknown: {row['unknown']}",
                remedy="run again when it is free",
            )
        for bucket in row["buckets"]:
            one = _of_bucket if care.layout is not None else _of_value_bucket
            yield one(care, default.subject, bucket, blocked)


def _of_bucket(care: Care, default: str, bucket: Mapping[str, Any], blocked: Mapping[Any, Any]) -> Finding:
    axis, layout = care.axis, care.layout
    assert axis is not None and layout is not None  # noqa: S101, PT018 - as in _of_defaults
    rows, lower = bucket["rows"], bucket["lower"]
    evidence = {"rows": rows, "lowest": bucket["lowest"], "highest": bucket["highest"], "default_partition": default}
    if bucket["bucket"] is None:
        text = f"{rows} rows in {default} have no {care.policy.by} (NULL): no range partition takes them"
        return finding(
            "default_null_rows", care.subject, Severity.WARNING, text, evidence, "give them a value, or delete them"
        )
    between = f"{bucket['lowest']} to {bucket['highest']}"
    if why := axis.implausible(map(axis.read, (bucket["lowest"], bucket["highest"]))):
        between += f", {why}"
    spans = (s for s in care.to_create if isinstance(s, Span))
    span = next((s for s in spans if lower is not None and s.lower <= lower < s.upper), None)
    if span is not None:
        args = form_args(span, axis)
        return _of_moved(
            care, f"{rows} rows in {default} ({between})", {**evidence, **args}, blocked.get(_at(care, args))
        )
    if lower is not None and lower >= layout.horizon:
        text = f"{rows} rows in {default} ({between}) lie beyond the declared partitions; no partition is made for them"
        remedy = "correct their time, or raise 'ahead' when they are right"
        return finding("default_future_rows", care.subject, Severity.WARNING, text, evidence, remedy)
    text = f"{rows} rows in {default} ({between}) lie outside every declared partition"
    remedy = "declare 'from' early enough to have partitions made for them, or delete them"
    if layout.expired:
        remedy += " (for what retain would remove today none is made: precision: row deletes it)"
    return finding("default_rows", care.subject, Severity.WARNING, text, evidence, remedy)


def _at(care: Care, args: Json) -> tuple[int, str]:
    return (care.relation.oid if care.relation is not None else 0, said(args))


def _of_moved(care: Care, rows: str, evidence: Json, why: tuple[ReasonCode, str] | None) -> Finding:
    """Say of rows that belong to a missing partition whether they are moved."""
    if why is None:
        text = f"{rows} belong to a partition that is missing; they are moved into it"
        return finding("default_rows", care.subject, Severity.WARNING, text, evidence, None)
    text = f"{rows} keep a partition from being created: {why[1]}"
    over = why[0] is ReasonCode.OVER_LIMIT
    remedy = ("raise move_default_rows in the policy, or " if over else "") + "move the rows by hand, then run again"
    return finding("default_rows", care.subject, Severity.ERROR, text, evidence, remedy)


def _of_value_bucket(care: Care, default: str, bucket: Mapping[str, Any], blocked: Mapping[Any, Any]) -> Finding:
    rows, lowest, highest = bucket["rows"], bucket["lowest"], bucket["highest"]
    evidence = {"rows": rows, "lowest": lowest, "highest": highest, "default_partition": default}
    values = "NULL" if lowest is None else f"'{lowest}'" if lowest == highest else f"'{lowest}' to '{highest}'"
    form = next((f for f in care.to_create if isinstance(f, Values) and f.label == bucket["label"]), None)
    if form is not None:
        args = form_args(form, None)
        known = {**evidence, "values": args["values"]}
        return _of_moved(care, f"{rows} rows in {default} ({values})", known, blocked.get(_at(care, args)))
    text = f"{rows} rows in {default} ({values}) have values of {care.policy.by} that are not declared"
    remedy = "declare them in list: to have a partition made for them, or correct the rows"
    return finding("default_rows", care.subject, Severity.WARNING, text, evidence, remedy)


def _disk() -> Finding:
    return Finding(
        check="disk_free",
        subject="server",
        status=FindingStatus.NOT_AVAILABLE,
        severity=Severity.INFO,
        summary="free disk space cannot be seen through SQL",
        remedy="watch it on the host",
    )


def finding(  # noqa: PLR0917 - in the order of the value's own fields
    check: str, subject: str, severity: Severity, summary: str, evidence: Json | None = None, remedy: str | None = None
) -> Finding:
    """Return something that was seen and matters."""
    return Finding(
        check=check,
        subject=subject,
        status=FindingStatus.FINDING,
        severity=severity,
        summary=summary,
        evidence=evidence or {},
        remedy=remedy,
    )
