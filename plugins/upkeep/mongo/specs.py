"""Collections and indexes as declared, the commands that make them, and how they differ from what is there. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from upkeep.fleet import CollectionPolicy, IndexPolicy
from upkeep.model import Json, Severity
from upkeep.mongo import catalog

GRANULARITIES: Final = ("seconds", "minutes", "hours")
"""In the only order in which the server changes them, one step at a time."""
_VALIDATION: Final = {"validationLevel": "strict", "validationAction": "error"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a collection is not as declared.

    Attributes
    ----------
    check
        The finding's name.
    remedy
        What a person would do: the exact command where there is one.
    command, reverse
        What corrects it in place and what takes that back; ``None`` when the server cannot.
    """

    check: str
    text: str
    remedy: str
    severity: Severity = Severity.WARNING
    command: Json | None = None
    reverse: Json | None = None
    evidence: Json = field(default_factory=dict)


def shell(command: Mapping[str, Any]) -> str:
    """Return a database command as a person would type it."""
    return f"db.runCommand({catalog.text(dict(command))})"


# -- collections -------------------------------------------------------------------------------------


def validation(written: str) -> Json:
    """Return ``validator``, ``validationLevel`` and ``validationAction`` of a validator file's text.

    Raises
    ------
    ValueError
        It is not JSON, or no validator.
    """
    try:
        data = catalog.value(written)
    except (ValueError, TypeError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError("a validator is a JSON object")  # noqa: TRY004 - a mistake in a file, said like the others
    if "validator" not in data:
        data = {"validator": data}
    unknown = set(data) - {"validator", *_VALIDATION}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}; write validator, validationLevel, validationAction")
    return {"validator": data["validator"], **_VALIDATION, **data}


def create_command(name: str, policy: CollectionPolicy, validator: Json | None) -> Json:
    """Return the command that makes a collection."""
    command: Json = {"create": name}
    if policy.timeseries is not None:
        series = policy.timeseries
        command["timeseries"] = {"timeField": series.time, "granularity": series.granularity}
        if series.meta is not None:
            command["timeseries"]["metaField"] = series.meta
    if validator is not None:
        command |= validator
    return command


def collection_differences(policy: CollectionPolicy, row: Json, validator: Json | None) -> Iterator[Difference]:
    """Yield how a collection that is there differs from its policy, without its indexes."""
    name = row["name"]
    wanted = "timeseries" if policy.timeseries else "collection"
    if row["kind"] != wanted:
        kind = {"collection": "an ordinary collection", "timeseries": "a time-series collection", "view": "a view"}
        text = f"it is {kind[row['kind']]}, declared is {kind[wanted]}"
        remedy = f"copy it: create another one, aggregate with $out or $merge into it, then rename; or correct '{name}'"
        yield Difference("kind", text, remedy, Severity.ERROR)
        return
    if policy.timeseries is not None:
        yield from _series(policy, row)
    if validator is not None:
        yield from _validator(row, validator)


def _series(policy: CollectionPolicy, row: Json) -> Iterator[Difference]:
    series = policy.timeseries
    if series is None:
        return
    for what, declared, actual in (("time", series.time, row["time"]), ("meta", series.meta, row["meta"])):
        if declared != actual:
            text = f"its {what} field is '{actual}', declared is '{declared}'; the server cannot change it"
            yield Difference("timeseries", text, "correct the fleet file, or copy it into a new one", Severity.ERROR)
    declared, actual = series.granularity, row["granularity"]
    if declared == actual:
        return
    evidence: Json = {"declared": declared, "actual": actual}
    if actual is None or GRANULARITIES.index(declared) < GRANULARITIES.index(actual):
        text = f"its granularity is {actual or 'given by bucket spans'}, declared is {declared}; it can only rise"
        remedy = f"write granularity: {actual or 'what it is'}, or copy it into a new collection"
        yield Difference("granularity", text, remedy, Severity.ERROR, evidence=evidence)
        return
    step = GRANULARITIES[GRANULARITIES.index(actual) + 1]
    command = {"collMod": row["name"], "timeseries": {"granularity": step}}
    text = f"its granularity is {actual}, declared is {declared}"
    yield Difference("granularity", text, shell(command), command=command, evidence=evidence)


def _validator(row: Json, validator: Json) -> Iterator[Difference]:
    there = {
        "validator": catalog.value(row["validator"]) or {},
        "validationLevel": row["level"],
        "validationAction": row["action"],
    }
    if there == validator:
        return
    command = {"collMod": row["name"], **validator}
    changed = [key for key, declared in validator.items() if there[key] != declared]
    yield Difference(
        "validator",
        f"its {' and '.join(changed)} differ from the declared file" if row["validator"] else "it has no validator",
        shell(command),
        command=command,
        reverse={"collMod": row["name"], **there},
    )


# -- indexes -----------------------------------------------------------------------------------------


