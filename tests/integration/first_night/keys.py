"""A Redis database as people have it: caches that expire, some that do not, streams, a queue, hashes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any


def fill(client: Any) -> None:
    """Make it: in an empty database."""
    now = datetime.now(UTC)
    with client.pipeline(transaction=False) as pipe:
        for n in range(600):
            pipe.set(f"cache:page:{n}", "x" * 200, ex=600 + n)
            pipe.set(f"session:{n:08x}", "{}", ex=86_400 * 14)
        for n in range(200):
            pipe.set(f"cache:user:{n}", "{}")
            pipe.hset(f"profile:{n}", mapping={"name": f"user {n}", "seen": n})
        for n in range(400):
            at = int((now - timedelta(hours=400 - n)).timestamp() * 1000)
            pipe.xadd("events:orders", {"order": n}, id=f"{at}-0")
            pipe.xadd("events:mail", {"mail": n}, id=f"{at}-0")
        pipe.lpush("queue:mail", *range(50))
        pipe.set("config:version", "7")
        pipe.execute()
    client.xgroup_create("events:orders", "billing", id="0")
    client.xreadgroup("billing", "worker-1", {"events:orders": ">"}, count=300)
