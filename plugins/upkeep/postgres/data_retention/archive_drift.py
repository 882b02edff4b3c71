"""What else keeps an archive table from taking the table's rows, found before the first one moves. Pure.

`archive_table.drift` compares columns; here is what refuses or loses a whole row: leaves that a crash empties or that
lie elsewhere, and keys, checks and foreign keys that the table itself does not have. A key of the archive fits when
one of the table implies it: then no two rows of the table can meet there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from upkeep.jobs.data_retention.refusal import Drift
from upkeep.model import Finding, Severity
from upkeep.postgres import names
from upkeep.postgres.data_retention.archive_table import lossy
from upkeep.postgres.data_retention.view import TableView
from upkeep.postgres.session import PostgresSession, Row

_OF_TABLES: Final = ("data_retention/archive_keys", "data_retention/archive_constraints")


def read(session: PostgresSession, sources: Sequence[int], archives: Sequence[int]) -> dict[int, Row]:
    """Return each table's ``tree``: itself first, then its partitions that are not like all others.

    Each archive's with ``keys`` and ``constraints``; of a source these are the root's alone.
    """
    if not archives:
        return {}
    members = session.rows("data_retention/archive_members", {"oids": sorted({*sources, *archives})})
    every = {"oids": sorted({*sources, *(row["oid"] for row in members if row["root"] in archives)})}
    keys, constraints = (_by_table(session.rows(name, every)) for name in _OF_TABLES)
    found: dict[int, Row] = {}
    for row in members:
        oid = row["oid"]
        table = {**row, "keys": keys.get(oid, []), "constraints": constraints.get(oid, [])}
        tree = found.setdefault(row["root"], {"tree": []})["tree"]
        if not tree or _is_odd(table, tree[0]):
            tree.append(table)
    return found


def _by_table(rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["oid"], []).append(row)
    return found


def _is_odd(table: Row, root: Row) -> bool:
    return (
        table["kind"] != "r"
        or table["persistence"] != "p"
        or bool(table["keys"] or table["constraints"])
        or table["not_null"] != root["not_null"]
    )


def table_drift(view: TableView) -> Iterator[Drift]:
    """Yield what of the archive, its partitions included, would refuse or lose rows of the table."""
    source, archive = _tree(view.facts), _tree(view.archive_facts)
    if not source or not archive:
        return
    ours = _keys(source)
    for table in archive:
        subject = names.display(table["schema"], table["name"])
        if table is not archive[0]:
            yield from _kept(table, subject, view)
        for key in table["keys"]:
            if not _own(key, view) and not any(_implies(one, key, view) for one in [*ours["keys"], *ours["shorter"]]):
                yield _key_drift(key, subject, view)
        yield from _refusing(table, archive[0], source[0], subject, view)


def doubts(view: TableView) -> Iterator[Finding]:
    """Yield keys of the archive that fit only because PostgreSQL wants the partition key in every key of the table."""
    source = _tree(view.facts)
    if not source:
        return
    ours = _keys(source)
    for table in _tree(view.archive_facts):
        for key in table["keys"]:
            if any(_implies(one, key, view) for one in ours["keys"]):
                continue
            if any(_implies(one, key, view) for one in ours["shorter"]):
                subject = names.display(table["schema"], table["name"])
                text = f"key {_shown(key)} of {subject} is narrower than that of the table, which has the partition key"
                text += " in it: archiving stops at a second row with the same values; nothing is lost"
                remedy, about = f"give {subject} the table's own key", {"key": key["name"]}
                yield Finding.of("archive_key", view.subject, Severity.INFO, text, remedy, evidence=about)


def _tree(facts: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    return (facts or {}).get("tree") or ()


def _keys(source: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the table's own keys, and the same without what its partitioning forces into them."""
    keys = [key for key in source[0]["keys"] if key["valid"]]
    forced = {column for table in source for column in table["partitioned_by"]}
    shorter = [{**k, "elements": [e for e in k["elements"] if e["column"] not in forced]} for k in keys]
    return {"keys": keys, "shorter": [k for k in shorter if k["elements"] and forced]}


def _kept(table: Mapping[str, Any], subject: str, view: TableView) -> Iterator[Drift]:
    if table["kind"] == "f":
        text = f"{subject} is a foreign table: rows cannot go there and leave here in one transaction"
        yield Drift(text, f"detach {subject} and give the archive a partition on this server in its place")
    elif table["persistence"] != "p":
        yield lossy(subject, table["kind"], of=view.subject)