def index_spec(index: IndexPolicy) -> Json:
    """Return an index as ``createIndexes`` takes it."""
    spec: Json = {"key": dict(index.keys), "name": index.name}
    spec |= {key: True for key in ("unique", "sparse") if getattr(index, key)}
    if index.partial is not None:
        spec["partialFilterExpression"] = catalog.value(json.dumps(index.partial, default=str))
    if index.collation is not None:
        spec["collation"] = index.collation
    return spec


def create_index_command(collection: str, index: IndexPolicy) -> Json:
    """Return the command that builds an index; it counts as built when a majority of members has it."""
    return {"createIndexes": collection, "indexes": [index_spec(index)], "commitQuorum": "majority"}


def missing_indexes(policy: CollectionPolicy, row: Json | None) -> list[IndexPolicy]:
    """Return the declared indexes that are not there, and whose name and keys no other index has."""
    there = row["indexes"] if row is not None else []
    return [i for i in policy.indexes if not any(i.name == o["name"] or same_keys(i, o) for o in there)]


def index_differences(policy: CollectionPolicy, row: Json) -> Iterator[Difference]:
    """Yield how the indexes that are there differ from the declared ones."""
    there = {index["name"]: index for index in row["indexes"]}
    for index in policy.indexes:
        other = there.get(index.name)
        if other is None:
            yield from _renamed(row, index)
        elif not same_keys(index, other) or _options(index) != _actual(other):
            yield _conflict(row, index, other)
        elif other["hidden"]:
            command = {"collMod": row["name"], "index": {"name": index.name, "hidden": False}}
            reverse = {"collMod": row["name"], "index": {"name": index.name, "hidden": True}}
            text = f"index {index.name} is hidden: no query uses it"
            yield Difference("hidden_index", text, shell(command), command=command, reverse=reverse)
    yield from _undeclared(policy, row)


def _renamed(row: Json, index: IndexPolicy) -> Iterator[Difference]:
    for other in row["indexes"]:
        if same_keys(index, other) and _options(index) != _actual(other):
            yield _conflict(row, index, other)
            return
        if same_keys(index, other):
            drop = f"db.getCollection({json.dumps(row['name'])}).dropIndex({json.dumps(other['name'])})"
            text = f"index {index.name} is there under the name {other['name']}; the server refuses a second one"
            remedy = f"write name: {other['name']} in the fleet file, or {drop} and run again"
            yield Difference("index_name", text, remedy, evidence={"declared": index.name, "actual": other["name"]})
            return


def _conflict(row: Json, index: IndexPolicy, other: Json) -> Difference:
    drop = f"db.getCollection({json.dumps(row['name'])}).dropIndex({json.dumps(other['name'])})"
    what = "options" if same_keys(index, other) else "keys"
    return Difference(
        "index_conflict",
        f"index {other['name']} has other {what} than declared for {index.name}, which cannot be built beside it",
        f"{drop}, then run again: the declared one is built; or correct the fleet file",
        Severity.ERROR,
        evidence={"declared": catalog.text(index_spec(index)), "actual": other},
    )


def _undeclared(policy: CollectionPolicy, row: Json) -> Iterator[Difference]:
    extra = [
        o["name"]
        for o in row["indexes"]
        if not made_by_server(row, o) and not any(i.name == o["name"] or same_keys(i, o) for i in policy.indexes)
    ]
    if extra and policy.indexes:
        text = f"indexes that are not declared: {', '.join(extra)}"
        yield Difference("undeclared_index", text, "declare them, or see whether anybody uses them", Severity.INFO)


def made_by_server(row: Json, index: Json) -> bool:
    """Return whether the server made an index itself: the one on ``_id``; since 6.3 that on meta and time."""
    if index["name"] == "_id_" or index["keys"] == [["_id", 1]]:
        return True
    return bool(row["time"]) and index["keys"] == [[row["meta"], 1], [row["time"], 1]]


def same_keys(index: IndexPolicy, other: Json) -> bool:
    """Return whether an index that is there has the declared keys and filters the same documents."""
    if _declared_keys(index) != other["keys"]:
        return False
    return bool(index.partial == catalog.value(other["partial"])) and _same_collation(index, other)


def _declared_keys(index: IndexPolicy) -> list[list[Any]]:
    """Return the keys as the catalog shows them: the fields of a text index in alphabetical order."""
    texts = iter(sorted(field for field, kind in index.keys.items() if kind == "text"))
    return [[next(texts) if kind == "text" else field, kind] for field, kind in index.keys.items()]


def _same_collation(index: IndexPolicy, other: Json) -> bool:
    declared = index.collation or {}
    actual = catalog.value(other["collation"]) or {}
    if declared.get("locale", "simple") == "simple":
        return not actual
    return all(actual.get(key) == value for key, value in declared.items())  # the server adds its defaults


def _options(index: IndexPolicy) -> Json:
    return {"unique": index.unique, "sparse": index.sparse}


def _actual(other: Json) -> Json:
    return {"unique": other["unique"], "sparse": other["sparse"]}
