"""`requires: {backup: AGE}` where no server tells which rows a snapshot holds: what was restored is compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.servers import MongoServer, RedisServer, TidbServer
from tests.harness import mongo, redis, tidb
from tests.harness.cases import AT
from tests.harness.commands import Bed, Done
from tests.harness.jobs import fleet_text

HOURS = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: {backup: 26 hours}}"
PARTS = "retain: {by: at, for: 30 days, then: delete, grace: 0 days, requires: {backup: 26 hours}}"


SECTIONS = {"tidb": "tables", "redis": "streams", "mongo": "collections"}


def declare(bed: Bed, uri: str, declared: dict[str, str], into: Path) -> None:
    engine = uri.partition(":")[0].removesuffix("db" if uri.startswith("mongodb") else "")
    section = SECTIONS[engine]
    more = f"backup: {{into: {into}}}\nlimits: {{share: 100 %}}"
    bed.fleet.write_text(fleet_text(engine, section, declared, {"shop": "shop_db"}, more))
    bed.addresses["shop"] = uri


def places(into: Path) -> int:
    """Return how many backups have marks beside them."""
    return len(list(into.glob("*/*/marks.json")))


def back_up(bed: Bed) -> Done:
    done = bed.upkeep("run", "backup", "--now", "--json")
    assert done.status == 0, done.story
    return done


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[tidb.Db]:
    with tidb.fresh(tidb_server) as made:
        yield made


@pytest.mark.tidb
def test_tidb(bed: Bed, db: tidb.Db, tmp_path: Path) -> None:
    db.run("create table logs (id bigint primary key, at datetime, note varchar(20), doc json, key (at))")
    rows = [(n, f"2024-01-{n % 4 + 1:02} {n % 24:02}:30:00", f"n{n}", '{"a": 1}') for n in range(96)]
    db.many("insert into logs values (%s, %s, %s, %s)", [*rows, (500, "2024-03-14", "young", None)])
    db.run(
        "create table parts (id bigint, at date) partition by range columns (at) (partition p1 values less than "
        "('2024-01-01'), partition p2 values less than ('2024-02-01'), partition p3 values less than ('2024-04-01'))"
    )
    db.many("insert into parts values (%s, %s)", [(n, f"2024-01-{n % 28 + 1:02}") for n in range(30)])
    db.run("insert into parts values (100, '2023-01-01'), (101, '2024-03-01')")
    declare(bed, db.uri, {"logs": HOURS, "parts": PARTS}, tmp_path)
    before = bed.upkeep("run", "data_retention", *AT)
    assert {o for outcomes in before.outcomes().values() for o in outcomes} == {"needs_backup"}, before.story

    back_up(bed)
    db.run("insert into logs values (1000, '2024-01-03 02:45:00', 'late', null), (1001, '2024-01-09', 'late', null)")
    db.run("update logs set note = 'other' where id = 7")
    db.run("insert into parts values (200, '2023-01-01')")
    done = bed.upkeep("run", "data_retention", *AT)
    assert done.outcomes()[f"{db.name}.logs"] == ["done"], done.story
    # what came or changed since stays, with the rows of its hour
    stayed = [row[0] for row in db.run("select id from logs order by id")]
    assert stayed == [2, 7, 26, 31, 50, 55, 74, 79, 500, 1000, 1001], done.story
    assert "10 rows that are due stay" in done.story
    assert "in the hours from 2024-01-03 02:00:00, from 2024-01-04 07:00:00" in done.story
    assert done.status == 0, done.story
    assert done.outcomes()[f"{db.name}.parts"] == ["needs_backup", "dependency_not_done", "done", "needs_backup"]
    assert "p1 holds other rows than in backup" in done.story
    assert db.value("select count(*) from parts") == 3
    (detached,) = [name for name in db.tables() if name.startswith("parts__p2")]
    assert db.value(f"select count(*) from {detached}") == 30

    # the next one holds all of it; a row that came into the detached table afterwards keeps that whole
    back_up(bed)
    db.run(f"update {detached} set id = 77 where id = 1")
    kept = bed.upkeep("run", "data_retention", *AT)
    assert [row[0] for row in db.run("select id from logs")] == [500], kept.story
    assert f"{detached} holds other rows than in backup" in kept.story, kept.story
    assert db.value(f"select count(*) from {detached}") == 30
    db.run(f"update {detached} set id = 1 where id = 77")
    gone = bed.upkeep("run", "data_retention", *AT)
    assert detached not in db.tables(), gone.story
    assert db.run("select * from parts order by id")[-1][0] == 101, gone.story
    assert places(tmp_path) == 2


def test_redis(bed: Bed, redis_server: RedisServer, tmp_path: Path) -> None:
    with redis.fresh_place(redis_server) as place:
        first = place.fill("logs", old=30, new=5)[0]
        early = int((datetime.now(UTC) - timedelta(days=50)).timestamp() * 1000)
        for n in range(5):
            place.client.xadd("audit", {"n": n}, id=f"{early + n}-1")
        rule = "retain: {for: 30 days, then: delete, requires: {backup: 26 hours}}"
        declare(bed, place.uri, {"logs": rule, "audit": rule}, tmp_path)
        before = bed.upkeep("run", "data_retention", "--json")
        assert before.outcomes() == {"logs": ["needs_backup"], "audit": ["needs_backup"]}, before.story
        back_up(bed)

        # one stream is made anew, with the same ids; of the other the oldest went by themselves
        place.client.delete("audit")
        for n in range(6):
            place.client.xadd("audit", {"n": n + n // 4}, id=f"{early + n}-1")
        place.client.xtrim("logs", maxlen=33, approximate=False)
        done = bed.upkeep("run", "data_retention", "--json")
        assert done.outcomes() == {"logs": ["done"], "audit": ["needs_backup"]}, done.story
        assert place.ids("logs")[0] == first, done.story
        assert len(place.ids("audit")) == 6
        assert "it is not what backup" in done.story

        # by hand it is proven by the same policies; with its files gone it authorises nothing
        back_up(bed)
        newest = bed.upkeep("backups", "--json").document["backups"][0]
        (Path(newest["location"]) / "marks.json").unlink()
        assert bed.upkeep("verify", newest["id"], "--json").status == 0
        assert places(tmp_path) == 2
        for file in tmp_path.glob("shop/*/data/dump.rdb"):
            file.unlink()
        gone = bed.upkeep("run", "data_retention", "--json")
        assert gone.outcomes()["audit"] == ["needs_backup"], gone.story
        assert "no longer (whole)" in gone.story
        assert len(place.ids("audit")) == 6


def test_mongo(bed: Bed, mongo_server: MongoServer, tmp_path: Path) -> None:
    with mongo.fresh_place(mongo_server) as place:
        events = place.db.events
        events.create_index("at")
        hours = [datetime(2024, 1, 1, n % 4, n, tzinfo=UTC) for n in range(40)]
        events.insert_many({"_id": n, "at": at, "n": n} for n, at in enumerate(hours))
        events.insert_one({"_id": 100, "at": datetime(2024, 3, 14, tzinfo=UTC)})
        rule = "retain: {by: at, for: 30 days, then: delete, requires: {backup: 26 hours}}"
        declare(bed, place.uri, {"events": rule}, tmp_path)
        back_up(bed)
        events.update_one({"_id": 1}, {"$set": {"n": 1.0}})  # equal to who compares numbers
        events.insert_one({"_id": 200, "at": hours[2], "n": "late"})
        done = bed.upkeep("run", "data_retention", *AT)
        left = [one["_id"] for one in events.find().sort("_id")]
        assert left == sorted([*range(1, 40, 4), *range(2, 40, 4), 100, 200]), done.story
        assert done.outcomes() == {"events": ["done"]}, done.story
        assert "21 documents that are due stay" in done.story
        assert done.status == 0, done.story
