"""A first fleet entry for an existing MongoDB database: its collections, the biggest first."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, cast

from bson.datetime_ms import DatetimeMS
from pymongo.errors import OperationFailure

from upkeep.engines import Session
from upkeep.fleet.drafting import MOST, Draft, length, likeliest, scalar, size, some
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession

_NEWEST: Final = 20
"""Documents whose fields are looked at for dates: no schema names them."""
_MOST_LOOKS: Final = 2 * MOST
"""Into the biggest so many collections is looked."""


def sections(session: Session) -> dict[str, list[str]]:
    """Return the lines of each section of a target, indented for it."""
    return {"collections": list(_lines(cast("MongoSession", session)))}


def _lines(mongo: MongoSession) -> Iterator[str]:
    rows = [row for row in catalog.collections(mongo, ["*"]) if row["kind"] != "view"]
    capped = [row["name"] for row in rows if row["capped"]]
    known = sorted(
        ((*_size(mongo, row), row) for row in rows if not row["capped"]),
        key=lambda one: (-one[1], -one[0], one[2]["name"]),
    )
    draft, closed, undated = Draft(), [], 0
    for count, used, row in known[:_MOST_LOOKS]:
        try:
            undated += not _sort_in(draft, row, row["time"] or _age(mongo, row), count, size(used))
        except OperationFailure as error:
            if faults.is_lost(error):
                raise
            closed.append(f"      # {row['name']} cannot be read: {faults.describe(error)}")
    yield from draft.lines("collections with dates")
    yield from closed
    if known[_MOST_LOOKS:]:
        yield f"      # … and {len(known) - _MOST_LOOKS} smaller collections, which were not looked into"
    if capped:
        yield f"      # capped, so that the server overwrites the oldest itself: {some(capped)}"
    if undated:
        yield f"      # {undated} collections have no field with a date: nothing tells a document's age"


def _sort_in(draft: Draft, row: Doc, age: str | None, count: int, used: str) -> bool:
    """Add what is said of a collection; return whether anything tells its documents' age."""
    about = f"about {count:,} documents, {used}"
    if age is None:
        return False
    if row["kind"] == "timeseries":
        draft.continued.append([*_timeseries(count, row)])
    elif ends := _expiry(row):
        draft.continued.append([f"# {about}", *ends])
    elif unique := _unique(row):
        draft.kept.append(f"{row['name']} ({about}): looked up by its unique {unique}, which no log has")
    else:
        draft.aged.append([f"# {about}", *_collection(row, age)])
    return True


def _timeseries(count: int, row: Doc) -> Iterator[str]:
    meta = f", meta: {scalar(row['meta'])}" if row["meta"] else ""
    shape = f"{{time: {scalar(row['time'])}{meta}, granularity: {row['granularity'] or 'seconds'}}}"
    known = row["expires"] if isinstance(row["expires"], int) and row["expires"] else None
    expires = f", which expires after {known:,} s" if known else ""
    yield f"# about {count:,} buckets of measurements{expires}"
    yield f"{_key(row)}:"
    yield f"  timeseries: {shape}"
    yield f"  # retain: {{for: {length(known) if known else '90 days'}, then: delete}}"


def _expiry(row: Doc) -> list[str]:
    """Return what proves a TTL index whose field says when a document ends; nothing where there is none."""
    for index in row["indexes"]:
        if index["expires"] == 0 and index["partial"] is None:
            field = index["keys"][0][0]
            text = f"# the TTL index {index['name']} deletes when {field} is past; each night proves that it does"
            return [text, f"{_key(row)}:", f"  ttl: {{by: {scalar(field)}, after: 0 seconds}}"]
    return []


def _unique(row: Doc) -> str | None:
    """Return the field of a unique index besides that of the id."""
    return next(
        (index["keys"][0][0] for index in row["indexes"] if index["unique"] and index["keys"][0][0] != "_id"), None
    )


def _collection(row: Doc, age: str) -> Iterator[str]:
    if not any(index["keys"] and index["keys"][0][0] == age and index["partial"] is None for index in row["indexes"]):
        index = f"{{keys: {{{scalar(age)}: 1}}, name: by_age}}"
        yield f"# no index leads with {age}; declare one first: indexes: [{index}]"
    expiring = [i for i in row["indexes"] if i["expires"] is not None]
    for index in expiring:
        yield f"# the TTL index {index['name']} deletes by itself, after {index['expires']} s"
    yield f"# {_key(row)}:"
    for index in expiring:
        if isinstance(index["expires"], int) and index["expires"] >= 0 and index["partial"] is None:
            by = scalar(index["keys"][0][0])
            yield f"#   ttl: {{by: {by}, after: {length(index['expires'])}}}  # this proves the index; or instead"
    yield f"#   retain: {{by: {scalar(age)}, for: 90 days, then: delete}}"


def _key(row: Doc) -> str:
    return scalar(glob.escape(row["name"]))


def _size(session: MongoSession, row: Doc) -> tuple[int, int]:
    """Return about how many documents (of time-series: buckets) there are, and how many bytes they have."""
    try:
        found: Doc = session.database.command("collStats", row["name"], maxTimeMS=LOOK_MS)
    except OperationFailure as error:
        if faults.is_lost(error):
            raise
        return 0, 0  # our user may not ask
    count = found.get("timeseries", {}).get("bucketCount") if row["kind"] == "timeseries" else found.get("count")
    return int(count or 0), int(found.get("size") or 0)


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
