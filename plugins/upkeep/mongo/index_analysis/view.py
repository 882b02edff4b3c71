"""MongoDB's indexes as all engines have them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.fleet.policies.indexes import IndexesPolicy
from upkeep.jobs.index_analysis import advice
from upkeep.jobs.index_analysis.indexes import Index
from upkeep.model import Observation
from upkeep.mongo import catalog, specs
from upkeep.mongo.session import Doc

_BESIDES: Final = ("partial", "collation", "sparse")
"""What makes two indexes with the same keys hold other documents, or in another order."""


def of(observation: Observation, target: Target) -> list[Index]:
    """Return the indexes of an observation."""
    return indexes(observation.frames, target, replica=observation.server.replica)


def indexes(frames: Mapping[str, list[Doc]], target: Target | None = None, *, replica: bool = False) -> list[Index]:
    """Return the indexes that the frames tell of; without a target nobody's word keeps any of them."""
    hinders = "the server takes no writes" if replica else ""
    if any(row.get("unknown") for row in frames["shard_keys"]):
        hinders = "which index is a shard key cannot be seen: grant read on the database config"
    if frames["server"] and frames["server"][0]["topology"] == "sharded":
        hinders = "a router of a sharded cluster: give each shard's replica set as a target"
    shards = {row["collection"]: row["keys"] for row in frames["shard_keys"] if "keys" in row}
    return [_index(row, target, shards.get(row["collection"]), hinders) for row in frames["indexes"]]


def subject_of(collection: str, name: str) -> str:
    """Return an index's name as people read it; the first dot outside quotes parts collection and index.

    >>> subject_of("events", "at.day_1")
    'events.at.day_1'
    >>> subject_of("app.events", "at_1")
    '"app.events".at_1'
    """
    plain = "." not in collection and '"' not in collection
    return f"{collection if plain else json.dumps(collection, ensure_ascii=False)}.{name}"


def _index(row: Doc, target: Target | None, shard: list[str] | None, hinders: str) -> Index:
    policy = (IndexesPolicy.of(target) if target is not None else None) or IndexesPolicy()
    subject = subject_of(row["collection"], row["name"])
    plain = all(kind in (1, -1) for _, kind in row["keys"]) and not any("$**" in field for field, _ in row["keys"])
    keys = _from_one_end(row["keys"]) if plain else row["keys"]
    besides = {key: row[key] for key in _BESIDES}
    return Index(
        subject=subject,
        table=row["collection"],
        age=row["place"],
        shape=json.dumps([keys, besides, row["unique"], row["expires"]] if plain else [row["name"]]),
        keys=tuple(json.dumps(key) for key in keys),
        rest=json.dumps(besides),
        unique=row["unique"],
        bound=next(_bound(row, target, shard), "") or advice.kept(policy, subject),
        hinders=hinders,
        valid=not row["building"],
        hidden=row["hidden"],
        prefixes=plain,
        bytes=row["bytes"],
        row={**row, "definition": definition(row)},
    )


def _from_one_end(keys: list[list[Any]]) -> list[list[Any]]:
    """Return the keys as they are read from the end at which the first one rises: an index is read from both."""
    flip = -1 if keys and keys[0][1] == -1 else 1
    return [[field, kind * flip] for field, kind in keys]


def _bound(row: Doc, target: Target | None, shard: list[str] | None) -> Iterator[str]:
    if row["keys"] == [["_id", 1]]:
        yield "it is the index on _id"
    if row["unique"]:
        yield "it keeps values unique"
    if row["expires"] is not None:
        yield "documents expire by it"
    if shard is not None and [field for field, _ in row["keys"][: len(shard)]] == shard:
        yield "it carries the shard key"
    for pattern, policy in target.collections.items() if target is not None else ():
        if catalog.matching([row["collection"]], pattern) and any(
            one.name == row["name"] or specs.same_keys(one, row) for one in policy.indexes
        ):
            yield "the fleet file declares it (collections: indexes)"


def definition(row: Doc) -> str:
    """Return the index as the shell's ``createIndex`` takes it."""
    keys = ", ".join(f"{json.dumps(field, ensure_ascii=False)}: {json.dumps(kind)}" for field, kind in row["keys"])
    options = {"name": row["name"], **{key: True for key in ("unique", "sparse") if row[key]}}
    options |= {"expireAfterSeconds": row["expires"]} if row["expires"] is not None else {}
    told = json.dumps(options, ensure_ascii=False)[:-1]
    told += f', "partialFilterExpression": {row["partial"]}' if row["partial"] is not None else ""
    told += f', "collation": {row["collation"]}' if row["collation"] is not None else ""
    return f"createIndex({{{keys}}}, {told}}})"
