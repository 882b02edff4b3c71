"""What is read: the catalog in a few queries, and overdue rows where rows go one by one. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import psycopg
from psycopg import sql

from upkeep.fleet import RetainPolicy, TablePolicy, Target
from upkeep.jobs.contract import Ask
from upkeep.jobs.data_retention.cutoff import age_axis, cut_off
from upkeep.jobs.ttl_verification import retention
from upkeep.jobs.ttl_verification.overdue import MOST, OVERDUE, SECONDS, SHOWN, earlier, identified
from upkeep.model import Observation
from upkeep.postgres import bounds, catalog, faults, names
from upkeep.postgres.bounds import Axis, UnknownBoundsError, Value
from upkeep.postgres.catalog import KINDS, Partition, Relation
from upkeep.postgres.names import column_of
from upkeep.postgres.sampling import sample
from upkeep.postgres.session import PostgresSession, Row

TYPES: Final = ("timestamptz", "timestamp", "date", "int2", "int4", "int8")
SMALL_PAGES: Final = 128
"""A table so small (1 MB) is read in a millisecond or two: it needs no index."""


@dataclass(frozen=True, slots=True)
class _Care:
    """A table in care: before which place on its age column's axis a row, or a partition's end, is overdue."""

    relation: Relation
    policy: RetainPolicy
    age: str
    axis: Axis
    before: Value
    tolerance: float

    @property
    def by_partition(self) -> bool:
        return self.relation.kind == "p" and self.policy.precision == "partition"

    @property
    def literal(self) -> sql.Composed:
        """The place as a value of the age column."""
        text, type_ = self.axis.write(self.before), sql.SQL(f"pg_catalog.{self.axis.type}")
        return sql.SQL("{}::{}").format(sql.Literal(text), type_)


def observe(ask: Ask[PostgresSession]) -> Observation:
    """Read what is judged."""
    tolerance = retention.tolerance(ask.job, ask.memory.endings)
    counted = [_counted(ask, one, tolerance) for one in _in_care(ask.session, ask.target)]
    return ask.answer(
        {
            "counted": counted,
            "earlier": earlier(ask.memory.looks, {OVERDUE}),
            "endings": [dict(row) for row in ask.memory.endings],
        }
    )


@dataclass(frozen=True, slots=True)
class _Meant:
    """A table that a policy means; without one, the policy's own name and what is wrong with it."""

    subject: str
    policy: TablePolicy
    relation: Relation | None = None
    wrong: str = ""


def _in_care(session: PostgresSession, target: Target) -> Iterator[_Meant]:
    policies = {name: policy for name, policy in target.tables.items() if policy.retain is not None}
    patterns, bad = names.parse_all(policies)
    found = catalog.by_policy(catalog.relations(session, patterns.values()), patterns)
    archives = {p.retain.into for p in policies.values() if p.retain is not None and p.retain.into}
    for name, policy in policies.items():
        if name in bad:
            yield _Meant(name, policy, wrong=bad[name])
            continue
        # an archive is only meant by its name in full
        meant = [r for r in found[name] if not (patterns[name].is_glob and r.subject in archives)]
        yield from (_Meant(relation.subject, policy, relation) for relation in meant)
        if not meant and not patterns[name].is_glob:
            yield _Meant(name, policy, wrong="the table does not exist")


def _counted(ask: Ask[PostgresSession], one: _Meant, tolerance: float) -> Row:
    """Return how much of a table is overdue; ``why`` says why that is not known."""
    session, relation, retain = ask.session, one.relation, one.policy.retain
    row: Row = {"subject": one.subject, "overdue": None, "why": one.wrong, "ids": [], "tolerance": tolerance}
    row |= {"what": "rows", "rows": None, "lately": [], "denied": False}
    if relation is None or retain is None:
        return row
    if relation.kind not in ("r", "p"):
        return row | {"why": f"it is {KINDS.get(relation.kind, 'something else')}, no table"}
    age = column_of(one.policy.age_column or "")
    columns = session.rows("ttl_verification/columns", {"oids": [relation.oid], "ages": [age]})
    if not columns:
        return row | {"why": f"it has no column {age}"}
    axis = replace(age_axis(one.policy, columns[0]["type"]), last=bounds.LAST.get(columns[0]["type"]))
    wrong = _no_times(session, relation, age, axis)
    if wrong:
        return row | {"why": wrong}
    instant = ask.server.clock - timedelta(seconds=tolerance)
    care = _Care(relation, retain, age, axis, cut_off(retain, axis, instant, instant), tolerance)
    if care.by_partition:
        return row | _partitions(session, care)
    if columns[0]["hidden"]:
        return row | {"why": "row security hides rows from our role", "denied": True}
    return row | _rows(session, care)


def _no_times(session: PostgresSession, relation: Relation, age: str, axis: Axis) -> str | None:
    """Return why the column tells no age."""
    if axis.type not in TYPES:
        return f"its age column {age} is {axis.type}, no time"
    if not axis.type.startswith("int"):
        return None
    if axis.unit is None or axis.is_id:
        return f"its age column {age} is a whole number, and nothing says what it counts"
    return axis.implausible(axis.read(str(number)) for number in sample(session, relation, age))


# -- whole partitions: by their bounds, never by their rows ------------------------------------------


