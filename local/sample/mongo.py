"""The infrastructure's metrics, assets and events in MongoDB, filled from the same measured series.

They are loaded as they were before Upkeep came: the metrics without an expiry, the assets without validator and
indexes, the events with ages from months back. A marker, written
last, says that all is there; what an interrupted load left is made again. Nothing is added to a loaded sample: what
maintenance has removed stays removed.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo

from local.errors import LocalError
from local.sample.series import SERIES, Series, points
from upkeep import connections
from upkeep.mongo import batch_writes
from upkeep.mongo.session import MongoSession

CONNECTION = "infrastructure_mongo"
MARKER = {"_id": "sample"}
COLLECTIONS = ("metrics", "assets", "events", "events_archive", "sessions", "upkeep_sample")
EVERY = 2  # every other point: 38,000 show the same, and load in a few seconds
SESSIONS = 300
EVENT_EVERY = 12  # of those; with 19 series some 3,000 events
HOSTS = {"asg": "service", "elb": "service", "rds": "container"}


def load(*, reset: bool = False) -> bool:
    """Load the stack's sample database where it is empty; see `load_into`."""
    return _load(MongoSession(connections.resolve(CONNECTION), "upkeep sample"), reset=reset)


def load_into(uri: str, *, reset: bool = False) -> bool:
    """Load the sample into the database at ``uri``.

    Parameters
    ----------
    reset
        Drop what is there and load afresh.

    Returns
    -------
    bool
        Whether anything was loaded.

    Raises
    ------
    LocalError
        The server refused documents.
    """
    return _load(MongoSession(connections.parse(CONNECTION, uri), "upkeep sample"), reset=reset)


def _load(session: MongoSession, *, reset: bool) -> bool:
    try:
        database = session.database
        if not reset and database.upkeep_sample.find_one(MARKER) is not None:
            return False
        for name in COLLECTIONS:
            database[name].drop()
        now = session.now().replace(second=0, microsecond=0)
        shape = {"timeField": "timestamp", "metaField": "meta", "granularity": "minutes"}
        database.create_collection("metrics", timeseries=shape)
        database.events.create_index([("at", pymongo.ASCENDING)], name="at_idx")
        database.sessions.create_index("expires_at", name="expires_at_ttl", expireAfterSeconds=0)
        for name, documents in (
            ("assets", assets(now)),
            ("metrics", metrics(now)),
            ("events", events(now)),
            ("sessions", sessions(now)),
        ):
            written = batch_writes.write(database[name], documents, size=batch_writes.LARGEST)
            if not written.complete:
                raise LocalError(f"MongoDB did not take all sample documents of {name}: {written}")
        database.upkeep_sample.insert_one({**MARKER, "loaded_at": now})
        return True
    finally:
        session.close()


def assets(now: datetime) -> Iterator[dict[str, Any]]:
    """Give the measured nodes, and the physical hosts that they run on."""
    for number in range(3):
        yield _asset(f"host-{number}", "physical_host" if number else "proxmox_node", now)
    for number, one in enumerate({one.node_id: one for one in SERIES}.values()):
        kind = next((kind for start, kind in HOSTS.items() if one.node_id.startswith(start)), "vm")
        yield {**_asset(one.node_id, kind, now - timedelta(hours=number)), "parent_asset_id": f"host-{number % 3}"}
    yield _asset("backup-nightly", "acronis_backup_job", now)


def _asset(name: str, kind: str, updated: datetime) -> dict[str, Any]:
    # the folded name is what a search that ignores case and begins with something can use an index for
    hostname = f"{name}.Example.internal"
    return {
        "_id": name,
        "asset_type": kind,
        "hostname": hostname,
        "hostname_folded": hostname.casefold(),
        "last_updated": updated,
    }


def metrics(now: datetime) -> Iterator[dict[str, Any]]:
    """Give every other measured point, those of a series spread over its node's life."""
    for one in SERIES:
        meta = {"asset_id": one.node_id, "metric_name": one.metric_name}
        for at, value in placed(one, now):
            yield {"timestamp": at, "meta": meta, "value": value}


def events(now: datetime) -> Iterator[dict[str, Any]]:
    """Give an event for every so many points; a few have no time, and are never due."""
    for one in SERIES:
        for number, (at, value) in enumerate(placed(one, now)):
            if number % EVENT_EVERY == 0:
                yield {"asset_id": one.node_id, "at": at, "kind": "sampled", "value": value, "unit": one.unit}
        yield {"asset_id": one.node_id, "at": None, "kind": "unfinished"}


def sessions(now: datetime) -> Iterator[dict[str, Any]]:
    """Give sessions of the next weeks; of every fiftieth the time is a text, which never expires."""
    for number in range(SESSIONS):
        at = now + timedelta(days=1 + number % 28, minutes=number)
        yield {"user": f"user-{number % 40}", "expires_at": at if number % 50 else at.isoformat()}


def placed(one: Series, now: datetime) -> Iterator[tuple[datetime, float]]:
    """Give a series' points with times from its node's first day to now."""
    values = [float(value) for _, _, value in itertools.islice(points(one), 0, None, EVERY)]
    step = timedelta(days=one.days) / len(values)
    start = (now - timedelta(days=one.days)).astimezone(UTC)
    for number, value in enumerate(values, start=1):
        at = start + step * number
        yield at.replace(microsecond=at.microsecond // 1000 * 1000), value