# -- keys --------------------------------------------------------------------------------------------


def _implies(ours: Mapping[str, Any], theirs: Mapping[str, Any], view: TableView) -> bool:
    """Return whether rows that a key of the table tells apart are told apart by a key of the archive, too."""
    if ours["predicate"] is not None and ours["predicate"] != theirs["predicate"]:
        return False
    if ours["excludes"] and not theirs["excludes"]:
        return False
    if not all(any(_same(one, other, view) for other in theirs["elements"]) for one in ours["elements"]):
        return False
    if ours["excludes"]:
        return bool(len(ours["elements"]) == len(theirs["elements"]))
    not_null = {c["name"] for c in (view.facts or {}).get("columns") or () if c["not_null"]}
    return (
        not theirs["nulls_equal"]
        or ours["nulls_equal"]
        or all(element["column"] in not_null for element in ours["elements"])
    )


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any], view: TableView) -> bool:
    """Return whether two values that the table's key tells apart are told apart in the archive's column."""
    if ours["text"] != theirs["text"] or (theirs["folds"] and theirs["folds"] != ours["folds"]):
        return False
    if ours["operator"] == theirs["operator"]:
        return True
    return bool(theirs["equals"] and ours["equals"] and ours["usual"] and theirs["usual"]) and _widened(ours, view)


def _widened(element: Mapping[str, Any], view: TableView) -> bool:
    """Return whether the archive's column is of another type, which `archive_table.drift` found wide enough."""
    types = [
        next((c["type"] for c in (facts or {}).get("columns") or () if c["name"] == element["column"]), None)
        for facts in (view.facts, view.archive_facts)
    ]
    return None not in types and types[0] != types[1]


def _own(key: Mapping[str, Any], view: TableView) -> bool:
    """Return whether a key of the archive has a column of the archive's own that it fills itself."""
    ours = {c["name"] for c in (view.facts or {}).get("columns") or ()}
    filled = {c["name"] for c in (view.archive_facts or {}).get("columns") or () if c["identity"] or c["default"]}
    return any(element["column"] in filled - ours for element in key["elements"])


def _key_drift(key: Mapping[str, Any], subject: str, view: TableView) -> Drift:
    folding = sorted({e["folds"] for e in key["elements"] if e["folds"]})
    kind = "exclusion constraint" if key["excludes"] else "unique key"
    text = f"{subject} has the {kind} {_shown(key)}, and the table has none that implies it"
    if folding:
        text += f" (its collation {', '.join(names.quote(c) for c in folding)} takes different texts for equal)"
    text += ": when a row is in the archive already with the same values, the next one would be refused"
    return Drift(text, f"drop the key {names.quote(key['name'])} of {subject}, or give {view.subject} the same one")


def _shown(key: Mapping[str, Any]) -> str:
    columns = ", ".join(e["text"] for e in key["elements"])
    where = f" where {key['predicate']}" if key["predicate"] else ""
    return f"{names.quote(key['name'])} ({columns}){' nulls not distinct' if key['nulls_equal'] else ''}{where}"


# -- checks, foreign keys, NOT NULL of one partition -------------------------------------------------


def _refusing(
    table: Mapping[str, Any], root: Mapping[str, Any], source: Mapping[str, Any], subject: str, view: TableView
) -> Iterator[Drift]:
    known = {c["text"] for c in source["constraints"] if c["valid"]}
    if table is not root:
        known |= {c["text"] for c in root["constraints"]}
    bounds = {column for one in _tree(view.archive_facts) for column in one["partitioned_by"]}
    for one in table["constraints"]:
        if one["text"] in known or (table is not root and one["kind"] == "c" and set(one["columns"]) <= bounds):
            continue
        word = "check" if one["kind"] == "c" else "foreign key"
        name = names.quote(one["name"])
        text = f"{subject} has the {word} {name}, which the table does not have: it would refuse rows"
        yield Drift(text, f"alter table {subject} drop constraint {name}")
    if table is root:
        return
    never = {c["name"] for c in (view.facts or {}).get("columns") or () if c["not_null"]}
    for column in sorted(set(table["not_null"]) - set(root["not_null"]) - never):
        quoted = names.quote(column)
        text = f"{subject}.{quoted} refuses NULL, the table does not"
        yield Drift(text, f"alter table {subject} alter column {quoted} drop not null")
