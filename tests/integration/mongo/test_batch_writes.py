"""Batch writes: exact counts, also when some documents are refused."""

from collections.abc import Iterator

import pymongo
import pytest

from local.servers import MongoServer
from tests.harness.mongo import Place, fresh_place
from upkeep.mongo import batch_writes
from upkeep.mongo.batch_writes import Written


@pytest.fixture(scope="module")
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made


@pytest.mark.parametrize("profile", batch_writes.PROFILES)
def test_every_document_is_written_once(place: Place, profile: str) -> None:
    name = f"all_{profile}"
    written = batch_writes.write(place.db[name], ({"n": n} for n in range(2_500)), size=1_000, profile=profile)
    assert written == Written(inserted=2_500)
    assert written.complete
    assert len(place.db[name].distinct("n")) == 2_500


def test_refused_documents_stop_none_of_the_others(place: Place) -> None:
    place.db.create_collection("some", validator={"n": {"$ne": 7}})
    place.db.some.insert_one({"_id": 1_500, "n": 0})
    written = batch_writes.write(place.db.some, ({"_id": n, "n": n} for n in range(3_000)), size=1_000)
    assert written == Written(inserted=2_998, refused={121: 1, 11000: 1})
    assert not written.complete
    assert place.db.some.count_documents({}) == 2_999


def test_a_lost_answer_is_not_counted_as_written(place: Place) -> None:
    with pymongo.MongoClient("127.0.0.1", 1, serverSelectionTimeoutMS=100) as nowhere:
        assert batch_writes.write(nowhere.a.b, [{}] * 3) == Written(unknown=3)


@pytest.mark.parametrize(("size", "profile"), [(999, "majority"), (5_001, "majority"), (1_000, "hope")])
def test_impossible_settings(place: Place, size: int, profile: str) -> None:
    with pytest.raises(ValueError, match=r"write|there are"):
        batch_writes.write(place.db.none, [], size=size, profile=profile)
