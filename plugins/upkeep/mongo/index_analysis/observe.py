"""What index analysis reads: each collection's indexes and sizes, and from every member how often they were used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

import pymongo
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from upkeep.jobs.contract import Ask
from upkeep.jobs.index_analysis import advice
from upkeep.model import Observation
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession, client_for_member

_CLUSTER: Final = "grant clusterMonitor to our user"


def observe(ask: Ask[MongoSession]) -> Observation:
    """Read the indexes of the database; time-series collections and views are left out."""
    session = ask.session
    names = sorted(
        row["name"]
        for row in session.database.list_collections()
        if row["type"] == "collection" and not row["name"].startswith("system.")
    )
    usage, unknown = _usage(session, names)
    frames: dict[str, list[Doc]] = {
        "server": [
            {"subject": "server", "reachable": True, "version_tested": session.tested, "topology": session.topology}
        ],
        "indexes": read(session, names),
        "shard_keys": shard_keys(session),
        "usage": usage,
        "unknown": unknown,
        "earlier": advice.earlier(ask.memory),
    }
    return ask.answer(frames)


def read(session: MongoSession, names: Sequence[str]) -> list[Doc]:
    """Return a row for each index of these collections, in the order of their making; none of what is not there."""
    rows: list[Doc] = []
    for found in catalog.collections(session, names):
        if found["kind"] != "collection" or found["name"] not in names:
            continue
        sizes, building = _sizes(session, found["name"])
        about = {"collection": found["name"], "uuid": found["uuid"]}
        for place, index in enumerate(found["indexes"]):
            name = index["name"]
            rows.append({**index, **about, "place": place, "bytes": sizes.get(name), "building": name in building})
    return rows


def _sizes(session: MongoSession, name: str) -> tuple[Mapping[str, int], Sequence[str]]:
    """Return the sizes of a collection's indexes, and which are still being built; empty where we may not ask."""
    try:
        found = list(session.database[name].aggregate([{"$collStats": {"storageStats": {}}}], maxTimeMS=LOOK_MS))
    except OperationFailure as error:
        if faults.is_lost(error):
            raise
        return {}, ()
    stats = found[0].get("storageStats", {}) if found else {}
    return stats.get("indexSizes", {}), stats.get("indexBuilds", ())


def shard_keys(session: MongoSession) -> list[Doc]:
    """Return the shard keys that a member of a shard knows of; empty on any other server.

    ``unknown``: our user may not read them, and the server is of a shard.
    """
    pattern = f"^{re.escape(session.database.name)}\\."
    try:
        found = list(session.client["config"]["cache.collections"].find({"_id": {"$regex": pattern}}, {"key": 1}))
    except OperationFailure as error:
        if faults.is_lost(error):
            raise
        status = session.ask("serverStatus")
        return [{"unknown": True}] if status is None or "sharding" in status else []
    prefix = len(session.database.name) + 1
    return [{"collection": row["_id"][prefix:], "keys": list(row["key"])} for row in found if "key" in row]


def _usage(session: MongoSession, names: Sequence[str]) -> tuple[list[Doc], list[Doc]]:
    """Return each index's count over all members; and why there is none, where one of them cannot be asked."""
    try:
        members = _members(session)
        with ExitStack() as opened:
            databases = {name: _database(session, name, opened) for name in members}
            found = [row for name in names for row in _counted(databases, name)]
    except _UnknownError as error:
        return [], [{"why": str(error), "remedy": error.remedy}]
    return found, []


class _UnknownError(Exception):
    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


def _members(session: MongoSession) -> list[str]:
    """Return the members that hold data, hidden ones too."""
    if session.topology == "sharded":
        text = "a router counts no use of indexes"
        raise _UnknownError(text, "give each shard's replica set as a target")
    if session.topology == "standalone":
        return [""]
    answer = session.ask("replSetGetConfig")
    if answer is None:
        raise _UnknownError("our user may not see which members the replica set has", _CLUSTER)
    return [m["host"] for m in answer["config"]["members"] if not m.get("arbiterOnly")]


def _database(session: MongoSession, member: str, opened: ExitStack) -> Database[Doc]:
    if member in ("", session.hello.get("me")):
        return session.database
    client: pymongo.MongoClient[Doc] = opened.enter_context(client_for_member(session, member))
    return client[session.database.name]


def _counted(databases: Mapping[str, Database[Doc]], name: str) -> Iterator[Doc]:
    """Yield the use of a collection's indexes: counts added up, the latest beginning, all beginnings."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for member, database in databases.items():
        try:
            rows = list(database[name].aggregate([{"$indexStats": {}}], maxTimeMS=LOOK_MS))
        except OperationFailure as error:
            if faults.code(error) in faults.UNAUTHORIZED:
                raise _UnknownError("our user may not see how indexes are used", _CLUSTER) from error
            raise _UnknownError(f"{member or 'the server'}: {faults.describe(error)}", "see there") from error
        except PyMongoError as error:
            text = f"member {member} counts its own queries, and cannot be asked: {faults.describe(error)}"
            raise _UnknownError(text, "bring it back, or let this host reach it") from error
        for row in rows:
            found.setdefault(row["name"], []).append((member, row["accesses"]))
    for index, counts in found.items():
        if len(counts) == len(databases):  # else it is being built there
            since = {member: one["since"].isoformat() for member, one in counts}
            yield {
                "collection": name,
                "name": index,
                "scans": sum(int(one["ops"]) for _, one in counts),
                "since": max(since.values()),
                "counters": ", ".join(f"{member} {since[member]}" for member in sorted(since)),
            }
