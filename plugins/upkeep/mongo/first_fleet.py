"""A first fleet entry for an existing MongoDB database: its collections, the biggest first."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, cast

from bson.datetime_ms import DatetimeMS
from pymongo.errors import OperationFailure

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, likeliest, scalar
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession

SECTION: Final = "collections"
_NEWEST: Final = 20
"""Documents whose fields are looked at for dates: no schema names them."""


def lines(session: Session) -> Iterator[str]:
    """Yield the lines below ``collections:`` for a target, indented for it."""
    mongo = cast("MongoSession", session)
    rows = [r for r in catalog.collections(mongo, ["*"]) if r["kind"] != "view" and not r["capped"]]
    known, closed = [], []
    for row in rows:
        try:
            known.append((_count(mongo, row), row, row["time"] or _age(mongo, row)))
        except OperationFailure as error:
            if faults.is_lost(error):
                raise
            closed.append(f"      # {row['name']} cannot be read: {faults.describe(error)}")
    known.sort(key=lambda one: (-one[0], one[1]["name"]))
    aged = [(count, row, age) for count, row, age in known if age is not None]
    for count, row, age in aged[:MOST]:
        yield ""
        yield from _collection(count, row, age)
    if len(aged) > MOST:
        yield f"      # … and {len(aged) - MOST} smaller collections with dates"
    yield from closed
    if len(known) > len(aged):
        yield f"      # {len(known) - len(aged)} collections have no field with a date: nothing tells a document's age"


def _collection(count: int, row: Doc, age: str) -> Iterator[str]:
    name = scalar(glob.escape(row["name"]))
    if row["kind"] == "timeseries":
        meta = f", meta: {scalar(row['meta'])}" if row["meta"] else ""
        shape = f"{{time: {scalar(row['time'])}{meta}, granularity: {row['granularity'] or 'seconds'}}}"
        expires = f", which expires after {row['expires']:,} s" if isinstance(row["expires"], int) else ""
        yield f"      # about {count:,} buckets of measurements{expires}"
        yield f"      {name}:"
        yield f"        timeseries: {shape}"
        yield "        # retain: {for: 90 days, then: delete}"
        return
    yield f"      # about {count:,} documents"
    if not any(index["keys"] and index["keys"][0][0] == age and index["partial"] is None for index in row["indexes"]):
        index = f"{{keys: {{{scalar(age)}: 1}}, name: by_age}}"
        yield f"      # no index leads with {age}; declare one first: indexes: [{index}]"
    for index in row["indexes"]:
        if index["expires"] is not None:
            yield f"      # the TTL index {index['name']} deletes by itself, after {index['expires']} s"
    yield f"      # {name}:"
    yield f"      #   retain: {{by: {scalar(age)}, for: 90 days, then: delete}}"


def _count(session: MongoSession, row: Doc) -> int:
    if row["kind"] == "timeseries":
        try:
            found: Doc = session.database.command("collStats", row["name"])
        except OperationFailure:  # our user may not ask
            found = {}
        return int(found.get("timeseries", {}).get("bucketCount", 0))
    return int(session.database[row["name"]].estimated_document_count(maxTimeMS=LOOK_MS))


def _age(session: MongoSession, row: Doc) -> str | None:
    """Return the field with dates that most likely tells a document's age, as its newest documents show it."""
    newest = session.database[row["name"]].find({}, sort=[("_id", -1)], limit=_NEWEST, max_time_ms=LOOK_MS)
    dates = dict.fromkeys(path for document in newest for path in _dates(document))
    return likeliest(dates, [index["keys"][0][0] for index in row["indexes"] if index["keys"]])


def _dates(document: Any, above: str = "") -> Iterator[str]:
    for name, value in document.items():
        if not name or "." in name or name.startswith("$"):
            continue  # a path cannot say it
        if isinstance(value, datetime | DatetimeMS):
            yield above + name
        elif isinstance(value, dict) and not above:
            yield from _dates(value, f"{name}.")
