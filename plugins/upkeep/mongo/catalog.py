"""What exists: collections, their options, their indexes, as plain rows; and what our user may do.

Two round trips for the whole database, and one more for each collection in care.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from bson import json_util
from bson.json_util import JSONMode, JSONOptions
from pymongo.errors import OperationFailure

from upkeep.fleet import Target
from upkeep.mongo import faults
from upkeep.mongo.session import Doc, MongoSession

CREATES: Final = ("createCollection", "createIndex", "collMod")
"""What partition creation does to a collection."""
SHAPES: Final = ("timeseries", "validator", "indexes")
"""Keys of a policy that say how a collection is made."""
RETAINS: Final = ("find", "remove")
ARCHIVES: Final = ("find", "insert", "update")
"""``$merge`` asks for update, although ours never changes a document that is there."""
_SERVERS_OWN: Final = ("local", "config")
_BUCKETS: Final = "system.buckets."
_RELAXED: Final = JSONOptions(json_mode=JSONMode.RELAXED, tz_aware=True)


def text(value: Any) -> str | None:
    """Return a value of the server as relaxed extended JSON, in its own order of keys; ``None`` stays."""
    return None if value is None else json_util.dumps(value, json_options=_RELAXED)


def value(written: str | None) -> Any:
    """Return what `text` wrote."""
    return None if written is None else json_util.loads(written)


def shaped(target: Target) -> list[str]:
    """Return the names (or globs) whose policy says how a collection is made."""
    return [name for name, policy in target.collections.items() if policy.declares(SHAPES)]


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that a declared name or glob stands for; the server's own are none of them."""
    if not is_glob(pattern):
        return [name for name in names if name == pattern]
    return sorted(n for n in names if fnmatchcase(n, pattern) and not n.startswith("system."))


def by_policy(names: Iterable[str], patterns: Iterable[str], archives: Collection[str] = ()) -> dict[str, list[str]]:
    """Return each declared name's or glob's collections: a name in full wins over globs, of globs the first.

    Parameters
    ----------
    archives
        Collections into which documents are archived: only a name in full means them, never a glob.
    """
    known, declared = list(names), list(patterns)
    found: dict[str, list[str]] = {pattern: [] for pattern in declared}
    taken = {pattern for pattern in declared if not is_glob(pattern)} | set(archives)
    for pattern in declared:
        if not is_glob(pattern):
            found[pattern] = matching(known, pattern)
            continue
        found[pattern] = [name for name in matching(known, pattern) if name not in taken]
        taken.update(found[pattern])
    return found


def is_glob(pattern: str) -> bool:
    """Return whether a declared name stands for many."""
    return any(sign in pattern for sign in "*?[")


def collections(session: MongoSession, wanted: Collection[str]) -> list[Doc]:
    """Return a row for every collection that a wanted name or glob stands for, with its indexes.

    A glob never means a view; by its name in full one is named, and refused as what it is.
    """
    found = {row["name"]: row for row in session.database.list_collections()}
    # a view stores nothing: a glob that also fits one means the collections beside it
    stored = [name for name, row in found.items() if row["type"] != "view"]
    names = sorted({n for pattern in wanted for n in matching(stored if is_glob(pattern) else found, pattern)})
    return [_row(session, found[name], found.get(_BUCKETS + name)) for name in names]


def _row(session: MongoSession, info: Mapping[str, Any], buckets: Mapping[str, Any] | None) -> Doc:
    options = info.get("options", {})
    series = options.get("timeseries")
    # a time-series collection is a view of its buckets, which have the uuid
    uuid = ((buckets or info).get("info") or {}).get("uuid")
    return {
        "name": info["name"],
        "kind": info["type"],
        "uuid": None if uuid is None else bytes(uuid).hex(),
        "capped": bool(options.get("capped")),
        "validator": text(options.get("validator")),
        "level": options.get("validationLevel", "strict"),
        "action": options.get("validationAction", "error"),
        "expires": _number(options.get("expireAfterSeconds")),
        "time": series and series["timeField"],
        "meta": series and series.get("metaField"),
        "granularity": series and series.get("granularity"),
        "span": series and series.get("bucketMaxSpanSeconds"),
        "indexes": [] if info["type"] == "view" else indexes(session, info["name"]),
    }


