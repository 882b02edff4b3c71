"""What tests on the real MongoDB server share: a fresh database, a target, a job done without the runner."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymongo

from local.servers import MongoServer
from tests.harness import jobs, rights
from tests.harness.jobs import Run, Runs
from upkeep.fleet import Target
from upkeep.mongo.session import MongoSession

AT = datetime(2024, 3, 15, 12, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass
class Place:
    """A fresh database, and a client of the test's own."""

    server: MongoServer
    name: str
    client: pymongo.MongoClient[dict[str, Any]]

    @property
    def db(self) -> Any:
        return self.client[self.name]

    @property
    def uri(self) -> str:
        """Where Upkeep logs in, as the user of its role file."""
        return rights.mongo_uri(self.server, self.name)

    @property
    def admin_uri(self) -> str:
        """Where the test logs in."""
        return self.server.uri(self.name)

    def session(self) -> AbstractContextManager[MongoSession]:
        return jobs.session("mongo", self.uri)

    def indexes(self, name: str) -> dict[str, Any]:
        return dict(self.db[name].index_information())

    def options(self, name: str) -> dict[str, Any]:
        (found,) = self.db.list_collections(filter={"name": name})
        return dict(found["options"])


@contextmanager
def fresh_place(server: MongoServer, prefix: str = "t") -> Iterator[Place]:
    name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    rights.mongo_uri(server)  # before anything of a test may keep the server from making a user
    with pymongo.MongoClient(server.uri("admin"), tz_aware=True) as client:
        try:
            yield Place(server, name, client)
        finally:
            client.drop_database(name)


def target(collections: str, more: str = "") -> Target:
    """Return a target as a fleet file declares it; ``collections`` is YAML, indented by nothing."""
    return jobs.declare("mongo", "collections", collections, more)


def run(session: MongoSession, wanted: Target, job: str, *, at: datetime = AT, gate: bool = True, **how: Any) -> Run:
    """Do a job once, with its gates, as if nothing had been done before."""
    return Runs(job, wanted).run(session, at, gate=gate, **how)
