"""How each trouble is provoked on MongoDB."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import pymongo
from pymongo import WriteConcern

from local.process import free_port, give_to_account
from local.servers import MongoServer, start_mongo, temporary_directory
from tests.harness import servers, troubles
from tests.harness.mongo import Place as Db
from tests.harness.troubles import Scene, Way
from upkeep.mongo import elections
from upkeep.mongo.data_retention import batches

DELETE: Final = "collections: {events: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}}"
ARCHIVE: Final = DELETE.replace("then: delete", "then: archive, into: kept")
USER: Final = f"limited_{os.getpid()}"
NOW: Final = datetime.now(UTC).replace(microsecond=0)


def make(place: Db) -> None:
    place.db.events.insert_many([{"_id": n, "at": NOW - timedelta(days=n)} for n in range(60)])
    place.db.events.create_index("at", name="at_idx")
    place.db.create_collection("kept")


@contextmanager
def limited(place: Any) -> Iterator[str]:
    """Log in as a user with the rights that deleting takes."""
    db: Db = place.db
    db.client.admin.command("createUser", USER, pwd=USER, roles=[{"role": "readWrite", "db": db.name}])
    try:
        yield place.uri.replace(place.uri.split("@", maxsplit=1)[0], f"mongodb://{USER}:{USER}")
    finally:
        db.client.admin.command("dropUser", USER)


def may_read_only(scene: Scene) -> None:
    roles = [{"role": "read", "db": scene.db.name}]
    scene.db.client.admin.command("updateUser", USER, roles=roles)


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Another transaction has written the documents that are to be moved."""
    scene.patch.setattr(elections, "ELECTION_SECONDS", 1.0)
    with pymongo.MongoClient(scene.db.admin_uri) as other, other.start_session() as own:
        own.start_transaction()
        other[scene.db.name].events.update_many({}, {"$set": {"held": True}}, session=own)
        yield
        own.abort_transaction()


@contextmanager
def blocked(scene: Scene) -> Iterator[None]:
    admin = scene.db.client.admin
    admin.command({"setUserWriteBlockMode": 1, "global": True})
    try:
        yield
    finally:
        admin.command({"setUserWriteBlockMode": 1, "global": False})


class Arbiter(MongoServer):
    """A member that votes and holds no data."""

    def after_start(self) -> None:
        """Wait to be told."""


@contextmanager
def no_majority(scene: Scene) -> Iterator[None]:
    """A member with data is down: elections go on, thanks to an arbiter, and majority writes wait for ever."""
    scene.patch.setattr(batches, "MAJORITY", WriteConcern(w="majority", wtimeout=500))
    server, admin = scene.db.server, scene.db.client.admin
    directory = temporary_directory()
    arbiter = Arbiter(directory, port=free_port(), password=server.password)
    try:
        shutil.copy(server.directory / "keyfile", directory / "keyfile")
        give_to_account(directory / "keyfile", 0o400)
        arbiter.start()
        admin.command("setDefaultRWConcern", defaultWriteConcern={"w": 1})
        config = admin.command("replSetGetConfig")["config"]
        members = [*config["members"]]
        here = members[0]["host"].rsplit(":", maxsplit=1)[0]
        config["members"] += [
            {"_id": 1, "host": f"{here}:{arbiter.port}", "arbiterOnly": True, "priority": 0},
            {"_id": 2, "host": f"{here}:{free_port()}", "priority": 0},
        ]
        config["version"] += 1
        admin.command("replSetReconfig", config, force=True)
        yield
        config["members"], config["version"] = members, config["version"] + 100_000
        admin.command("replSetReconfig", config, force=True)
    finally:
        arbiter.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def killed(scene: Scene) -> Iterator[None]:
    scene.patch.setattr(elections, "ELECTION_SECONDS", 1.0)
    with troubles.killed(scene):
        yield


def another_document(scene: Scene) -> None:
    scene.db.db.kept.insert_one({"_id": 50, "at": NOW, "other": "content"})


def says(do: Any) -> Any:
    return troubles.strike(lambda scene: do(scene.db.db))


WAYS: Final[Mapping[str, Way | str]] = {
    "altered": Way(says(lambda db: db.events.drop_index("at_idx")), make, DELETE),
    "gone": Way(says(lambda db: db.events.drop()), make, DELETE),
    "locked": Way(locked, make, ARCHIVE),
    "overloaded": Way(no_majority, make, DELETE, server=partial(servers.alone, start_mongo)),
    "connection killed": Way(killed, make, DELETE, server=partial(servers.alone, start_mongo)),
    "no privilege": Way(troubles.strike(may_read_only), make, DELETE, user=limited),
    "no writes": Way(blocked, make, DELETE, user=limited),
    "not the same rows": Way(troubles.strike(another_document), make, ARCHIVE),
    "cancelled": Way(troubles.strike(troubles.cancel), make, DELETE),
    "no way back": Way(lambda _: nullcontext(), make, DELETE),
}
