"""A MongoDB server that takes no writes is one trouble of the server; who holds a lock is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest

from local.process import free_port, give_to_account
from local.servers import MongoServer, start_mongo, temporary_directory
from tests.harness.jobs import Run
from tests.harness.mongo import AT, Place, fresh_place, run, target
from upkeep import connections
from upkeep.model import Severity
from upkeep.mongo import ddl, server_refusals
from upkeep.mongo.engine import ENGINE
from upkeep.mongo.session import MongoSession
from upkeep.run.check import check_target

JOB = "data_retention"
OLD, NEW = AT - timedelta(days=40), AT - timedelta(days=1)
NAMES = ("events", "logs", "seen")
DELETE = "\n".join(f"{name}: {{retain: {{by: at, for: 30 days, then: delete, requires: nothing}}}}" for name in NAMES)


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        fill(made)
        yield made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_refusals, "WAIT_MS", 300)
    monkeypatch.setattr(server_refusals, "CONFIRM_MS", 500)


def fill(place: Place) -> None:
    for name in NAMES:
        place.db[name].insert_many([{"at": at} for at in (OLD, OLD, NEW)])
        place.db[name].create_index("at")


def said_once(done: Run, check: str, word: str) -> None:
    serious = [f for f in done.plan.findings if f.severity is Severity.ERROR]
    assert [(f.check, f.subject) for f in serious] == [(check, "server")]
    assert word in serious[0].summary + str(serious[0].remedy)
    assert done.outcomes == []
    assert not done.before.success


def test_a_server_locked_against_writes(place: Place) -> None:
    place.client.admin.command("fsync", lock=True)
    try:
        with place.session() as session:
            done = run(session, target(DELETE), JOB, apply=False)
            found = checked(place)
    finally:
        place.client.admin.command("fsyncUnlock")
    assert found == ["server_refuses"]
    said_once(done, "server_refuses", "fsyncUnlock")
    assert done.plan.actions == ()
    assert done.before.stops_target
    with place.session() as session:
        assert run(session, target(DELETE), JOB).ends == ["done"] * 3


def checked(place: Place, uri: str = "") -> list[str]:
    """Return the serious findings of ``upkeep check``."""
    found = check_target(target(DELETE), lambda _: connections.parse("c", uri or place.uri))
    return [f.check for f in found.findings if f.severity is Severity.ERROR]


@contextmanager
def user(place: Place, *roles: Any) -> Iterator[tuple[MongoSession, str]]:
    admin = place.client.admin
    admin.command("createUser", "limited", pwd="secret", roles=list(roles))
    try:
        uri = place.uri.replace(place.uri.split("@", maxsplit=1)[0], "mongodb://limited:secret")
        with ENGINE.open(connections.parse("test", uri), application="test") as session:
            yield session, uri
    finally:
        admin.command("dropUser", "limited")


def test_a_user_that_may_only_read_is_said_once(place: Place) -> None:
    with user(place, {"role": "read", "db": place.name}) as (session, uri):
        done = run(session, target(DELETE), JOB)
        assert checked(place, uri) == ["privileges"]
    said_once(done, "privileges", "readWrite")
    assert "events, logs, seen" in done.finding("privileges").summary
    with user(place, {"role": "readWrite", "db": place.name}) as (session, _):
        assert run(session, target(DELETE), JOB).ends == ["done"] * 3


@pytest.mark.since(mongo="6.0")
def test_writes_that_are_blocked_for_users_say_what_mends_it(place: Place) -> None:
    place.client.admin.command({"setUserWriteBlockMode": 1, "global": True})
    try:
        with user(place, {"role": "readWrite", "db": place.name}) as (session, _):
            done = run(session, target(DELETE), JOB)
    finally:
        place.client.admin.command({"setUserWriteBlockMode": 1, "global": False})
    assert all("setUserWriteBlockMode: 1, global: false" in (o.message or "") for o in done.outcomes)


class Arbiter(MongoServer):
    """A member that votes and holds no data."""

    def after_start(self) -> None:
        """Wait to be told."""


def test_a_set_without_a_majority_that_confirms() -> None:
    """A primary, an arbiter, and a member with data that is down: elections go on, majority writes wait for ever."""
    directories = [temporary_directory(), temporary_directory()]
    server = start_mongo(directories[0])
    arbiter = Arbiter(directories[1], port=free_port(), password=server.password)
    try:
        shutil.copy(directories[0] / "keyfile", directories[1] / "keyfile")
        give_to_account(directories[1] / "keyfile", 0o400)
        arbiter.start()
        with pymongo.MongoClient(server.uri()) as client:
            place = Place(server, "shop", client)
            fill(place)
            client.admin.command("setDefaultRWConcern", defaultWriteConcern={"w": 1})
            config = client.admin.command("replSetGetConfig")["config"]
            here = config["members"][0]["host"].rsplit(":", maxsplit=1)[0]
            config["members"] += [
                {"_id": 1, "host": f"{here}:{arbiter.port}", "arbiterOnly": True, "priority": 0},
                {"_id": 2, "host": f"{here}:{free_port()}", "priority": 0},
            ]
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
            with place.session() as session:
                done = run(session, target(DELETE), JOB)
            said_once(done, "server_refuses", "no majority")
            assert done.plan.actions == ()
    finally:
        for one, directory in ((arbiter, directories[1]), (server, directories[0])):
            one.stop()
            shutil.rmtree(directory, ignore_errors=True)


def test_who_holds_a_collection_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddl, "LOCK_MS", 200)
    monkeypatch.setattr(ddl, "LOCK_TRIES", 2)
    place.db.create_collection("m", timeseries={"timeField": "at"})
    wanted = target("m: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}")
    with pymongo.MongoClient(place.admin_uri, appname="the importer") as other, other.start_session() as own:
        own.start_transaction()
        other[place.name]["system.buckets.m"].find_one(session=own)
        with place.session() as session:
            outcome = run(session, wanted, JOB, at=datetime.now(UTC)).outcome("set_expiry")
        own.abort_transaction()
    assert outcome.reason_code == "lock_not_obtained"
    assert "a transaction (the importer, from 127.0.0.1" in (outcome.message or "")
