"""What tests on the real Redis server share: a database of one's own, a target, the job without the runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from local.servers import RedisServer
from tests.harness import jobs, rights
from tests.harness.jobs import Run, Runs
from upkeep.fleet import Target
from upkeep.redis.session import RedisSession

DATABASE = "3"


@dataclass
class Place:
    """An empty database of the server, and a client of the test's own."""

    server: RedisServer
    client: Any

    @property
    def uri(self) -> str:
        """Where Upkeep logs in, as the user of its role file."""
        return rights.redis_uri(self.server, DATABASE)

    @property
    def admin_uri(self) -> str:
        """Where the test logs in."""
        return self.server.uri(DATABASE)

    def uri_of(self, user: str) -> str:
        """Where another user with the same password logs in."""
        return self.admin_uri.replace("redis://:", f"redis://{user}:")

    def session(self, uri: str = "") -> AbstractContextManager[RedisSession]:
        return jobs.session("redis", uri or self.uri)

    def only(self, since: int) -> None:
        """Leave out a test of what older major versions do otherwise (docs/versions.md)."""
        if int(self.client.info()["redis_version"].partition(".")[0]) < since:
            pytest.skip(f"Redis before {since} does otherwise")

    def ids(self, name: str) -> list[str]:
        return [entry[0] for entry in self.client.xrange(name)]

    def fill(self, name: str, old: int = 50, new: int = 20, payload: str = "x") -> list[str]:
        """Add entries of 40 days ago, one a second, and of an hour ago; return the ids of the young ones."""
        now = datetime.now(UTC)
        with self.client.pipeline(transaction=False) as pipe:
            for age, count in ((timedelta(days=40), old), (timedelta(hours=1), new)):
                first = int((now - age).timestamp() * 1000)
                for n in range(count):
                    pipe.xadd(name, {"n": n, "payload": payload}, id=f"{first + 1000 * n}-{n % 3}")
            pipe.execute()
        return self.ids(name)[old:]


@contextmanager
def fresh_place(server: RedisServer) -> Iterator[Place]:
    with redis.Redis.from_url(server.uri(DATABASE), decode_responses=True) as client:
        client.flushdb()
        try:
            yield Place(server, client)
        finally:
            client.flushdb()
            client.config_set("maxmemory", 0)


def target(streams: str, more: str = "") -> Target:
    """Return a target as a fleet file declares it; ``streams`` is YAML, indented by nothing."""
    return jobs.declare("redis", "streams", streams, more)


def run(session: RedisSession, wanted: Target, **how: Any) -> Run:
    """Do the job once, with its gates, as if nothing had been done before."""
    return Runs("data_retention", wanted).run(session, gate=True, **how)
