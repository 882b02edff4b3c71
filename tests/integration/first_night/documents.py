"""A MongoDB database as people have it: sessions that expire, events without an index on time, users, measurements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any


def fill(db: Any) -> None:
    """Make it: in an empty database."""
    now = datetime.now(UTC)
    db.sessions.insert_many(
        [{"user": n, "token": f"t{n}", "expires_at": now + timedelta(minutes=n + 30)} for n in range(800)]
    )
    db.sessions.create_index("expires_at", expireAfterSeconds=0)
    db.events.insert_many(
        [
            {"type": "click", "ts": now - timedelta(hours=n), "page": f"/p/{n % 50}", "visitor": {"id": n % 90}}
            for n in range(4000)
        ]
    )
    db.users.insert_many(
        [{"name": f"user {n}", "createdAt": now - timedelta(days=n), "lastLogin": now} for n in range(150)]
    )
    db.users.create_index("name", unique=True)
    db.create_collection("readings", timeseries={"timeField": "at", "metaField": "sensor", "granularity": "minutes"})
    db.readings.insert_many([{"at": now - timedelta(minutes=n), "sensor": n % 3, "value": n} for n in range(500)])
    db.create_collection("recent_errors", capped=True, size=65_536)
    db.recent_errors.insert_many([{"at": now, "message": "timeout"} for _ in range(5)])
    db.settings.insert_one({"_id": "theme", "value": "dark"})
    db.command("create", "active_users", viewOn="users", pipeline=[{"$match": {"lastLogin": {"$ne": None}}}])
