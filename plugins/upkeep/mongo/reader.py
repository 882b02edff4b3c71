"""Reading documents for a job of another target: one `find` or one pipeline that writes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bson import json_util
from pymongo.errors import PyMongoError

from upkeep.jobs.errors import ActionError
from upkeep.jobs.reading import late, refused
from upkeep.mongo import faults
from upkeep.mongo.session import Doc, MongoSession

_FIND: Final = frozenset({"collection", "filter", "projection"})
_AGGREGATE: Final = frozenset({"collection", "pipeline"})
_WRITES: Final = ("$out", "$merge")
_SHAPE: Final = "write {collection, filter, projection} or {collection, pipeline} as JSON into the file"


@dataclass(frozen=True, slots=True)
class MongoReader:
    """Reads over one session; implements `upkeep.engines.Reader`."""

    session: MongoSession

    def ready(self, statement: str) -> None:
        """Ping the server; refuse what is no query, and what writes."""
        query_of(statement)
        self.session.client.admin.command("ping")

    def rows(self, statement: str, *, size: int, seconds: float) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the documents that a query returns, each with its top-level fields as columns."""
        query, deadline = query_of(statement), time.monotonic() + seconds
        collection = self.session.database[query["collection"]]
        milliseconds = round(seconds * 1000)
        try:
            if "pipeline" in query:
                found: Any = collection.aggregate(query["pipeline"], maxTimeMS=milliseconds, batchSize=size)
            else:
                found = collection.find(query.get("filter") or {}, query.get("projection"), max_time_ms=milliseconds)
            with found as cursor:
                for batch in _batches(cursor, size):
                    yield batch
                    if time.monotonic() > deadline:
                        raise late(seconds)
        except PyMongoError as error:
            if faults.code(error) in faults.TIMED_OUT:
                raise late(seconds) from None
            raise refused(faults.classify(error), faults.describe(error)) from None


def _batches(cursor: Any, size: int) -> Iterator[list[Doc]]:
    batch: list[Doc] = []
    for document in cursor:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def query_of(statement: str) -> Doc:
    """Return the query. Raises `ActionError` when it is none, or writes."""
    try:
        query = json_util.loads(statement)
    except (ValueError, TypeError):
        raise ActionError(f"the query is no JSON; {_SHAPE}") from None
    if (
        not isinstance(query, dict)
        or not isinstance(query.get("collection"), str)
        or not (query.keys() <= _FIND or query.keys() == _AGGREGATE)
    ):
        raise ActionError(f"the query has other keys; {_SHAPE}")
    pipeline = query.get("pipeline", [])
    if not isinstance(pipeline, list) or not all(isinstance(stage, dict) for stage in pipeline):
        raise ActionError('the pipeline is no list of stages; write [{"$match": …}, …]')
    for stage in pipeline:
        if any(name in _WRITES for name in stage):
            raise ActionError("the pipeline writes ($out, $merge); leave that stage out")
    return query
