"""Why a plain table cannot be converted into a partitioned one: each reason with its objects and its remedy. Pure.

What PostgreSQL does not allow on a partitioned table, and what depends on the table by its object id: that
would keep reading the old part alone (views), or would be left behind (row types, subscriptions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from upkeep.postgres import catalog, names
from upkeep.postgres.partition_creation.conversion.view import Facts

KEY_TYPES: Final = ("timestamptz", "timestamp", "date", "int2", "int4", "int8")
_DEPENDENT_REMEDIES: Final = {
    "foreign key": "drop the foreign key; one that points to the partitioned table can be added after",
    "view": "drop the view, and create it again after",
    "materialized view": "drop the materialized view, and create it again after",
    "rule": "drop the rule, and create it again after",
    "function": "drop the function or write its body as a string, and create it again after",
    "policy": "drop the policy, and create it again after",
    "user of its row type": "let it use a type of its own (create type … as), not the table's row",
    "user of its identity's sequence": "let it draw from a sequence of its own",
    "object": "drop it, and create it again after",
}
_UNFIT: Final = {
    "constraint that is not enforced": (
        "constraint {} is not enforced, which is not carried over",
        "drop it, or (a foreign key) alter it to be enforced",
    ),
    "not-null constraint without heirs": (
        "not-null constraint {} is declared NO INHERIT, which a partitioned table cannot have",
        "alter it to inherit (alter table … alter constraint … inherit)",
    ),
    "not-null constraint without a proof": (
        "not-null constraint {} is not validated",
        "validate it (alter table … validate constraint …)",
    ),
    "unlogged table": (
        "{} is unlogged, which no partitioned table can be since PostgreSQL 18",
        "alter table … set logged (that rewrites it)",
    ),
}
"""What does not depend on the table, but is a part of it that would be in the way; not in facts, of which actions are
made: those of older servers are known by what they were planned with."""


class Refusal(NamedTuple):
    """A reason, naming the objects, and what to do about it."""

    reason: str
    remedy: str


def refusals(facts: Facts, dependents: Sequence[Mapping[str, str]], column: str) -> list[Refusal]:
    """Return every reason against converting the table by that column; empty when there is none."""
    return [
        *_of_the_table(facts),
        *_of_the_column(facts, column),
        *_of_the_indexes(facts, column),
        *_of_the_constraints(facts),
        *_of_the_triggers(facts),
        *_of_replication(facts),
        *of_dependents(dependents),
    ]


def of_dependents(dependents: Sequence[Mapping[str, str]]) -> Iterator[Refusal]:
    """Yield what depends on the table by its object id, one reason for each kind."""
    for kind in dict.fromkeys(d["kind"] for d in dependents):
        known = ", ".join(d["name"] for d in dependents if d["kind"] == kind)
        if kind in _UNFIT:
            reason, remedy = _UNFIT[kind]
            yield Refusal(reason.format(known), remedy)
            continue
        verb = "points" if kind == "foreign key" else "depends"
        yield Refusal(
            f"{kind} {known} {verb} to it" if verb == "points" else f"{kind} {known} depends on it",
            _DEPENDENT_REMEDIES[kind],
        )


def of_before_triggers(before: Sequence[Mapping[str, Any]], column: str) -> Iterator[Refusal]:
    """Yield the triggers that set the partition column, which PostgreSQL has read before they run."""
    setting = [names.quote(t["name"]) for t in before if t["assigns"]]
    if setting:
        quoted = names.quote(column)
        yield Refusal(
            f"before trigger {', '.join(setting)} sets {quoted}, but the partition is chosen before it runs",
            f"let the writer or the column's default set {quoted}, and drop the trigger",
        )


def _of_the_table(facts: Facts) -> Iterator[Refusal]:
    name = names.display(facts["schema"], facts["name"])
    if facts["persistence"] == "t":
        yield Refusal("it is a temporary table", "take it out of the policy")
    if facts["is_partition"]:
        yield Refusal(f"it is a partition of {', '.join(facts['parents'])}", "give the policy to the parent")
    elif facts["parents"]:
        parents = ", ".join(facts["parents"])
        yield Refusal(f"it inherits from {parents}", f"alter table {name} no inherit {facts['parents'][0]}")
    if facts["children"]:
        yield Refusal(
            f"{', '.join(facts['children'])} inherit from it", "end the inheritance (alter table … no inherit)"
        )
    if facts["is_typed"]:
        yield Refusal("it is a typed table", f"alter table {name} not of")
    if facts["of_extension"]:
        yield Refusal("it belongs to an extension", "leave it to the extension")
    if facts["has_labels"]:
        yield Refusal("it has security labels, which are not carried over", "remove the security labels")
    if facts["rules"]:
        yield Refusal(f"it has rules: {', '.join(facts['rules'])}", "drop the rules, or write them as triggers")
    if not facts["owner_may_create"]:
        remedy = f"grant create on schema {names.quote(facts['schema'])} to {names.quote(facts['owner'])}"
        yield Refusal(f"its owner {names.quote(facts['owner'])} may not create tables in its schema", remedy)


def _of_the_column(facts: Facts, column: str) -> Iterator[Refusal]:
    found = next((c for c in facts["columns"] if c["name"] == column), None)
    quoted = names.quote(column)
    if found is None:
        yield Refusal(f"it has no column {quoted}", "correct 'by' in the policy")
    elif found["generated"]:
        yield Refusal(
            f"{quoted} is a generated column, by which nothing can be partitioned", "partition by another column"
        )
    elif found["type"] not in KEY_TYPES:
        remedy = "partition by a column of type timestamptz, timestamp, date, smallint, integer or bigint"
        yield Refusal(f"{quoted} is of type {found['type']}, which has no periods", remedy)


def _of_the_indexes(facts: Facts, column: str) -> Iterator[Refusal]:
    lacking = [i for i in facts["indexes"] if i["unique"] and column not in i["columns"]]
    if lacking:
        known = "; ".join(f"{names.quote(i['name'])} ({_columns(i)})" for i in lacking)
        reason = f"its key {known} lacks the partition column {names.quote(column)}, which PostgreSQL demands"
        yield Refusal(reason, f"make {names.quote(column)} part of every primary and unique key")
    excluding = [names.quote(i["name"]) for i in facts["indexes"] if i["exclusion"]]
    if excluding:
        reason = f"it has an exclusion constraint: {', '.join(excluding)}; a partitioned table has none"
        yield Refusal(reason, "drop the exclusion constraint")
    invalid = [names.display(facts["schema"], i["name"]) for i in facts["indexes"] if not i["valid"]]
    if invalid:
        yield Refusal(f"index {', '.join(invalid)} is invalid", f"drop index concurrently {invalid[0]}, or reindex it")


def _of_the_constraints(facts: Facts) -> Iterator[Refusal]:
    name = names.display(facts["schema"], facts["name"])
    unproven = [c["name"] for c in (*facts["checks"], *facts["foreign_keys"]) if not c["valid"]]
    if unproven:
        known = ", ".join(map(names.quote, unproven))
        remedy = f"alter table {name} validate constraint {names.quote(unproven[0])}"
        yield Refusal(f"constraint {known} is not validated", remedy)
    alone = [names.quote(c["name"]) for c in facts["checks"] if c["no_inherit"]]
    if alone:
        reason = f"check constraint {', '.join(alone)} is declared NO INHERIT, which a partitioned table cannot have"
        yield Refusal(reason, "add it again without NO INHERIT")
    rows = [names.quote(c["name"]) for c in facts["checks"] if c["whole_row"]]
    if rows:
        reason = f"check constraint {', '.join(rows)} reads the whole row, which cannot be carried over"
        yield Refusal(reason, "add it again with the columns by their names")
    if facts["switched_off"]:
        known = ", ".join(map(names.quote, facts["switched_off"]))
        yield Refusal(
            f"the triggers behind constraint {known} are switched off, which is not carried over",
            f"alter table {name} enable trigger all, or drop the constraint",
        )
    for key in facts["foreign_keys"]:
        other = names.display(key["schema"], key["table"])
        quoted = names.quote(key["name"])
        if key["kind"] != "r":
            reason = f"foreign key {quoted} points to the partitioned table {other}"
            yield Refusal(reason, "drop the foreign key, and add it again after")
        elif key["persistence"] == "u":
            reason = f"foreign key {quoted} points to the unlogged table {other}"
            yield Refusal(reason, "drop the foreign key, or make that table logged")
        elif not key["may_reference"]:
            remedy = f"grant references on {other} to {names.quote(facts['role'])}"
            yield Refusal(f"our role may not reference {other} (foreign key {quoted})", remedy)


def _of_the_triggers(facts: Facts) -> Iterator[Refusal]:
    bad = [names.quote(t["name"]) for t in facts["triggers"] if t["row"] and t["transition"]]
    if bad:
        reason = f"row trigger {', '.join(bad)} has transition tables, which a partitioned table cannot have"
        yield Refusal(reason, "make it a statement trigger")
    for function in sorted({t["function"] for t in facts["triggers"] if not t["may_execute"]}):
        remedy = f"grant execute on function {function} to {names.quote(facts['role'])}"
        yield Refusal(f"our role may not use {function}, the function of a trigger", remedy)


def _of_replication(facts: Facts) -> Iterator[Refusal]:
    if facts["subscriptions"]:
        known = ", ".join(facts["subscriptions"])
        yield Refusal(
            f"subscription {known} writes to it, and would lose it",
            "convert it where it is published, or end the subscription",
        )
    for publication in facts["publications"]:
        quoted = names.quote(publication["name"])
        if not publication["named"]:
            continue
        if not publication["may_alter"]:
            role, superuser = "the connection's role", publication["owner_is_superuser"]
            grant = catalog.handed(publication["owner"], [quoted], role, superuser=superuser, kind="publication")
            yield Refusal(f"publication {quoted} is not ours to alter", grant)
        if not publication["via_root"] and (publication["columns"] or publication["filter"]):
            reason = (
                f"publication {quoted} has a column list or a row filter for it, which needs publish_via_partition_root"
            )
            yield Refusal(reason, f"alter publication {quoted} set (publish_via_partition_root = true)")


def _columns(index: Facts) -> str:
    return ", ".join("(expression)" if c is None else names.quote(c) for c in index["columns"])
