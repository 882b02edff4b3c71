"""What is read: the TTL monitor, indexes and options, and how many documents are overdue. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pymongo.errors import PyMongoError

from upkeep.fleet import CollectionPolicy
from upkeep.fleet.ttl import seconds_of
from upkeep.jobs.contract import Ask
from upkeep.jobs.ttl_verification import retention
from upkeep.jobs.ttl_verification.overdue import MOST, OVERDUE, SECONDS, SHOWN, STALLED, earlier, identified
from upkeep.model import Observation
from upkeep.mongo import catalog, expiry, faults
from upkeep.mongo.session import Doc, MongoSession
from upkeep.mongo.ttl_verification import monitor

Found = TypeVar("Found")
KEYS: Final = ("ttl", "retain")
SMALL: Final = 10_000
"""A collection so small is read in a few milliseconds: it needs no index."""
_OTHER_TYPES: Final = ["number", "string", "bool", "timestamp", "object", "objectId"]
"""What may stand where a date should: never due to the server. Looked for in their own ranges of the index."""


def observe(ask: Ask[MongoSession]) -> Observation:
    """Read what is judged."""
    session, target = ask.session, ask.target
    collections = {name: policy for name, policy in target.collections.items() if policy.declares(KEYS)}
    frame = earlier(ask.memory.looks, {OVERDUE, STALLED})
    running, server = _monitor(session), catalog.server(session)
    tolerance = monitor.tolerance(running, frame, server["replication_lag_seconds"])
    own = retention.tolerance(ask.job, ask.memory.endings)
    rows = catalog.collections(session, list(collections))
    known = {row["name"]: row for row in rows}
    counted = [
        _counted(session, known[name], collections[pattern], ask.server.clock, (tolerance, own))
        for pattern, names in catalog.by_policy(known, collections, _archives(collections)).items()
        for name in names
    ]
    return ask.answer(
        {
            "server": [server],
            "monitor": [running],
            "collections": rows,
            "counted": counted,
            "earlier": frame,
            "endings": [dict(row) for row in ask.memory.endings],
        }
    )


def _archives(collections: Mapping[str, CollectionPolicy]) -> set[str]:
    return {p.retain.into for p in collections.values() if p.retain is not None and p.retain.into}


def _monitor(session: MongoSession) -> Doc:
    """Return the TTL monitor's switch, sleep and counts; ``None`` for what our user may not ask."""
    switches = session.ask("getParameter", ttlMonitorEnabled=1, ttlMonitorSleepSecs=1) or {}
    status = session.ask("serverStatus") or {}
    counts = (status.get("metrics") or {}).get("ttl") or {}
    passes, deleted = counts.get("passes"), counts.get("deletedDocuments")
    return {
        "enabled": switches.get("ttlMonitorEnabled"),
        "sleep": switches.get("ttlMonitorSleepSecs"),
        "passes": None if passes is None else int(passes),
        "deleted": None if deleted is None else int(deleted),
        "uptime": float(status.get("uptime", 0)),
        "host": f"{status.get('host')} {status.get('pid')}",
    }


def _counted(
    session: MongoSession, row: Doc, policy: CollectionPolicy, now: datetime, tolerances: tuple[float, float]
) -> Doc:
    """Return how many documents of a collection are overdue, and which; ``why`` says why that is not known."""
    counted: Doc = {"name": row["name"], "overdue": None, "why": "", "ids": [], "undated": None, "denied": False}
    counted["tolerance"] = tolerances[policy.ttl is None]
    try:
        return counted | _overdue(session, row, policy, now, tolerances)
    except PyMongoError as error:
        if faults.code(error) in faults.TIMED_OUT:
            return counted | {"why": f"they could not be counted in {SECONDS} s"}
        if faults.code(error) in faults.UNAUTHORIZED:
            return counted | {"why": "our user may not read them", "denied": True}
        raise


def _overdue(
    session: MongoSession, row: Doc, policy: CollectionPolicy, now: datetime, tolerances: tuple[float, float]
) -> Doc:
    monitors, own = tolerances
    name, kind = row["name"], row["kind"]
    if kind == "view" or (policy.ttl is not None and kind != "collection"):
        return {"why": f"it is a {kind}"}
    if policy.ttl is not None:
        bound = _before(now, seconds_of(policy.ttl.after) + monitors)
        return _by_index(session, row, policy.ttl.by, {policy.ttl.by: {"$lt": bound}}, undated=True)
    assert policy.retain is not None  # noqa: S101 - as `observe` chose it
    if kind == "timeseries":
        allowed = expiry.tolerance(row) - expiry.PASS_SECONDS + monitors
        bound = _before(now, expiry.wanted(policy.retain) + allowed)
        return {"tolerance": allowed} | _count(session, name, {row["time"]: {"$lt": bound}}, row["time"], {})
    field = policy.age_field or ""
    due = retention.due_before(policy.retain, now, own)
    if due is None:
        return {"tolerance": own, "overdue": 0}
    # a list of dates is never due to retention
    filter_ = {field: {"$lt": due}, "$expr": {"$eq": [{"$type": f"${field}"}, "date"]}}
    return {"tolerance": own} | _by_index(session, row, field, filter_, undated=False)


def _before(now: datetime, seconds: float) -> datetime:
    """Return the instant so many seconds before now; longer ago than the calendar, its beginning."""
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)


def _by_index(session: MongoSession, row: Doc, field: str, filter_: Doc, *, undated: bool) -> Doc:
    """Count through an index that leads with the field; without one, a small collection as a whole."""
    leading = [i for i in row["indexes"] if i["keys"][0][0] == field and i["keys"][0][1] in (1, -1)]
    usable = [i for i in leading if not i["hidden"]]
    index = next((i for i in usable if i["partial"] is None), usable[0] if usable else None)
    if index is None:
        if session.database[row["name"]].estimated_document_count(maxTimeMS=SECONDS * 1000) > SMALL:
            hidden = " that is not hidden" if leading else ""
            return {"why": f"it has no index on '{field}'{hidden}"}
    elif index["partial"] is not None:
        filter_ = {"$and": [filter_, catalog.value(index["partial"])]}
    hint: Doc = {"hint": index["name"]} if index is not None else {}
    counted = _count(session, row["name"], filter_, field, hint)
    if undated and (index is None or index["partial"] is None):
        other = {field: {"$type": _OTHER_TYPES}}
        counted["undated"] = _known(
            lambda: session.database[row["name"]].count_documents(
                other, limit=MOST + 1, maxTimeMS=SECONDS * 1000, **hint
            )
        )
    return counted


def _count(session: MongoSession, name: str, filter_: Doc, field: str, hint: Doc) -> Doc:
    collection = session.database[name]
    limit = {"maxTimeMS": SECONDS * 1000, **hint}
    count = collection.count_documents(filter_, limit=MOST + 1, **limit)
    ids: list[str] = []
    if count:
        first = _known(
            lambda: [
                document["_id"]
                for document in collection.find(filter_, {"_id": 1}, max_time_ms=SECONDS * 1000, **hint)
                .sort(field, 1)
                .limit(SHOWN)
            ]
        )
        ids = [identified(catalog.text(one)) for one in first or ()]
    return {"overdue": count, "ids": ids}


def _known(look: Callable[[], Found]) -> Found | None:
    """Return what a look finds; ``None`` when the time is over or our user may not look."""
    try:
        return look()
    except PyMongoError as error:
        if faults.code(error) in (*faults.TIMED_OUT, *faults.UNAUTHORIZED):
            return None
        raise
