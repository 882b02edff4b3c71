"""The MongoDB part of the sample fleet: loaded once, put in order by the two jobs, with nothing to ask."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local.sample import mongo
from local.servers import MongoServer
from tests.harness.mongo import Place, fresh_place, run
from upkeep import fleet, settings
from upkeep.mongo.session import MongoSession


@pytest.fixture(scope="module")
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server, "sample") as made:
        assert mongo.load_into(made.admin_uri) is True
        yield made


@pytest.fixture
def session(place: Place) -> Iterator[MongoSession]:
    with place.session() as opened:
        yield opened


def test_what_is_loaded(place: Place) -> None:
    assert 30_000 < place.db.metrics.count_documents({}) < 45_000
    assert len(place.db.metrics.distinct("meta.asset_id")) == place.db.assets.count_documents({}) - 4
    assert place.db.assets.count_documents({"parent_asset_id": {"$exists": True}}) > 10


def test_put_in_order_by_both_jobs_without_asking_anybody(place: Place, session: MongoSession) -> None:
    target = fleet.load(settings.include_dir() / "fleet.yaml").targets["infrastructure"]
    now = datetime.now(UTC)
    for job in ("partition_creation", "data_retention"):
        done = run(session, target, job, at=now)
        assert done.before.success, done.before.failed
        assert done.after is not None
        assert done.after.success, done.after.failed
        assert set(done.ends) == {"done"}
        assert not [a for a in done.plan.actions if a.needs_person]
        assert not [f for f in done.plan.findings if f.severity.rank >= 2]
        assert run(session, target, job, at=now).kinds == []
    assert place.options("metrics")["expireAfterSeconds"] == 90 * 86_400
    assert place.db.events_archive.count_documents({}) > 1_000
    assert place.db.events.count_documents({"at": None}) > 10


def test_the_documented_look_ups_use_an_index(place: Place) -> None:
    for collection, query, index in (
        ("assets", {"hostname_folded": {"$regex": "^i-24"}}, "hostname_idx"),
        ("assets", {"asset_type": "vm"}, "asset_type_idx"),
        ("assets", {"parent_asset_id": "host-1"}, "parent_asset_idx"),
        (
            "metrics",
            {"meta.asset_id": "i-24ae8d", "timestamp": {"$gt": datetime(2024, 1, 1, tzinfo=UTC)}},
            "asset_time_idx",
        ),
    ):
        explained = str(place.db[collection].find(query).explain())
        assert f"'indexName': '{index}'" in explained, explained


def test_loading_again_brings_nothing_back_and_reset_begins_anew(place: Place) -> None:
    place.db.events.delete_many({})
    assert mongo.load_into(place.admin_uri) is False
    assert place.db.events.count_documents({}) == 0
    assert mongo.load_into(place.admin_uri, reset=True) is True
    assert place.db.events.count_documents({}) > 2_000
    assert "expireAfterSeconds" not in place.options("metrics")


def test_an_interrupted_load_is_made_again(place: Place) -> None:
    place.db.upkeep_sample.delete_many({})
    place.db.assets.delete_many({"asset_type": "vm"})
    assert mongo.load_into(place.admin_uri) is True
    assert place.db.assets.count_documents({"asset_type": "vm"}) > 5
