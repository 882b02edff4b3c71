"""What partition creation reports besides its actions: of the table, of locks in the way, of rows in defaults. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from upkeep.model import Action, Finding, FindingStatus, Json, Observation, ReasonCode, Severity
from upkeep.postgres import names
from upkeep.postgres.partition_creation import alike
from upkeep.postgres.partition_creation.ends import endless
from upkeep.postgres.partition_creation.forms import Span, Values, form_args, said
from upkeep.postgres.partition_creation.view import Care
from upkeep.postgres.partition_creation.view_of_level import default_row, with_default
from upkeep.words import counted

LONG_SECONDS: Final = 60
"""Locks held for longer are named: our tries end after less."""


def of_table(care: Care) -> Iterator[Finding]:
    """Say what keeps partitions from being created, and what is left to the next run."""
    if care.problem is not None:
        yield care.problem
    yield from care.notes
    yield from care.sets.findings if care.sets is not None else ()
    for pending in care.pending:
        text = f"the detaching of {pending} was interrupted and is pending"
        remedy = f"alter table {care.table} detach partition {pending} finalize"
        yield Finding.of("detach_pending", care.subject, Severity.ERROR, text, remedy)
    layout, relation = care.layout, care.relation
    if not care.ready or relation is None:
        return
    if not (relation.may_alter and relation.may_create):
        lacking = f"the rights of its owner {names.quote(relation.owner)}"
        remedy = relation.handed("the connection's role")
        if relation.may_alter:
            lacking = f"the right to create tables in schema {names.quote(relation.schema)}"
            remedy = f"grant create on schema {names.quote(relation.schema)} to the connection's role"
        yield Finding.of("privileges", care.subject, Severity.ERROR, f"our role lacks {lacking}", remedy)
    yield from endless(care)
    left = len(care.missing) - len(care.to_create)
    if left > 0 or (layout is not None and layout.more):
        more = f"at least {left} more" if layout is not None and layout.more else f"{left} more"
        more += f" of {care.table}" if care.depth else ""
        text = f"{len(care.to_create)} partitions are created in this run, {more} are missing"
        remedy = "check 'every' and 'from', or how many are declared; the next runs create the rest, or raise "
        remedy += "max_creations"
        about: Json = {"max_creations": care.cap, "missing": len(care.missing)}
        yield Finding.of("creation_cap", care.subject, Severity.WARNING, text, remedy, evidence=about)
    if layout is not None and layout.expired:
        text = "a gap lies before what retention keeps today; it is left alone"
        yield Finding.of("gap_expired", care.subject, Severity.INFO, text)


def of_locks(care: Care, blockers: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Say who has held a lock for so long that the creation would not get its own."""
    held = {care.relation.oid} if care.relation is not None else set()
    held |= {care.default.oid} if care.default is not None else set()
    for row in blockers:
        if row["oid"] in held and (row["seconds"] or 0.0) >= LONG_SECONDS:
            who = f"process {row['pid']}" if row["pid"] else "a prepared transaction"
            text = f"{who} ({row['application']}) has held a lock that is in the way for {row['seconds']:.0f} s"
            evidence = {"pid": row["pid"], "seconds": row["seconds"]}
            remedy = "let it end, or end it, then run again"
            yield Finding.of("blocking_transaction", care.subject, Severity.WARNING, text, remedy, evidence=evidence)


