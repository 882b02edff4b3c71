"""What partition creation makes of each policy's table, with the partitions of its partitions. Pure.

Made once while a target is observed, once to plan and once for a gate; where more was asked about some tables
since, only these are judged anew. A table with declared sub-partitions yields one `Care` for itself and one for
each of its partitions that is partitioned as declared; the policy's cap counts the tables of all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from upkeep.fleet import RangeLevel, TablePolicy, Target
from upkeep.fleet.levels import ListLevel
from upkeep.jobs.partition_creation.layout import Wish, layout
from upkeep.jobs.partition_creation.limits import UNIT
from upkeep.model import Finding, Severity
from upkeep.postgres import catalog, names
from upkeep.postgres.catalog import Relation
from upkeep.postgres.names import column_of
from upkeep.postgres.partition_creation.conversion.judgement import judge
from upkeep.postgres.partition_creation.forms import Form, Rest
from upkeep.postgres.partition_creation.list_and_hash import DeclaredValue, unclear, whole
from upkeep.postgres.partition_creation.view import Branch, Care, Lookup
from upkeep.postgres.partition_creation.view_of_level import (
    CHILDLESS,
    Frames,
    absent,
    axis_of,
    care_of,
    keys_without,
    misnamed,
    unsupported,
    wish_of,
)

_NAMED: Final = 5
"""Partitions named in a finding."""


def cares(frames: Frames, target: Target, at: datetime, *, only: Collection[int] | None = None) -> list[Care]:
    """Return every table of every ``partition`` policy, in the fleet file's order, each before its partitions.

    Parameters
    ----------
    only
        Object ids of the policies' tables that are to be judged; ``None``: all.
    """
    declared = {key: policy for key, policy in target.subjects().items() if policy.partition is not None}
    patterns, bad = names.parse_all(declared)
    relations = [Relation(**row) for row in frames["relations"]]
    lookup = Lookup(
        catalog.by_policy(relations, patterns),
        at=at,
        now=datetime.fromisoformat(frames["server"][0]["now"]),
        children={row["parent"]: row for row in (*frames["spans"], *frames.get("branch_spans", ()))},
        highest={row["oid"]: row["at"] for row in frames.get("ids", ()) if row["at"] is not None},
        unseen={row["oid"]: row["unseen"] for row in frames.get("ids", ()) if row.get("unseen")},
        plain={row["oid"]: row for row in frames.get("plain", ())},
        numbers={row["oid"]: row["numbers"] for row in frames.get("numbers", ())},
        values={(row["oid"], row["depth"]): _values(row) for row in frames.get("values", ())},
    )
    branches = {row["oid"]: Relation(**row) for row in frames.get("branches", ())}
    types = {(row["oid"], row["name"]): row for row in frames.get("types", ())}
    found: list[Care] = []
    for key, policy in declared.items():
        tables = lookup.relations.get(key, [])
        if key in bad:
            found.append(misnamed(key, policy, bad[key]))
        elif not tables:
            found.append(absent(key, policy, patterns[key]))
        for table in sorted((t for t in tables if only is None or t.oid in only), key=lambda t: t.subject):
            found += _limited(_tree(key, policy, table, lookup, branches, types))
    return found


def judged_anew(
    found: Sequence[Care], frames: Frames, target: Target, at: datetime, about: Iterable[Mapping[str, Any]]
) -> list[Care]:
    """Return the cares; of the tables that rows were read about since (by their ``oid``), with what these say."""
    roots = {care.relation.oid: care.root for care in found if care.relation is not None}
    tables = {roots[row["oid"]] for row in about}
    if not tables:
        return list(found)
    fresh: dict[int, list[Care]] = {}
    for care in cares(frames, target, at, only=tables):
        fresh.setdefault(care.root, []).append(care)
    kept = [[care] if care.root not in tables else fresh[care.root] if care.depth == 0 else [] for care in found]
    return [care for tree in kept for care in tree]


def _values(row: Mapping[str, Any]) -> dict[str, DeclaredValue]:
    return {
        one["text"]: DeclaredValue(one["canonical"] or one["text"], frozenset(one["equal"]), one["problem"])
        for one in row["known"]
    }


def _tree(  # noqa: PLR0917 - the frames, arranged
    key: str,
    policy: TablePolicy,
    table: Relation,
    lookup: Lookup,
    branches: Mapping[int, Relation],
    types: Mapping[tuple[int, str], Mapping[str, Any]],
) -> list[Care]:
    part = policy.partition
    assert part is not None  # noqa: S101 - for the type checker
    children = lookup.children.get(table.oid, CHILDLESS)
    base = Care(key, table.subject, part, table, cap=part.max_creations, root=table.oid)
    if table.kind != "p" and isinstance(part, RangeLevel):
        verdict = judge(table, part, lookup.plain.get(table.oid), lambda axis: axis.of(lookup.now))
        return [replace(base, **verdict._asdict())]
    problem = unsupported(base, children, deeper=part.subpartition is not None)
    top = care_of(base, policy, lookup, problem or _unclear(base, part, table))
    form = catalog.STRATEGIES.get(table.strategy or "")
    if problem is not None and problem.check == "partition_strategy" and part.form in ("range", form):
        top = replace(top, later=True)  # the finding is an error; the gates look at what Upkeep makes
    if top.problem is not None or part.subpartition is None:
        return [top]
    parents = set(children["parents"] or ())
    below = [_below(top, policy, branches[oid], lookup) for oid in sorted(parents) if oid in branches]
    good = [care for care in below if care.problem is None]
    wrong = next((care.problem for care in below if care.problem is not None and care.problem.check == UNIT), None)
    if wrong is not None:  # what would be made anew would be wrong in the same way
        return [replace(top, problem=wrong, layout=None, sets=None)]
    branch = _branch(top, policy, lookup, good, types)
    if isinstance(branch, Finding):
        return [replace(top, problem=branch, layout=None, sets=None)]
    plain = [oid for oid in top.oids if oid not in parents]
    model = max((care.relation.oid for care in good if care.relation), default=table.oid)
    notes = (_plain(top, plain, children),) if plain else ()
    return [replace(top, branch=branch, model=model, notes=notes), *below]


def _below(top: Care, policy: TablePolicy, table: Relation, lookup: Lookup) -> Care:
    """Return a partition of the table that is partitioned in turn."""
    part, root = policy.partition, top.relation
    assert part is not None and part.subpartition is not None and root is not None  # noqa: S101, PT018 - as in _tree
    inherited = replace(
        table, publications=root.publications, referenced_by=sorted({*table.referenced_by, *root.referenced_by})
    )
    base = Care(top.policy_name, top.subject, part.subpartition, inherited, cap=top.cap, depth=1, root=root.oid)
    problem = unsupported(base, lookup.children.get(table.oid, CHILDLESS), deeper=False)
    care = care_of(base, policy, lookup, problem or _unclear(base, part.subpartition, table))
    later = problem is not None  # it is made otherwise: said, and left as it is, while the others are extended
    headroom = isinstance(part.subpartition, RangeLevel)  # then it runs out, and inserts fail
    return replace(
        care, later=later, problem=_milder(care.problem) if later and care.problem and not headroom else care.problem
    )


def _milder(problem: Finding) -> Finding:
    return problem.model_copy(update={"severity": Severity.WARNING}) if problem.severity is Severity.ERROR else problem


def _unclear(base: Care, part: Any, table: Relation) -> Finding | None:
    """Return what YAML misread among the declared values."""
    text = unclear(part, table.key_types[0] or "") if isinstance(part, ListLevel) else None
    if text is None:
        return None
    return Finding.of("list_values", base.subject, Severity.ERROR, text, "write it in quotes")


def _branch(
    top: Care,
    policy: TablePolicy,
    lookup: Lookup,
    good: list[Care],
    types: Mapping[tuple[int, str], Mapping[str, Any]],
) -> Branch | Finding:
    """Return what new partitions are partitioned by in turn, or why they cannot be."""
    part, table = policy.partition, top.relation
    assert part is not None and part.subpartition is not None and table is not None  # noqa: S101, PT018 - as in _tree
    level, column = part.subpartition, column_of(part.subpartition.by)
    like = good[0].relation if good else None
    row = types.get((table.oid, column))
    type_: str | None = (like.key_types[0] or "") if like is not None else row["base"] if row is not None else None
    if type_ is None:
        text = f"subpartition: by: {level.by}: {top.subject} has no such column"
        return Finding.of("partition_key", top.subject, Severity.ERROR, text, "correct it in the fleet file")
    lacking = keys_without(table, column)
    if lacking:
        text = f"its key {'; '.join(lacking)} lacks {level.by}, by which its partitions are to be partitioned: "
        remedy = f"make {level.by} part of every primary and unique key"
        return Finding.of("partition_key", top.subject, Severity.ERROR, text + "PostgreSQL demands that", remedy)
    elsewhere = {oid for row in lookup.children.values() for oid in row.get("foreign_oids") or ()}
    oids = [oid for care in good for oid in care.oids if oid not in elsewhere]
    parents = {*(lookup.children.get(table.oid, CHILDLESS)["parents"] or ()), *elsewhere}
    model = max(oids, default=max((oid for oid in top.oids if oid not in parents), default=table.oid))
    if isinstance(level, RangeLevel):
        axis = axis_of(top.subject, column, type_, level)
        if isinstance(axis, Finding):
            return axis
        places = [lookup.highest[c.relation.oid] for c in good if c.relation and c.relation.oid in lookup.highest]
        wish = wish_of(top, level, axis, (), policy, lookup, max(places, default=None))
        return Branch(level, column, type_, axis, wish, _periods(axis, wish), model)
    misread = unclear(level, type_) if isinstance(level, ListLevel) else None
    if misread is not None:
        return Finding.of("list_values", top.subject, Severity.ERROR, misread, "write it in quotes")
    forms = whole(level, lookup.values.get((table.oid, 1), {}))
    return Branch(level, column, type_, None, None, forms, model)


def _periods(axis: Any, wish: Wish) -> tuple[Form, ...]:
    return tuple(sorted(layout((), wish, axis).missing))


def _limited(tree: list[Care]) -> Iterator[Care]:
    """Yield a table's cares with what the policy's cap leaves to each of them, in their order."""
    left = tree[0].cap
    for care in tree:
        if not care.missing:
            yield care
            continue
        fits = 0
        for form in care.missing:
            left -= 1 + (len(care.branch.forms) if care.branch and not isinstance(form, Rest) else 0)
            if left < 0:
                break
            fits += 1
        left = max(left, 0)
        yield replace(care, limit=fits)


def _plain(top: Care, plain: list[int], children: Mapping[str, Any]) -> Finding:
    known = dict(zip(children["oids"], children["bounds"], strict=True))
    if children["names"]:
        labels = [names.display(s, n) for s, n in zip(children["schemas"], children["names"], strict=True)]
        known = dict(zip(children["oids"], labels, strict=True))
    said = ", ".join(str(known[oid]).removeprefix("FOR VALUES ") for oid in plain[:_NAMED])
    more = f" and {len(plain) - _NAMED} more" if len(plain) > _NAMED else ""
    text = f"{len(plain)} partitions are plain tables, though sub-partitions are declared: {said}{more}; they stay so"
    remedy = "move their rows into a partitioned table and attach that instead, if it matters"
    return Finding.of("plain_partitions", top.subject, Severity.WARNING, text, remedy)
