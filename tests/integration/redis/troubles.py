"""How each trouble is provoked on Redis."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Final

from local.servers import start_redis
from tests.harness import rights, servers, troubles
from tests.harness.redis import Place as Db
from tests.harness.troubles import Scene, Way

DELETE: Final = "streams: {s: {retain: {for: 30 days, then: delete, requires: nothing}}}"
USER: Final = f"limited_{os.getpid()}"


def make(place: Db) -> None:
    place.fill("s")


@contextmanager
def limited(place: Any) -> Iterator[str]:
    """Log in as a user with the rights that deleting takes."""
    db: Db = place.db
    rights.make_redis_user(db.client, USER, db.server.password, keys="~s")
    try:
        yield place.db.uri_of(USER)
    finally:
        db.client.execute_command("ACL", "DELUSER", USER)


def may_not_trim(scene: Scene) -> None:
    scene.db.client.execute_command("ACL", "SETUSER", USER, "-xtrim", "-xdel")


def made_anew(scene: Scene) -> None:
    scene.db.client.delete("s")
    scene.db.fill("s")


@contextmanager
def no_replicas(scene: Scene) -> Iterator[None]:
    scene.db.client.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        scene.db.client.config_set("min-replicas-to-write", 0)


@contextmanager
def no_snapshot(scene: Scene) -> Iterator[None]:
    """The snapshot cannot be moved to its place."""
    client, place = scene.db.client, scene.db.server.directory / "dump.rdb"
    place.mkdir()
    client.config_set("save", "3600 1")
    client.bgsave()
    deadline = time.monotonic() + 20
    while client.info("persistence")["rdb_last_bgsave_status"] == "ok" and time.monotonic() < deadline:
        time.sleep(0.05)
    yield
    client.config_set("save", "")


WAYS: Final[Mapping[str, Way | str]] = {
    "altered": Way(troubles.strike(made_anew), make, DELETE),
    "gone": Way(troubles.strike(lambda scene: scene.db.client.delete("s")), make, DELETE),
    "locked": "Redis knows no locks: the server does one step after the other, each in milliseconds",
    "overloaded": Way(no_replicas, make, DELETE),
    "connection killed": Way(
        troubles.killed,
        make,
        DELETE,
        server=partial(servers.alone, start_redis),
    ),
    "no privilege": Way(troubles.strike(may_not_trim), make, DELETE, user=limited),
    "no writes": Way(no_snapshot, make, DELETE, server=partial(servers.alone, start_redis)),
    "not the same rows": "nothing is copied: the server's own script counts and deletes in one step",
    "cancelled": Way(troubles.strike(troubles.cancel), make, DELETE),
    "no way back": Way(lambda _: nullcontext(), make, DELETE),
}
