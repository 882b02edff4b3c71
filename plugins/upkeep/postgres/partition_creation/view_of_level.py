"""What partition creation makes of one partitioned table: can it be extended, and what is missing. Pure.

Of a policy's table, and in the same way of each of its partitions that is partitioned in turn; put together
in `view_from_frames`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from upkeep.fleet import HashLevel, ListLevel, RangeLevel, TablePolicy
from upkeep.jobs.data_retention.cutoff import kept_from
from upkeep.jobs.partition_creation.layout import Span, Wish, layout
from upkeep.jobs.partition_creation.limits import misread
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.postgres import bounds, catalog, names
from upkeep.postgres.bounds import Axis, UnknownBoundsError, Value
from upkeep.postgres.catalog import KINDS, Relation
from upkeep.postgres.names import column_of
from upkeep.postgres.partition_creation.list_and_hash import Child, and_default, hashes, lists
from upkeep.postgres.partition_creation.view import AnyLevel, Care, Default, Lookup

Frames: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]

TIME_TYPES: Final = ("timestamptz", "timestamp", "date")
INTEGER_TYPES: Final = ("int2", "int4", "int8")
_DAY_SECONDS: Final = 86_400
CHILDLESS: Final[Mapping[str, Any]] = {
    "oids": (),
    "bounds": (),
    "parents": None,
    "parent_schemas": None,
    "parent_names": None,
    "schemas": None,
    "names": None,
    "pending_schemas": None,
    "pending_names": None,
    "default_oid": None,
    "default_schema": None,
    "default_name": None,
}


def misnamed(key: str, policy: TablePolicy, why: str) -> Care:
    """Return the care of a policy whose name is none."""
    assert policy.partition is not None  # noqa: S101 - for the type checker
    problem = Finding.of("table_exists", key, Severity.ERROR, why, remedy="correct the name in the fleet file")
    return Care(key, key, policy.partition, problem=problem)


def absent(key: str, policy: TablePolicy, pattern: names.Pattern) -> Care:
    """Return the care of a policy that names no table there is."""
    assert policy.partition is not None  # noqa: S101 - for the type checker
    if pattern.is_glob:
        problem = Finding.of(
            "table_exists", key, Severity.WARNING, f"no table matches {key}", remedy="correct the pattern"
        )
        return Care(key, key, policy.partition, problem=problem, later=True)
    subject = names.display(pattern.schema, pattern.name)
    remedy = "correct the name in the fleet file (write it as in SQL), or create the table"
    problem = Finding.of("table_exists", subject, Severity.ERROR, f"{subject} does not exist", remedy=remedy)
    return Care(key, subject, policy.partition, problem=problem)


def care_of(base: Care, policy: TablePolicy, lookup: Lookup, problem: Finding | None) -> Care:
    """Return what is missing of one level of one table, ``base.relation``."""
    assert base.relation is not None  # noqa: S101 - tables that exist get here
    table, part = base.relation, base.level
    children = lookup.children.get(table.oid, CHILDLESS)
    if children["pending_names"]:
        pending = zip(children["pending_schemas"], children["pending_names"], strict=True)
        base = replace(base, pending=tuple(names.display(*p) for p in pending))
    if problem is not None:
        return replace(base, problem=problem)
    if children["default_oid"] is not None:
        default = Default(children["default_oid"], children["default_schema"], children["default_name"])
        base = replace(base, default=default)
    try:
        if isinstance(part, RangeLevel):
            return _ranges(base, part, policy, children, lookup)
        return _sets(base, part, children, lookup)
    except UnknownBoundsError as error:
        text = f"bounds not understood: {error}"
        return replace(base, problem=Finding.of("bounds", base.subject, Severity.ERROR, text, remedy="report this"))


def _ranges(base: Care, part: RangeLevel, policy: TablePolicy, children: Mapping[str, Any], lookup: Lookup) -> Care:
    table = base.relation
    assert table is not None  # noqa: S101 - as in care_of
    axis = axis_of(base.subject, table.key_columns[0] or "", table.key_types[0] or "", part)
    if isinstance(axis, Finding):
        return replace(base, problem=axis)
    spans, order = _in_order(tuple(children["bounds"]), axis)
    oids = tuple(children["oids"][place] for place in order)
    places = [place for span in spans for place in span]
    if not axis.is_id and isinstance(part.from_, int):
        places.append(axis.read(str(part.from_)))
    if axis.is_id and table.oid in lookup.unseen:
        text = f"how far the ids of {table.subject} are is unknown: {lookup.unseen[table.oid]}"
        remedy, unseen = "let our role read them, or run again", FindingStatus.NOT_AVAILABLE
        unknown = Finding.of("highest_id", base.subject, Severity.WARNING, text, remedy, status=unseen)
        return replace(base, axis=axis, problem=unknown, later=True)
    numbers = [axis.read(str(number)) for number in lookup.numbers.get(table.oid, ())]
    what = "values" if numbers else "bounds"
    problem = misread(base.subject, part.by, axis, [*places, *numbers], what)
    if problem is not None:
        return replace(base, axis=axis, spans=spans, problem=problem)
    wish = wish_of(base, part, axis, spans, policy, lookup, lookup.highest.get(table.oid))
    base = replace(base, axis=axis, layout=layout(spans, wish, axis), place=wish.at)
    return replace(base, spans=spans, oids=oids, model=_model(oids, children, table))


def _sets(base: Care, part: ListLevel | HashLevel, children: Mapping[str, Any], lookup: Lookup) -> Care:
    table = base.relation
    assert table is not None  # noqa: S101 - as in care_of
    every = zip(children["oids"], children["schemas"] or (), children["names"] or (), children["bounds"], strict=True)
    found = [Child(oid, names.display(schema, name), text) for oid, schema, name, text in every if text != "DEFAULT"]
    if isinstance(part, HashLevel):
        sets = hashes(part, found, base.subject)
    else:
        column = table.key_columns[0] or ""
        sets = lists(part, found, lookup.values.get(base.values_of, {}), base.subject, column)
        sets = and_default(part, sets, has_default=base.default is not None)
    if sets.problem is not None:
        return replace(base, problem=sets.problem)
    oids = tuple(sorted(child.oid for child in found))
    return replace(base, sets=sets, oids=oids, model=_model(oids, children, table))


def _model(oids: Sequence[int], children: Mapping[str, Any], table: Relation) -> int:
    """Return what new partitions are made like: the newest sibling on this server, else the table itself."""
    elsewhere = children.get("foreign_oids") or ()
    return next((oid for oid in reversed(oids) if oid not in elsewhere), table.oid)


@lru_cache(maxsize=256)
def _in_order(texts: tuple[str, ...], axis: Axis) -> tuple[tuple[Span, ...], tuple[int, ...]]:
    """Return the spans of bounds in order, and which bounds they are; many tables are divided alike."""
    pairs = sorted((_span(text, axis), place) for place, text in enumerate(texts) if text != "DEFAULT")
    return tuple(span for span, _ in pairs), tuple(place for _, place in pairs)


@lru_cache(maxsize=8192)
def _span(text: str, axis: Axis) -> Span:
    return Span(*bounds.read(text, axis))


def wish_of(  # noqa: PLR0917 - what `_ranges` knows by then
    base: Care,
    part: RangeLevel,
    axis: Axis,
    spans: Sequence[Span],
    policy: TablePolicy,
    lookup: Lookup,
    highest: int | None,
) -> Wish:
    """Return what a range level asks for; ``highest`` is where plain ids stand."""
    since = _since(part.from_, axis)
    if axis.is_id:  # ids follow no clock: they stand where the sequence or the data stand
        first = spans[0].lower if spans else 0
        place = highest if highest is not None else since if since is not None else max(first, 0)
        return Wish(every=part.every, ahead=part.ahead, at=place, since=since, limit=base.cap)
    keep_after = None
    retain = policy.retain
    age = policy.age_column
    if retain is not None and age and column_of(age) == column_of(part.by):
        keep_after = kept_from(retain, axis, lookup.now)
    return Wish(
        every=part.every, ahead=part.ahead, at=axis.of(lookup.at), since=since, keep_after=keep_after, limit=base.cap
    )


def _since(value: datetime | date | int | None, axis: Axis) -> Value | None:
    if value is None or (isinstance(value, int) and axis.is_id):
        return value
    if isinstance(value, int):
        return axis.read(str(value)) if axis.type in INTEGER_TYPES else None
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return axis.of(moment.replace(tzinfo=axis.zone) if moment.tzinfo is None else moment)


def axis_of(subject: str, column: str, type_: str, part: RangeLevel) -> Axis | Finding:
    """Return what a partition column of that base type counts, or why the policy does not fit it."""
    if type_ in TIME_TYPES and isinstance(part.every, int):
        text = f"{column} is a {type_}, but every: {part.every} is a number of ids"
        return Finding.of("policy", subject, Severity.ERROR, text, remedy="write a length of time, e.g. every: 1 month")
    if type_ == "date" and not isinstance(part.every, int) and part.every.seconds % _DAY_SECONDS:
        text = f"{column} is a date, but every: {part.every} is not whole days"
        return Finding.of("policy", subject, Severity.ERROR, text, remedy="write days or longer")
    if type_ in INTEGER_TYPES and not isinstance(part.every, int) and part.unit is None:
        text = f"{column} is a whole number: the policy does not say what it counts"
        remedy = "add unit: seconds, milliseconds or microseconds (since 1970), or write every as a number of ids"
        return Finding.of("policy", subject, Severity.ERROR, text, remedy=remedy)
    if type_ in TIME_TYPES:
        return Axis(type_, part.zone)
    return Axis(type_, part.zone, "id" if isinstance(part.every, int) else part.unit, bounds.LAST.get(type_))


def unsupported(base: Care, children: Mapping[str, Any], *, deeper: bool) -> Finding | None:
    """Return why the table cannot be extended: what is declared, nobody provides.

    Parameters
    ----------
    deeper
        Whether sub-partitions are declared.
    """
    table, part, subject = base.relation, base.level, base.subject
    assert table is not None  # noqa: S101 - tables that exist get here
    if table.kind != "p":
        return _not_partitioned(table, part)
    strategy = catalog.STRATEGIES.get(table.strategy or "", "?")
    reason, remedy = _reason(base, strategy, deeper=deeper or not children["parents"])
    if reason is not None and strategy != part.form:
        text = f"{table.subject} is {reason}, but the policy declares {part.form} partitions"
        return Finding.of("partition_strategy", subject, Severity.ERROR, text, remedy=remedy)
    if reason is not None:
        text = f"{table.subject} is {reason}: the partitions that its policy declares are not created"
        return Finding.of("partition_strategy", subject, Severity.ERROR, text, remedy=remedy)
    if column_of(part.by) != table.key_columns[0]:
        text = f"{table.subject} is partitioned by {table.key_columns[0]}, but the policy says by: {part.by}"
        remedy = f"write by: {names.quote(table.key_columns[0] or '')}"
        return Finding.of("partition_key", subject, Severity.ERROR, text, remedy=remedy)
    return None


_OTHERWISE: Final = (
    "partition it by one column of time or whole numbers, list or hash; or take 'partition' out of its policy and "
    "leave it to what makes its partitions now (pg_partman, a job of your own)"
)


def _reason(base: Care, strategy: str, *, deeper: bool) -> tuple[str | None, str]:
    """Return why partitions cannot be created as declared, and what to do."""
    table, part = base.relation, base.level
    assert table is not None  # noqa: S101 - tables that exist get here
    if strategy != part.form:
        return f"partitioned by {strategy}", f"declare {_KEYS[strategy]} in its policy"
    if len(table.key_columns) > 1:
        return f"partitioned by {len(table.key_columns)} columns", _OTHERWISE
    if table.key_columns[0] is None:
        return "partitioned by an expression", _OTHERWISE
    if table.is_partition and not base.depth:
        return "itself a partition of another table", "name the topmost table, with subpartition: for its partitions"
    if not deeper:
        remedy = _OTHERWISE if base.depth else "declare subpartition: what its partitions are partitioned by"
        return "its partitions are partitioned themselves", remedy
    if part.form == "range" and table.key_types[0] not in (*TIME_TYPES, *INTEGER_TYPES):
        return f"partitioned by a column of type {table.key_types[0]}", _OTHERWISE
    return None, _OTHERWISE


_KEYS: Final = {"range": "every: and ahead:", "list": "list:", "hash": "modulus:"}


def _not_partitioned(table: Relation, part: AnyLevel) -> Finding:
    if table.kind != "r":
        text = f"{table.subject} is {KINDS.get(table.kind, 'no table')}: only a table has partitions"
        return Finding.of("partitioned", table.subject, Severity.ERROR, text, remedy="name the table itself")
    column = column_of(part.by)
    lacking = keys_without(table, column)
    text = f"{table.subject} is a plain table, not partitioned; only range partitions can be made of one online"
    remedy = f"create a new table partitioned by {part.form} ({part.by}) and move the rows"
    remedy += ", or take 'partition' out of the policy"
    if lacking:
        text += f"; its key {'; '.join(lacking)} lacks the partition column {part.by}, which PostgreSQL demands"
        remedy = f"first make {part.by} part of every primary and unique key; then {remedy}"
    return Finding.of("partitioned", table.subject, Severity.ERROR, text, remedy=remedy)


def keys_without(table: Relation, column: str) -> list[str]:
    """Return the primary and unique keys that lack a partition column, which PostgreSQL demands in each of them."""
    return [key for key in table.unique_keys if column not in _columns_of(key)]


def _columns_of(key: str) -> list[str]:
    inside = key[key.rindex("(") + 1 : -1] if key.endswith(")") and "(" in key else key
    return [c.strip().strip('"').replace('""', '"') for c in inside.split(",")]


def with_default(cares: Sequence[Care]) -> Iterator[tuple[Care, Default]]:
    """Yield the tables that have a default partition, and that."""
    for care in cares:
        if care.default is not None and care.ready and not (isinstance(care.level, HashLevel)):
            yield care, care.default


def default_row(care: Care, frames: Frames) -> Mapping[str, Any] | None:
    """Return what was read of a table's default partition; ``None`` where it has none."""
    if care.default is None:
        return None
    return next((row for row in frames["defaults"] if row["oid"] == care.default.oid), None)