def _partitions(session: PostgresSession, care: _Care) -> Row:
    """Return the partitions that retention should have removed as a whole, on the first level or the second."""
    parents = [care.relation]
    children = _children(session, parents)
    if not _tells_age(care.relation, care.age):
        branches = [names.Pattern("", p.schema, p.name, is_glob=False) for p in children if p.kind == "p"]
        parents = [r for r in (catalog.relations(session, branches) if branches else []) if _tells_age(r, care.age)]
        children = _children(session, parents)
        if not parents:
            return {"why": f"its partitions do not tell the age {care.age}; write precision: row", "what": "partitions"}
    known = [p for p in children if not p.is_default and not p.detach_pending and p.kind != "f"]
    overdue = [p for p in known if _is_over(p, care)]
    for parent in parents:  # the last one stays, whatever its bounds say
        own = [p for p in known if p.parent == parent.oid]
        if own and all(p in overdue for p in own):
            overdue.remove(max(own, key=lambda p: _upper(p, care) or 0))
    overdue.sort(key=lambda p: _upper(p, care) or 0)
    about = [max(p.rows, 0) for p in overdue]
    return {
        "overdue": len(overdue),
        "what": "partitions",
        "rows": round(sum(about)),
        "lately": [p.subject for p in overdue[:SHOWN]],
        "ids": [identified(p.oid) for p in overdue[:SHOWN]],
    }


def _children(session: PostgresSession, parents: Iterable[Relation]) -> list[Partition]:
    return catalog.partitions(session, [parent.oid for parent in parents if parent.kind == "p"])


def _tells_age(relation: Relation, age: str) -> bool:
    return relation.strategy == "r" and list(relation.key_columns) == [age]


def _upper(partition: Partition, care: _Care) -> Value | None:
    try:
        return None if partition.bounds is None else bounds.read(partition.bounds, care.axis)[1]
    except UnknownBoundsError:
        return None


def _is_over(partition: Partition, care: _Care) -> bool:
    upper = _upper(partition, care)
    return upper is not None and upper <= care.before


# -- rows --------------------------------------------------------------------------------------------


def _rows(session: PostgresSession, care: _Care) -> Row:
    """Return the overdue rows of a table or of its partitions: through an index, in bounded time."""
    try:
        leaves = session.rows("leaves", {"roots": [care.relation.oid], "ages": [care.age]})
    except psycopg.errors.LockNotAvailable:
        return {"why": "another session holds it locked"}
    younger = _younger(session, care)
    members = sorted({oid for leaf in leaves for oid in leaf["path"]})
    keys = session.rows("ttl_verification/references", {"oids": members})
    total, ids, why, denied, end = 0, list[str](), "", False, time.monotonic() + SECONDS
    for leaf in leaves:
        if leaf["detach_pending"] or younger & {*leaf["path"]} or total > MOST:
            continue
        found, wrong = _leaf(session, care, leaf, keys, end - time.monotonic())
        why, denied = why or wrong, denied or found.get("denied", False)
        total += found["overdue"]
        ids += found["ids"] or []
    known = total > 0 or not why
    return {"overdue": min(total, MOST + 1) if known else None, "why": why, "denied": denied, "ids": ids[:SHOWN]}


def _younger(session: PostgresSession, care: _Care) -> set[int]:
    """Return the partitions that can hold nothing overdue, by their bounds."""
    if not _tells_age(care.relation, care.age):
        return set()
    found = set()
    for partition in _children(session, [care.relation]):
        try:
            lower, _ = bounds.read(partition.bounds or "", care.axis)
        except UnknownBoundsError:
            continue
        if lower >= care.before:
            found.add(partition.oid)
    return found


def _leaf(session: PostgresSession, care: _Care, leaf: Row, keys: Sequence[Row], seconds: float) -> tuple[Row, str]:
    """Return the overdue rows of one table, and why they could not be counted."""
    nothing: Row = {"overdue": 0, "ids": []}
    name = names.display(leaf["schema"], leaf["name"])
    if leaf["kind"] != "r":
        return nothing, f"{name} lies on another server"
    if not (leaf["ordered"] or leaf["brin"] or leaf["pages"] <= SMALL_PAGES):
        return nothing, f"{name} has no index that leads with {care.age}"
    if seconds <= 0:
        return nothing, f"{name} could not be counted in time"
    age = sql.Identifier(care.age)
    due = [sql.SQL("t.{} < {}").format(age, care.literal)]
    due += [_unreferenced(key) for key in keys if key["oid"] in leaf["path"]]
    parts: Mapping[str, sql.Composable] = {
        "age": age,
        "table": sql.Identifier(leaf["schema"], leaf["name"]),
        "overdue": sql.SQL(" and ").join(due),
        "limit": sql.Literal(MOST + 1),
        "shown": sql.Literal(SHOWN),
    }
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "1s", "statement": f"{max(int(seconds * 1000), 1)}ms"})
            session.rows("ttl_verification/by_index")
            return session.execute(session.statement("ttl_verification/overdue", **parts)).fetchall()[0], ""
    except psycopg.errors.LockNotAvailable:
        return nothing, f"another session holds {name} locked"
    except psycopg.errors.QueryCanceled:
        return nothing, f"{name} could not be counted in {SECONDS} s"
    except psycopg.errors.UndefinedTable:
        return nothing, ""  # it went away meanwhile
    except psycopg.Error as error:
        denied = isinstance(error, psycopg.errors.InsufficientPrivilege)
        return nothing | {"denied": denied}, f"{name}: {faults.describe(error)}"


def _unreferenced(key: Row) -> sql.Composed:
    """Return that nobody refers to a row: what others refer to stays, and retention says so."""
    pairs = [
        sql.SQL("r.{} = t.{}").format(sql.Identifier(mine), sql.Identifier(theirs))
        for mine, theirs in zip(key["columns"], key["referenced"], strict=True)
    ]
    other = sql.Identifier(key["schema"], key["name"])
    return sql.SQL("not exists (select from {} as r where {})").format(other, sql.SQL(" and ").join(pairs))
