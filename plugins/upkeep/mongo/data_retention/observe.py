"""What retention reads: the catalog, and of each collection how much is due. Changes nothing.

Counts go through the index and have a time limit; what takes longer is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from upkeep.jobs.contract import Ask
from upkeep.model import Json, Observation
from upkeep.mongo import catalog, expiry, server_refusals
from upkeep.mongo.catalog import ARCHIVES, RETAINS
from upkeep.mongo.data_retention import age_facts, measurements, pipelines
from upkeep.mongo.data_retention.age_facts import known
from upkeep.mongo.data_retention.view import NIGHT, SMALL_ROWS, View, before, views_of
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession

FIRST_SAFE: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SAFE: Final = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)
"""A time-series collection with times outside has no automatic removal at all (manual)."""
PROOF_MS: Final = 600_000
"""To prove that what expires before the next run is archived: unknown would suspend the expiry, night after night."""


def observe(ask: Ask[MongoSession]) -> Observation:
    """Read what the plan and the gates need; change nothing."""
    session, target, at = ask.session, ask.target, ask.at
    retained = list(target.declared(["retain"]))
    archives = [p.retain.into for p in target.collections.values() if p.retain and p.retain.into]
    server = catalog.server(session)
    server["refuses"] = None
    # `None` when our user may not ask: "switched off" is another thing than "not known"
    server["ttl_monitor"] = (session.ask("getParameter", ttlMonitorEnabled=1) or {}).get("ttlMonitorEnabled")
    frames: dict[str, list[dict[str, Any]]] = {
        "server": [server],
        "collections": catalog.collections(session, [*retained, *archives]),
        "facts": [],
        "left": [],
    }
    granted = catalog.privileges(session)
    seen = views_of(frames, target, at)  # the facts are read by these views
    stored = [v.subject for v in seen if v.row is not None and v.row["kind"] == "collection"]
    refusal = server_refusals.of_server(session, target, [*stored, *archives], granted)
    if refusal is not None:
        server |= {"refuses": refusal.text, "remedy": refusal.remedy}
    frames["left"] = _left(session, ask.memory.expiries, {v.row["uuid"] for v in seen if v.row is not None})
    frames["facts"] = [_facts(session, v, granted) for v in seen if v.row is not None]
    return ask.answer(frames)


def _left(session: MongoSession, expiries: Mapping[str, Json], in_care: set[str]) -> list[Doc]:
    """Return the collections in nobody's care that expire, or do not, as Upkeep told the server."""
    left = {uuid: told for uuid, told in expiries.items() if uuid not in in_care}
    rows = catalog.collections(session, ["*"]) if left else []
    return [
        {"name": row["name"], **told}
        for row in rows
        if (told := left.get(row["uuid"])) is not None and row["expires"] == told["seconds"]
    ]


def _facts(session: MongoSession, view: View, granted: list[Doc] | None) -> Doc:
    facts: Doc = {"name": view.subject, "missing_privileges": _missing(session, view, granted)}
    if view.row is None or view.row["kind"] == "view" or not view.age:
        return facts
    facts |= _series(session, view) if view.is_series else _documents(session, view)
    return facts


def _missing(session: MongoSession, view: View, granted: list[Doc] | None) -> list[str]:
    """Return what our user may not do, as ``action on collection``."""
    wanted: dict[str, tuple[str, ...]] = {view.subject: ("find", "collMod") if view.is_series else RETAINS}
    if view.policy.into:
        wanted[view.policy.into] = ARCHIVES
    database = session.database.name
    return [
        f"{action} on {name}"
        for name, actions in wanted.items()
        for action in actions
        if not catalog.allowed(granted, database, name, action)
    ]


# -- ordinary collections ----------------------------------------------------------------------------


def _documents(session: MongoSession, view: View) -> Doc:
    collection = session.database[view.subject]
    hint: Doc = {"hint": view.age_index} if view.age_index else {}
    due = pipelines.load("due", age=view.age, cut_off=view.cut_off)
    sparse = any(i["name"] == view.age_index and i["sparse"] for i in (view.row or {})["indexes"])
    # a sparse index does not have the documents without the field: they are looked for without it
    rows = known(lambda: collection.estimated_document_count(maxTimeMS=LOOK_MS))
    small = (rows or 0) <= SMALL_ROWS
    return {
        "rows": rows,
        "due": known(lambda: collection.count_documents(due, maxTimeMS=LOOK_MS, **hint)),
        "dated": known(
            lambda: collection.find_one({view.age: {"$type": "date"}}, {"_id": 1}, max_time_ms=LOOK_MS) is not None
        ),
        **age_facts.facts(session, view.subject, view.age, view.age_index, sparse=sparse, small=small),
    }


# -- time-series collections -------------------------------------------------------------------------


def _series(session: MongoSession, view: View) -> Doc:
    row = view.row or {}
    collection, time = session.database[view.subject], row["time"]

    def count(low: datetime | None, high: datetime | None) -> int | None:
        bounds = {sign: moment for sign, moment in (("$gte", low), ("$lt", high)) if moment is not None}
        found: int | None = known(
            lambda: collection.count_documents({time: bounds} if bounds else {}, maxTimeMS=LOOK_MS)
        )
        return found

    tolerated = before(view.now, (view.expires or 0) + expiry.tolerance(row))
    outside = {"$or": [{time: {"$lt": FIRST_SAFE}}, {time: {"$gt": LAST_SAFE}}]}
    facts: Doc = {
        "rows": count(None, None),
        "due": count(None, view.cut_off),
        "expired": count(None, view.expired_before),
        "overdue": count(None, tolerated) if view.expires is not None else 0,
        "unsafe_times": known(lambda: collection.find_one(outside, {"_id": 1}, max_time_ms=LOOK_MS) is not None),
        "dated": True,
        "ends": known(lambda: age_facts.ends(collection, time, {})) or [],
    }
    return facts | _archived(session, view) if view.archives else facts


def _archived(session: MongoSession, view: View) -> Doc:
    """Compare what is due, and what the server expires before the next run, with the archive."""
    into, time = view.policy.into or "", (view.row or {})["time"]
    pair = measurements.Pair(session, view.subject, time, into)
    exposed_before = None
    if view.expires is not None:
        # never beyond now: what has not been written yet cannot be missing from the archive
        exposed_before = min(before(view.now, view.expires) + NIGHT, view.now)

    def same(high: datetime, limit_ms: int) -> bool | None:
        if not view.comparable:
            return None
        found: bool | None = known(lambda: pair.is_archived(high, limit_ms=limit_ms))
        return found

    return {
        # two limits: not known here only means copying again, there it would suspend an expiry that is right
        "archived": same(view.cut_off, LOOK_MS),
        "exposed": False if exposed_before is None else not same(exposed_before, PROOF_MS),
    }