def not_copied(care: Care, siblings: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Say what siblings have of their own that a new partition is not given."""
    like = next((row for row in siblings if care.to_create and row["oid"] == care.model), None)
    if like is None:
        return
    kinds = {"triggers": like["own_triggers"], "policies": like["policies"], "publications": like["publications"]}
    known = [f"{kind} {', '.join(names_)}" for kind, names_ in kinds.items() if names_]
    if known and care.oids:
        text = f"the newest partition has {'; '.join(known)} of its own, which new ones are not given"
        remedy = "declare them on the parent, or add them by hand"
        yield Finding.of("not_copied", care.subject, Severity.WARNING, text, remedy, evidence=kinds)


def of_defaults(found: Sequence[Care], observation: Observation, actions: Sequence[Action]) -> Iterator[Finding]:
    """Say what rows lie in default partitions, and what becomes of them."""
    blocked = {(a.args["parent"]["oid"], said(a.args)): a.blocked for a in actions if a.blocked}
    for care, default in with_default(found):
        row = default_row(care, observation.frames)
        if row is None or not care.ready:
            continue
        if row.get("foreign"):
            yield alike.foreign_default(care, default.subject, row["unknown"])
        elif row["unknown"]:
            text = f"whether {default.subject} holds rows is unknown: {row['unknown']}"
            remedy, unseen = "run again when it is free", FindingStatus.NOT_AVAILABLE
            yield Finding.of("default_rows", care.subject, Severity.WARNING, text, remedy, status=unseen)
        for bucket in row["buckets"]:
            one = _of_bucket if care.layout is not None else _of_value_bucket
            yield one(care, default.subject, bucket, blocked)


def _of_bucket(care: Care, default: str, bucket: Mapping[str, Any], blocked: Mapping[Any, Any]) -> Finding:
    axis, layout = care.axis, care.layout
    assert axis is not None and layout is not None  # noqa: S101, PT018 - as in of_defaults
    rows, lower = bucket["rows"], bucket["lower"]
    evidence = {"rows": rows, "lowest": bucket["lowest"], "highest": bucket["highest"], "default_partition": default}
    if bucket["bucket"] is None:
        text = f"{counted(rows, 'row')} in {default} without {care.level.by} (NULL): for no range partition"
        return Finding.of(
            "default_null_rows",
            care.subject,
            Severity.WARNING,
            text,
            "give them a value, or delete them",
            evidence=evidence,
        )
    between = f"{bucket['lowest']} to {bucket['highest']}"
    if why := axis.implausible(map(axis.read, (bucket["lowest"], bucket["highest"]))):
        between += f", {why}"
    spans = (s for s in care.to_create if isinstance(s, Span))
    span = next((s for s in spans if lower is not None and s.lower <= lower < s.upper), None)
    if span is not None:
        args = form_args(span, axis)
        return _of_moved(
            care, f"{counted(rows, 'row')} in {default} ({between})", {**evidence, **args}, blocked.get(_at(care, args))
        )
    if lower is not None and lower >= layout.horizon:
        text = f"{counted(rows, 'row')} in {default} ({between}), beyond the declared partitions: none is made there"
        remedy = "correct their time, or raise 'ahead' when they are right"
        return Finding.of("default_future_rows", care.subject, Severity.WARNING, text, remedy, evidence=evidence)
    text = f"{counted(rows, 'row')} in {default} ({between}), outside every declared partition"
    remedy = "declare 'from' early enough to have partitions made for them, or delete them"
    if layout.expired:
        remedy += " (for what retain would remove today none is made: precision: row deletes it)"
    return Finding.of("default_rows", care.subject, Severity.WARNING, text, remedy, evidence=evidence)


def _at(care: Care, args: Json) -> tuple[int, str]:
    return (care.relation.oid if care.relation is not None else 0, said(args))


def _of_moved(care: Care, rows: str, evidence: Json, why: tuple[ReasonCode, str] | None) -> Finding:
    """Say of rows that belong to a missing partition whether they are moved."""
    if why is None:
        text = f"{rows}, of a partition that is missing: moved into it"
        return Finding.of("default_rows", care.subject, Severity.WARNING, text, evidence=evidence)
    text = f"{rows}, in the way of a partition that is missing: {why[1]}"
    over = why[0] is ReasonCode.OVER_LIMIT
    remedy = ("raise move_default_rows in the policy, or " if over else "") + "move the rows by hand, then run again"
    return Finding.of("default_rows", care.subject, Severity.ERROR, text, remedy, evidence=evidence)


def _of_value_bucket(care: Care, default: str, bucket: Mapping[str, Any], blocked: Mapping[Any, Any]) -> Finding:
    rows, lowest, highest = bucket["rows"], bucket["lowest"], bucket["highest"]
    evidence = {"rows": rows, "lowest": lowest, "highest": highest, "default_partition": default}
    values = "NULL" if lowest is None else f"'{lowest}'" if lowest == highest else f"'{lowest}' to '{highest}'"
    form = next((f for f in care.to_create if isinstance(f, Values) and f.label == bucket["label"]), None)
    if form is not None:
        args = form_args(form, None)
        known = {**evidence, "values": args["values"]}
        return _of_moved(care, f"{counted(rows, 'row')} in {default} ({values})", known, blocked.get(_at(care, args)))
    text = f"{counted(rows, 'row')} in {default} ({values}), with values of {care.level.by} that are not declared"
    remedy = "declare them in list: to have a partition made for them, or correct the rows"
    return Finding.of("default_rows", care.subject, Severity.WARNING, text, remedy, evidence=evidence)


def free_disk() -> Finding:
    """Say that nobody sees how much room a new partition has."""
    return Finding.of(
        "disk_free",
        "server",
        Severity.INFO,
        "free disk space cannot be seen through SQL",
        "watch it on the host",
        status=FindingStatus.NOT_AVAILABLE,
    )