def indexes(session: MongoSession, name: str) -> list[Doc]:
    """Return a row for each index of a collection, those under construction too; none when it is not there."""
    try:
        found = list(session.database[name].list_indexes())
    except OperationFailure as error:
        if faults.code(error) == faults.NO_NAMESPACE:
            return []
        raise
    return [
        {
            "name": index["name"],
            "keys": _keys(index),
            "unique": bool(index.get("unique")),
            "sparse": bool(index.get("sparse")),
            "hidden": bool(index.get("hidden")),
            "partial": text(index.get("partialFilterExpression")),
            "collation": text(index.get("collation")),
            # of a clustered collection later releases repeat here what is the collection's own
            "expires": None if index.get("clustered") else _number(index.get("expireAfterSeconds")),
        }
        for index in found
    ]


def _keys(index: Mapping[str, Any]) -> list[list[Any]]:
    """Return the keys in order. A text index keeps its fields as weights, in alphabetical order."""
    keys: list[list[Any]] = []
    for field, kind in index["key"].items():
        if field == "_fts":
            keys += [[weighted, "text"] for weighted in sorted(index.get("weights", {}))]
        elif field != "_ftsx":
            keys.append([field, kind if isinstance(kind, str) else 1 if kind > 0 else -1])
    return keys


def _number(value: Any) -> int | float | str | None:
    """Return seconds as they are; what JSON has no number for, as text (NaN has wiped collections: SERVER-68477)."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN
        return str(value)
    return int(value) if float(value).is_integer() else float(value)


def privileges(session: MongoSession) -> list[Doc] | None:
    """Return the privileges of our user; ``None`` where the server asks for no login, so that all is allowed."""
    answer = session.client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    if not answer.get("authenticatedUsers"):
        return None
    return [
        {"resource": dict(p["resource"]), "actions": list(p["actions"])}
        for p in answer.get("authenticatedUserPrivileges", [])
    ]


def allowed(granted: Sequence[Doc] | None, database: str, collection: str, action: str) -> bool:
    """Return whether the privileges allow an action on a collection."""
    return granted is None or holds(granted, {"db": database, "collection": collection}, action)


def holds(granted: Sequence[Doc], resource: Mapping[str, Any], action: str) -> bool:
    """Return whether privileges hold an action on a resource, as the server names it."""
    return any(action in p["actions"] and _covers(p["resource"], resource) for p in granted)


def _covers(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    if given.get("anyResource"):
        return True
    if "cluster" in wanted or "cluster" in given:
        return bool(wanted.get("cluster")) and bool(given.get("cluster"))
    if given.get("db", "") not in ("", wanted["db"]):
        return False
    if "system_buckets" in wanted or "system_buckets" in given:  # those are no collections to a right on all of them
        return given.get("system_buckets") == "" and "system_buckets" in wanted
    name = wanted["collection"]
    # a right on all collections of any database is none on these two, which have to be named
    if given.get("db") == given.get("collection") == "" and wanted["db"] in _SERVERS_OWN:
        return False
    return given.get("collection") == name or (given.get("collection") == "" and not name.startswith("system."))


def server(session: MongoSession) -> Doc:
    """Return the server's row for the gates; what our user may not ask is ``None``, or as the server bounds it."""
    stats = session.database.command("dbStats")
    free = None
    if stats.get("fsTotalSize"):  # 0 while the database does not exist
        free = int(stats["fsTotalSize"] - stats["fsUsedSize"])
    return {
        "subject": "server",
        "reachable": True,
        "is_replica": not session.hello.get("isWritablePrimary", False),
        "version": session.version,
        "version_tested": session.tested,
        "topology": session.topology,
        "disk_free_bytes": free,
        "replication_lag_seconds": replication_lag(session),
        "longest_transaction_seconds": longest_transaction(session),
        "now": session.now().isoformat(),
    }


