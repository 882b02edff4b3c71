"""What documents hold where their age should be: how many no date, or a list of dates; whether the dates are times.

Looks are bounded: by the index where there is one, by a number of documents, by a time limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from pymongo.errors import PyMongoError

from upkeep.jobs.partition_creation.axis import implausible
from upkeep.mongo import faults
from upkeep.mongo.data_retention import pipelines
from upkeep.mongo.marking import at_path
from upkeep.mongo.session import LOOK_MS, Doc, MongoSession

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST_LISTS: Final = 10_000
LISTS_MS: Final = 5_000
"""Lists have no place of their own in an index: so many are counted, and looked for so long."""
EARLY: Final = timedelta(days=90)
"""What seconds of this century come to when they are taken for milliseconds: days of January to March 1970."""
UNITS: Final = ("milliseconds", "seconds", "microseconds")
_NUMBERS: Final = ["double", "int", "long", "decimal"]
_LIKE_A_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{4}/\d{2}/\d{2}|\d{2}[./]\d{2}[./]\d{4}")


def known(look: Callable[[], Any]) -> Any:
    """Return what a look finds; ``None`` when the time is over or our user may not look."""
    try:
        return look()
    except PyMongoError as error:
        if faults.code(error) in (*faults.TIMED_OUT, *faults.UNAUTHORIZED):
            return None
        raise


def facts(session: MongoSession, name: str, age: str, index: str | None, *, sparse: bool, small: bool) -> Doc:
    """Return what is to be known of an ordinary collection's ages.

    ``undated``: type → how many documents, lists left out; ``None``: some, how many could not be counted.
    ``lists``: how many hold a list, at most `MOST_LISTS`; ``None``: some. ``ends``: the first and the last date in
    milliseconds since 1970; ``early``: how many dates lie in the first days of 1970. ``strings``: they look like
    dates. ``numbers``: the units that they fit.
    """
    collection = session.database[name]
    hint: Doc = {"hint": index} if index else {}
    # a sparse index does not have the documents without the field
    undated = known(lambda: _undated(collection, age, {} if sparse else hint))
    found: Doc = {"lists": known(lambda: _lists(session, name, age, index)), "undated": undated}
    if index or small:  # else it is refused, and looking would sort it whole
        found["ends"] = known(lambda: ends(collection, age, hint)) or []
        if found["ends"] and 0 < found["ends"][0] < EARLY // timedelta(milliseconds=1):
            early = {age: {"$gt": EPOCH, "$lt": EPOCH + EARLY}}
            found["early"] = known(
                lambda: collection.count_documents(early, limit=MOST_LISTS, maxTimeMS=LISTS_MS, **hint)
            )
    # not counted in time; that there is none at all may be found sooner than how many there are
    if undated is None:
        matched = pipelines.load("undated", age=age)[0]["$match"]
        if known(lambda: collection.find_one(matched, {"_id": 1}, max_time_ms=LISTS_MS) is None):
            found["undated"] = {}
    kinds = {*(undated or ())}
    if "string" in kinds:
        found["strings"] = known(lambda: _strings(collection, age))
    if kinds & {*_NUMBERS}:
        found["numbers"] = known(lambda: _numbers(collection, age, hint)) or []
    return found


def _undated(collection: Any, age: str, hint: Doc) -> dict[str, int]:
    groups = collection.aggregate(pipelines.load("undated", age=age), maxTimeMS=LOOK_MS, **hint)
    return {str(group["_id"]): int(group["documents"]) for group in groups if group["_id"] != "array"}


def _lists(session: MongoSession, name: str, age: str, index: str | None) -> int:
    """Count the documents with a list at the age, or on the way to it; an index that has met none says so at once."""
    if index is not None:
        asked = {"find": name, "filter": {age: {"$lt": EPOCH}}, "hint": index, "maxTimeMS": LOOK_MS}
        paths = _deep(session.database.command({"explain": asked, "verbosity": "queryPlanner"}), "multiKeyPaths")
        if paths is not None and not paths.get(age):
            return 0
    lists = pipelines.load("lists", age=age)
    return int(session.database[name].count_documents(lists, limit=MOST_LISTS, maxTimeMS=LISTS_MS))


def _deep(part: Any, key: str) -> Any:
    """Return the first value under a key, however deep: plans are nested in ways that change with the version."""
    if isinstance(part, Mapping) and key in part:
        return part[key]
    inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    return next((found for one in inner if (found := _deep(one, key)) is not None), None)


def ends(collection: Any, age: str, hint: Doc) -> list[int]:
    """Return the first and the last date, in milliseconds since 1970; none of a list."""
    return [
        value
        for found in _first_and_last(collection, {age: {"$type": "date"}}, age, hint)
        if (value := milliseconds(found)) is not None
    ]


def _first_and_last(collection: Any, matched: Doc, age: str, hint: Doc) -> Iterator[Any]:
    for direction in (1, -1):
        found = collection.find_one(matched, {age: 1, "_id": 0}, sort=[(age, direction)], max_time_ms=LOOK_MS, **hint)
        yield at_path(found, age)


def milliseconds(value: Any) -> int | None:
    """Return a date as the server keeps it; ``None`` for what is none."""
    if isinstance(value, DatetimeMS):
        return int(value)
    return (value - EPOCH) // timedelta(milliseconds=1) if isinstance(value, datetime) else None


def not_times(found: list[int]) -> str | None:
    """Return why dates cannot be times: they were made of seconds, or of microseconds; before 1970 nothing is said."""
    return None if not found or min(found) < 0 else implausible(found, "milliseconds")


def _strings(collection: Any, age: str) -> bool:
    one = at_path(collection.find_one({age: {"$type": "string"}}, {age: 1, "_id": 0}, max_time_ms=LISTS_MS), age)
    return isinstance(one, str) and _LIKE_A_DATE.match(one) is not None


def _numbers(collection: Any, age: str, hint: Doc) -> list[str]:
    found = [
        float(str(value))
        for value in _first_and_last(collection, {age: {"$type": _NUMBERS}}, age, hint)
        if value is not None and not isinstance(value, list | Mapping)
    ]
    return [unit for unit in UNITS if any(found) and implausible(found, unit) is None]
