"""Deleting and archiving documents on MongoDB, beside bare loops with the same batch size.

Goals: Upkeep deletes and archives at 70 % of the rate of the bare loop or better. The bare loop knows the ranges
beforehand: it deletes a range of the indexed age, or reads it, inserts what it read and deletes the range, without
a transaction. Both write with majority; the server is a replica set of one.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import WriteConcern

from benchmarks import harness, report
from local.servers import MongoServer, start_mongo, temporary_directory
from upkeep import connections, engines
from upkeep.fleet import Target

ROWS = 100_000
DUE = 0.8
ROUNDS = 3
GOAL = 0.7
FILL = 10_000
DATABASE = "benchmark"
RAW = CodecOptions(document_class=RawBSONDocument)
MAJORITY = WriteConcern(w="majority")


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    with mongo() as server:
        deleted = compare(server, archive=False)
        archived = compare(server, archive=True)
    return deleted and archived


@contextmanager
def mongo() -> Iterator[MongoServer]:
    """Start a server in a temporary folder; stop and remove it at the end."""
    directory = temporary_directory()
    try:
        server = start_mongo(directory)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def compare(server: MongoServer, *, archive: bool) -> bool:
    """Time both, in turn, on fresh copies of the same collection."""
    report.heading(f"MongoDB: {'archive and delete documents' if archive else 'delete documents'}")
    rates: dict[str, list[float]] = {"upkeep": [], "raw": []}
    batch = 0
    for number in range(ROUNDS):
        order = ("upkeep", "raw") if number == 0 or number % 2 == 0 else ("raw", "upkeep")
        for name in order:
            with collection(server) as database:
                if name == "upkeep":
                    rows, seconds, batch = by_upkeep(server, archive=archive)
                else:
                    rows, seconds = by_hand(database, archive=archive, batch=batch)
                left = database.logs.count_documents({})
                if (rows, left) != (int(ROWS * DUE), ROWS - int(ROWS * DUE)):
                    raise RuntimeError(f"{name} removed {rows} documents and left {left}")
            rates[name].append(rows / seconds)
    for name, values in rates.items():
        spread = f"[{min(values):,.0f} – {max(values):,.0f}]"
        report.line(f"{name}, documents a second", f"{statistics.median(values):12,.0f}  {spread}  n={len(values)}")
    report.line("documents in a batch (Upkeep's average, used by both)", f"{batch:12,}")
    ratio = statistics.median(rates["upkeep"]) / statistics.median(rates["raw"])
    return report.verdict("Upkeep ÷ raw", ratio, GOAL, at_least=True)


@contextmanager
def collection(server: MongoServer) -> Iterator[Any]:
    """Create a collection of 250-byte documents with an index on their age, and its archive; drop both at the end."""
    with pymongo.MongoClient(server.uri(DATABASE)) as client:
        database = client[DATABASE]
        for name in ("logs", "logs_archive"):
            database[name].drop()
            database.create_collection(name)
        database.logs.create_index("at", name="at")
        edge = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        for start in range(0, ROWS, FILL):
            database.logs.insert_many(
                {"at": edge + timedelta(milliseconds=(n - int(ROWS * DUE)) * 100), "number": n, "message": "x" * 180}
                for n in range(start, start + FILL)
            )
        client.admin.command("fsync")
        try:
            yield database
        finally:
            client.drop_database(DATABASE)


def target(*, archive: bool) -> Target:
    """Return the target, with a cut-off that leaves a fifth of the documents."""
    retain = {"by": "at", "for": "1 day", "requires": "nothing"}
    retain |= {"then": "archive", "into": "logs_archive"} if archive else {"then": "delete"}
    return Target.model_validate(
        {"name": "t", "engine": "mongo", "connection": "c", "collections": {"logs": {"retain": retain}}}
    )


def by_upkeep(server: MongoServer, *, archive: bool) -> tuple[int, float, int]:
    """Return documents, seconds and the average batch."""
    address = connections.parse("benchmark", server.uri(DATABASE))
    with engines.engine("mongo").open(address, application="benchmark") as session:
        outcomes = harness.run(session, target(archive=archive), "data_retention", _edge(server))
    rows, seconds = sum(outcome.rows or 0 for outcome in outcomes), sum(outcome.seconds for outcome in outcomes)
    batches = sum(int(outcome.evidence.get("batches", 0)) for outcome in outcomes)
    return rows, seconds, max(1, rows // max(1, batches))


def _edge(server: MongoServer) -> datetime:
    """Return the moment at which the documents in the first four fifths are a day old."""
    with pymongo.MongoClient(server.uri(DATABASE), tz_aware=True) as client:
        first: datetime = client[DATABASE].logs.find_one({"number": int(ROWS * DUE)})["at"]  # type: ignore[index]
    return first + timedelta(days=1)


def by_hand(database: Any, *, archive: bool, batch: int) -> tuple[int, float]:
    """Return documents and seconds of the bare loop: one range of the age after the other."""
    logs = database.get_collection("logs", codec_options=RAW, write_concern=MAJORITY)
    kept = database.get_collection("logs_archive", codec_options=RAW, write_concern=MAJORITY)
    ages = [d["at"] for d in database.logs.find({}, {"at": 1, "_id": 0}).sort("at", 1).limit(int(ROWS * DUE) + 1)]
    bounds = [*ages[:-1:batch], ages[-1]]
    started = time.perf_counter()
    rows = 0
    for low, high in itertools.pairwise(bounds):
        wanted = {"at": {"$gte": low, "$lt": high}}
        if archive:
            kept.insert_many(list(logs.find(wanted)))
        rows += logs.delete_many(wanted).deleted_count
    return rows, time.perf_counter() - started


if __name__ == "__main__":
    main()