def replication_lag(session: MongoSession) -> float | None:
    """Return how far the slowest data-bearing member is behind, in seconds; ``None`` where there is none.

    Without the right to ask (``clusterMonitor``), how far a majority is behind is what ``hello`` tells everybody.
    """
    if session.topology != "replica_set":
        return None
    status = session.ask("replSetGetStatus")
    if status is None:
        last = session.greet()["lastWrite"]
        majority: timedelta = last["lastWriteDate"] - last["majorityWriteDate"]
        return max(majority.total_seconds(), 0.0)
    moments = {m["stateStr"]: m["optimeDate"] for m in status["members"] if m["stateStr"] == "PRIMARY"}
    primary = moments.get("PRIMARY")
    # arbiters hold no data, and a member that is down cannot be waited for
    behind = [m["optimeDate"] for m in status["members"] if m["stateStr"] in ("SECONDARY", "RECOVERING")]
    if primary is None or not behind:
        return None
    slowest: timedelta = primary - min(behind)
    return max(slowest.total_seconds(), 0.0)


NAMED_HOLDERS: Final = 3


def holders(session: MongoSession, collection: str) -> str:
    """Return who is at a collection, or has a transaction open, longest first: whose locks ours waits for."""
    pipeline: list[Doc] = [
        {"$currentOp": {"allUsers": True, "idleSessions": True}},
        {
            "$match": {
                "appName": {"$ne": session.application},
                "$or": [
                    {"ns": f"{session.database.name}.{collection}", "waitingForLock": {"$ne": True}},
                    {"transaction.timeOpenMicros": {"$exists": True}},
                ],
            }
        },
    ]
    try:
        found = list(session.client.admin.aggregate(pipeline))
    except OperationFailure as error:
        if faults.is_lost(error):
            raise
        return "who, our user may not see: grant it clusterMonitor"
    if not found:
        return "nobody any more"
    found.sort(key=_held_for, reverse=True)
    more = f" and {len(found) - NAMED_HOLDERS} more" if len(found) > NAMED_HOLDERS else ""
    return "; ".join(map(_holder, found[:NAMED_HOLDERS])) + more


def _held_for(operation: Mapping[str, Any]) -> float:
    opened = (operation.get("transaction") or {}).get("timeOpenMicros") or operation.get("microsecs_running") or 0
    return float(opened) / 1e6


def _holder(operation: Mapping[str, Any]) -> str:
    users = ", ".join(str(user.get("user")) for user in operation.get("effectiveUsers") or ())
    whose = f" of user {users}" if users else ""  # the server tells none of an idle one
    what = "a transaction" if operation.get("transaction") else f"{operation.get('op', 'an operation')}"
    which = f"opid {operation['opid']}" if "opid" in operation else "idle"
    app = operation.get("appName") or "no name"
    client = operation.get("client") or "this server"
    return f"{what}{whose} ({app}, from {client}, {which}) for {_held_for(operation):.0f} s"


TRANSACTION_LIMIT: Final = 60.0
"""The server ends transactions after a minute (transactionLifetimeLimitSeconds): nothing older holds anything."""


def longest_transaction(session: MongoSession) -> float:
    """Return the age of the oldest open transaction in seconds, or where we may not ask, what the server allows."""
    pipeline: list[Doc] = [
        {"$currentOp": {"allUsers": True, "idleSessions": True}},
        {"$match": {"transaction.timeOpenMicros": {"$exists": True}}},
        {"$group": {"_id": None, "longest": {"$max": "$transaction.timeOpenMicros"}}},
    ]
    try:
        found = list(session.client.admin.aggregate(pipeline))
    except OperationFailure as error:
        if faults.is_lost(error):
            raise
        return TRANSACTION_LIMIT
    return float(found[0]["longest"]) / 1e6 if found else 0.0
