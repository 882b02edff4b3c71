"""A MongoDB database at one instant: read, restored into a server of its own, compared; what is wrong is named."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest

from local.servers import MongoServer
from tests.harness import mongo_backup, restorable, scratching
from tests.harness.copying import Copying, flip, words
from tests.harness.jobs import address
from tests.harness.mongo import Place, fresh_place
from upkeep import programs
from upkeep.errors import ConfigurationError
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup import publish
from upkeep.jobs.backup.verify import differences
from upkeep.mongo.session import MongoSession

pytestmark = pytest.mark.since(mongo="6.0")


@pytest.fixture(scope="module")
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server, "backup") as made:
        made.client.admin.command({"setParameter": 1, "ttlMonitorEnabled": False})
        try:
            mongo_backup.make(made.db)
            yield made
        finally:
            made.client.admin.command({"setParameter": 1, "ttlMonitorEnabled": True})


@pytest.fixture(scope="module")
def copying(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Copying:
    return Copying("mongo", place.uri, tmp_path_factory.mktemp("mongo") / "backups")


@pytest.fixture(scope="module")
def found(copying: Copying) -> publish.Found:
    return copying.take()


def test_all_that_is_odd_is_restored_and_what_is_wrong_there_is_named(
    place: Place, copying: Copying, found: publish.Found
) -> None:
    assert copying.survey().refusals == ()
    objects = {thing.name: thing for thing in found.manifest.objects}
    assert objects.keys() == {one for one in place.db.list_collection_names() if not one.startswith("system.")} | {
        "system.js"
    }
    rows = {name: objects[name].rows for name in ("many", "capped", "empty", "seen", "series", "odd")}
    assert rows == {"many": 3000, "capped": 50, "empty": 0, "seen": None, "series": 4, "odd": 6}
    assert not objects["capped"].complete
    assert any("one instant of capped" in lack for lack in found.manifest.lacks)
    verdict = copying.verify(found)
    assert (verdict.level, words(verdict)) == ("compared", [])
    assert verdict.restore_seconds
    assert scratching.places("mongo") == []

    changes: list[tuple[Callable[[Any], object], str]] = [
        (lambda db: db.many.drop_index("part"), "many: * not there after the restore: index part"),
        (lambda db: db.many.delete_one({"u": 1}), "many: * 2,999 rows are there after the restore, 3,000 were dumped"),
        (lambda db: db.odd.update_one({"_id": True}, {"$set": {"ts": 1}}), "odd: * their checksums differ"),
        (lambda db: db.seen.drop(), "seen: * the view is not there after the restore"),
        (lambda db: db.empty.drop(), "empty: * the collection is not there after the restore"),
        (lambda db: db.command({"collMod": "strict", "validator": {}}), "strict: * not there after the restore: valid"),
        (lambda db: db.series.delete_many({"of": 1}), "series: * 3 rows are there after the restore, 4 were dumped"),
        (lambda db: db.capped.insert_one({}), ""),  # the newest fifty, as before: it was not compared
    ]
    with copying.restored(found) as there:
        assert scratching.places("mongo")[0].stat().st_mode & 0o777 == 0o700
        session = MongoSession(there, "test")
        try:
            for change, expected in changes:
                change(session.database)
                subject, _, text = expected.partition("* ")
                named = _wrong(copying, found, there)
                assert any(one.startswith(subject) and text in one for one in named), (expected, named)
        finally:
            session.close()


def _wrong(copying: Copying, found: publish.Found, there: Any) -> list[str]:
    seen = copying.copier.look(there, found.manifest)
    return [f"{f.subject}: {f.summary}" for f in differences(found.manifest, seen)]


def test_damage_of_the_files_is_named(place: Place, copying: Copying, found: publish.Found) -> None:
    data = found.place / manifests.DATA / place.name
    documents, about = data / "many.bson.gz", data / "many.metadata.json.gz"
    whole, said = documents.read_bytes(), about.read_bytes()

    def signed() -> list[str]:
        return words(copying.verify(found, copying.signed(found)))

    try:
        flip(documents)
        assert ["many.bson.gz has other bytes than were written" in one for one in words(copying.verify(found))] == [
            True
        ]
        (one,) = signed()
        assert "is damaged" in one
        documents.write_bytes(whole[:-40])  # cut off
        (one,) = signed()
        assert "many.bson.gz cannot be read (EOFError)" in one
        rows = bson.decode_all(gzip.decompress(whole))
        documents.write_bytes(gzip.compress(b"".join(bson.encode(row) for row in rows if row["_id"] != 7)))
        (one,) = signed()
        assert "many: " in one
        assert "2,999 rows are in the files, 3,000 were dumped" in one
        documents.write_bytes(gzip.compress(b"".join(bson.encode({**row, "k": 1}) for row in rows)))
        (one,) = signed()  # as many, and others
        assert "their checksums differ" in one
        documents.write_bytes(whole)
        about.write_bytes(gzip.compress(gzip.decompress(said).replace(b'"folded"', b'"folder"')))
        assert ["folder" in one or "folded" in one for one in signed()] == [True, True]
    finally:
        documents.write_bytes(whole)
        about.write_bytes(said)


def test_what_this_machine_lacks_for_a_restore_is_told(found: publish.Found, tmp_path: Path) -> None:
    series = str(found.manifest.needs["series"])
    major = series.partition(".")[0]
    others = [("db version v3.4.24", f"of version {major} is not"), (f"db version v{major}.9.1", "the backup of ")]
    restorable.check(found, tmp_path, ["mongod"], others)
    with restorable.only(tmp_path / "tools", {"mongod": ""}):
        tool = tmp_path / "tools" / "mongod"
        tool.write_text("#!/bin/sh\nexec /bin/sleep 100\n")
        with programs.patience(0.2):
            answer = restorable.told(found)
        assert (answer.word, answer.here.lacks) == (restorable.UNSEEN, ())
        assert answer.notes == (
            f"not looked at: what {found.manifest.tool} needs here: {tool} --version did not answer",
        )
    restorable.fine(found)


def test_it_goes_into_an_empty_database_only(
    place: Place, copying: Copying, found: publish.Found, mongo_server: MongoServer
) -> None:
    data = found.place / manifests.DATA
    with pytest.raises(ConfigurationError, match="not empty"):
        copying.copier.restore(data, found.manifest, address(place.admin_uri), copying.bench)
    with fresh_place(mongo_server, "restored") as other:
        copying.copier.restore(data, found.manifest, address(other.admin_uri), copying.bench)
        assert _wrong(copying, found, address(other.admin_uri)) == []
        assert other.options("images") == place.options("images")
        assert [row["n"] for row in other.db.capped.find()] == list(range(30, 80))
        assert other.db.above.count_documents({}) == 3000
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            other.db.many.insert_one({"_id": 3000, "u": 5, "k": 5})
