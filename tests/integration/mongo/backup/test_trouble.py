"""What can happen to a backup of MongoDB meanwhile: one instant or none, and nothing half is left."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import psutil
import pymongo
import pytest
from pymongo.errors import PyMongoError

from local.servers import MongoServer
from tests.harness import scratching
from tests.harness.copying import Copying, words
from tests.harness.mongo import Place, fresh_place
from upkeep import programs
from upkeep.errors import CancelledError
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.contract import go_on
from upkeep.jobs.errors import ActionError, StateChangedError
from upkeep.mongo.backup import files, source

pytestmark = pytest.mark.since(mongo="6.0")
READING = "reading 4 collections"
ACCOUNTS, MONEY = 400, 100


@pytest.fixture(scope="module")
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server, "troubled") as made:
        for name in ("here", "there"):
            made.db[name].insert_many([{"_id": n, "money": MONEY, "pad": os.urandom(400)} for n in range(ACCOUNTS)])
        made.db.moved.insert_one({"_id": 0})
        made.db.zulu.insert_many([{"_id": n} for n in range(10)])
        yield made


@pytest.fixture
def copying(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copying:
    monkeypatch.setattr(source, "THREADS", 1)  # one collection after the other, by name
    return Copying("mongo", place.uri, tmp_path / "backups")


def at(stage: str, do: Callable[[], object]) -> Bench:
    """Return a bench that does something when the work has come so far."""

    def tell(text: str) -> None:
        if stage in text:
            do()

    return Bench(go_on, tell, 60)


def transfers(place: Place, stop: threading.Event) -> None:
    """Move money between two collections, each time in one transaction, and write that down in a third."""
    with pymongo.MongoClient(place.admin_uri) as client, client.start_session() as session:
        db, number = client[place.name], 0
        while not stop.is_set():
            number += 1
            try:
                with session.start_transaction():
                    one, other = number * 7 % ACCOUNTS, number * 13 % ACCOUNTS
                    db.here.update_one({"_id": one}, {"$inc": {"money": -1}}, session=session)
                    db.there.update_one({"_id": other}, {"$inc": {"money": 1}}, session=session)
                    db.moved.insert_one({"_id": number}, session=session)
            except PyMongoError:
                continue  # the other writer was there first


def test_writers_go_on_and_it_is_of_one_instant(place: Place, copying: Copying) -> None:
    stop = threading.Event()
    writer = threading.Thread(target=transfers, args=(place, stop))
    writer.start()

    def wait_for_more() -> None:
        before = place.db.moved.estimated_document_count()
        until = time.monotonic() + 10
        while place.db.moved.estimated_document_count() < before + 20 and time.monotonic() < until:
            time.sleep(0.01)

    try:
        wait_for_more()
        # between the instant and the reading, and after each collection
        found = replace(copying, bench=at("collections", wait_for_more)).take()
        wait_for_more()
    finally:
        stop.set()
        writer.join()
    folder = found.place / manifests.DATA / place.name
    here, there = (
        sum(bson.decode(row)["money"] for row in files.documents(folder, name)) for name in ("here", "there")
    )
    moved = sum(1 for _ in files.documents(folder, "moved")) - 1
    assert (here, there) == (ACCOUNTS * MONEY - moved, ACCOUNTS * MONEY + moved)
    assert 20 <= moved <= place.db.moved.count_documents({}) - 80
    assert {thing.checksum is None for thing in found.manifest.objects} == {False}


def test_definitions_that_change_meanwhile(place: Place, copying: Copying) -> None:
    db = place.db

    def refused(change: Callable[[], object]) -> str:
        with pytest.raises(StateChangedError) as error:
            replace(copying, policy="compare: 0 B", bench=at(READING, change)).take()  # nothing is counted anew
        assert copying.left() == []
        return str(error.value)

    try:
        assert "zulu was dropped, renamed or made anew" in refused(db.zulu.drop)
        db.zulu.insert_many([{"_id": n} for n in range(10)])

        def away_and_back() -> None:
            db.zulu.rename("aside")
            db.aside.rename("zulu")

        assert "zulu was dropped, renamed or made anew" in refused(away_and_back)
        anew = [{"$match": {}}, {"$out": "zulu"}]
        assert "zulu was dropped, renamed or made anew" in refused(lambda: db.zulu.aggregate(anew))

        def others() -> None:  # that, and what is new, or gone when it was read: it is as it was
            db.zulu.create_index("later")
            db.newer.insert_one({})

        found = replace(copying, bench=at(READING, others)).take()
        assert sorted(thing.name for thing in found.manifest.objects) == ["here", "moved", "there", "zulu"]
        assert [len(thing.structures) for thing in found.manifest.objects] == [1, 1, 1, 1]
        assert copying.verify(found).level == "compared"
    finally:
        db.newer.drop()
        db.zulu.drop()
        db.zulu.insert_many([{"_id": n} for n in range(10)])


def test_an_instant_that_is_no_longer_kept_is_told(place: Place, copying: Copying) -> None:
    admin = place.client.admin
    admin.command({"setParameter": 1, source.WINDOW: 1})

    def long() -> None:
        for n in range(25):
            place.db.moved.update_one({"_id": 0}, {"$set": {"n": n}})
            time.sleep(0.1)

    try:
        with pytest.raises(ActionError, match=r"no longer has the instant .*setParameter: 1, minSnapshot") as error:
            replace(copying, bench=at(READING, long)).take()
        assert not isinstance(error.value, StateChangedError)
        admin.command({"setParameter": 1, source.WINDOW: 0})
        ((why, remedy),) = copying.survey().refusals
        assert "minSnapshotHistoryWindowInSeconds is 0 s" in why
        assert "300" in remedy
    finally:
        admin.command({"setParameter": 1, source.WINDOW: 300})
    assert copying.left() == []


def test_cancelled_or_without_room_nothing_is_published(copying: Copying) -> None:
    def cancel() -> None:
        raise CancelledError("the run was asked to stop")

    for stage in (READING, "of 4 collections are read"):
        with pytest.raises(CancelledError):
            replace(copying, bench=at(stage, cancel)).take()
        assert copying.left() == []
    with pytest.raises(programs.ProgramError, match="took longer than it may"):
        replace(copying, bench=Bench(go_on, lambda _: None, 0)).take()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            copying.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert copying.left() == []
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPool")]


def test_what_a_killed_run_left_the_next_one_removes(place: Place, copying: Copying) -> None:
    for stage, published in (("of 4 collections are read", 0), ("of 4 collections are loaded", 1)):
        assert len(copying.killed(stage)) == published
    found = copying.take()
    killed: list[int] = []

    def kill() -> None:
        if killed:
            return
        for process in psutil.process_iter(["name", "cmdline"]):
            words_ = process.info["cmdline"] or ()
            if process.info["name"] == "mongod" and any(scratching.mark("mongo") in word for word in words_):
                process.kill()
                killed.append(process.pid)

    verdict = replace(copying, bench=at("of 4 collections are loaded", kill)).verify(found)
    assert killed
    assert {finding.check for finding in verdict.findings} == {"backup_unverified"}, words(verdict)
    verdict = copying.verify(found)
    assert (verdict.level, words(verdict)) == ("compared", [])
    assert len(copying.left()) == 2, "what was published, and nothing else"


def test_who_may_not_is_told_before(place: Place, copying: Copying) -> None:
    admin: Any = place.client.admin
    place.db.create_collection("series", timeseries={"timeField": "at"})
    role, user = f"{place.name}_role", f"{place.name}_user"
    admin.command("createRole", role, privileges=[], roles=[{"role": "read", "db": place.name}])
    admin.command("createUser", user, pwd="pw", roles=[role])
    try:
        other = replace(copying, uri=place.admin_uri.replace(f"upkeep:{place.server.password}@", f"{user}:pw@"))
        ((why, remedy),) = other.survey().refusals
        assert why == "our user may not read all of series"
        buckets = {"db": place.name, "system_buckets": ""}
        assert f'find on {{db: "{place.name}", system_buckets: ""}}' in remedy
        admin.command("grantPrivilegesToRole", role, privileges=[{"resource": buckets, "actions": ["find"]}])
        assert other.survey().refusals == ()
        assert {thing.name for thing in other.take().manifest.objects} >= {"series", "here"}
        admin.command("updateUser", user, roles=[])
        ((why, remedy),) = other.survey().refusals
        assert f"may not read all of {place.name}" in why
        assert "role backup" in remedy
    finally:
        admin.command("dropUser", user)
        admin.command("dropRole", role)
        place.db.series.drop()
