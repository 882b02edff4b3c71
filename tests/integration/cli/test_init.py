"""`upkeep init --from` on TiDB, MongoDB and Redis: a file that is valid, says what is there, and changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from local.servers import MongoServer, RedisServer, TidbServer
from tests.harness import mongo as mongo_help
from tests.harness import redis as redis_help
from tests.harness import tidb as tidb_help
from upkeep import fleet
from upkeep.cli import main


def first_file(monkeypatch: pytest.MonkeyPatch, folder: Path, uri: str) -> tuple[str, fleet.Target]:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", uri)
    path = folder / "first.yaml"
    result = CliRunner().invoke(main, ["--fleet", str(path), "init", "--from", "shop"])
    assert result.exit_code == 0, result.output
    checked = CliRunner().invoke(main, ["--fleet", str(path), "check"])
    assert checked.exit_code == 0, checked.output
    (target,) = fleet.load(path).targets.values()
    assert target.mode == "observe"
    return path.read_text(), target


def with_rules(text: str) -> fleet.Target:
    """Return the file with its rules no longer commented out: they must be as valid as the rest."""
    lines = []
    for line in text.splitlines():
        bare = line.strip().removeprefix("# ")
        indent = len(line) - len(line.lstrip())
        if "retain: {" in bare or bare.startswith(("tables:", "collections:", "streams:")):
            deeper = bare.startswith("  ")
            lines.append(" " * (indent + 2 * deeper) + bare.strip())
        elif line.strip().startswith("# ") and bare.endswith(":"):
            lines.append(" " * indent + bare)
        else:
            lines.append(line)
    (target,) = fleet.parse("\n".join(lines)).targets.values()
    return target


@pytest.mark.tidb
def test_tidb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tidb_server: TidbServer) -> None:
    with tidb_help.fresh(tidb_server) as db:
        months = ", ".join(f"partition p{m} values less than ('2026-{m:02}-01')" for m in (8, 9, 10, 11))
        db.run(f"create table events (id int, at datetime) partition by range columns (at) ({months})")
        days = ", ".join(f"partition p{d} values less than (to_days('2026-11-{d:02}'))" for d in (1, 2, 3, 4))
        db.run(f"create table days (id int, day date not null) partition by range (to_days(day)) ({days})")
        db.run("create table epochs (id int) partition by range (id) (partition p values less than (1700000000))")
        db.run("create table `odd``; 'name` (id int primary key, `created_at` timestamp, key (created_at))")
        db.run("create table slow (id int primary key, seen datetime)")
        db.run("create table plain (id int primary key)")
        before = [db.run(f"show create table {name}") for name in ("events", "days")]
        text, target = first_file(monkeypatch, tmp_path, db.uri)
        assert {str(p.partition.every) for p in target.tables.values() if p.partition} == {"1 month", "1 day"}
        assert "# partitioned by the whole number id" in text
        assert "# no index leads with seen" in text
        assert "# 1 tables have no time column" in text
        rules = with_rules(text)
        assert len([p for p in rules.tables.values() if p.retain is not None]) == 4
        assert [db.run(f"show create table {name}") for name in ("events", "days")] == before


@pytest.mark.tidb
def test_odd_tables_of_tidb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tidb_server: TidbServer) -> None:
    with tidb_help.fresh(tidb_server) as db:
        at = "(id int, at datetime(6), s timestamp, b int, v varchar(20))"
        db.run(f"create table expression {at} partition by range (month(at)) (partition p values less than (5))")
        db.run(f"create table divided {at} partition by range (b div 7) (partition p values less than (5))")
        db.run(f"create table several {at} partition by range columns (at, b) (partition p values less than "
               "('2024-01-01', 5))")  # fmt: skip
        db.run(f"create table texts {at} partition by range columns (v) (partition p values less than ('m'))")
        db.run(f"create table hashed {at} partition by hash (id) partitions 2")
        db.run(f"create table keyed {at} partition by key (v) partitions 2")
        db.run(f"create table listed {at} partition by list (b) (partition p values in (1, 2))")
        db.run(f"create table top {at} partition by range columns (at) (partition p values less than (maxvalue))")
        db.run("create table numbers (id bigint) partition by range (id) interval (10) "
               "first partition less than (10) last partition less than (30)")  # fmt: skip
        db.run("create table `line\nbreak` (id int, `at\nnight` datetime)")
        db.run("create table `yes` (id int, `null` datetime)")
        db.run("create view seen as select * from expression")
        db.run("create sequence counted")
        db.run("create global temporary table passing (at datetime) on commit delete rows")
        text, target = first_file(monkeypatch, tmp_path, db.uri)
        assert target.tables == {}
        assert "partitioned by range of the expression MONTH(`at`)" in text
        assert "partitioned by range of several columns" in text
        assert "partitioned by v, a varchar: its partitions are not continued" in text
        assert "seen" not in text.replace("by looking", "")
        ruled = {name.split(".")[-1] for name in with_rules(text).tables}
        assert ruled >= {"expression", "divided", "several", "hashed", "keyed", "listed", "top", "yes"}
        assert "`line\nbreak`" in ruled


def test_odd_tables_of_postgres(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str) -> None:
    kinds = {
        "expression": "range (date_trunc('month', at))",
        "several": "range (at, id)",
        "mixed": "range (id, (id % 7))",
        "numbers": "range (id)",
        "texts": "range (v)",
        "listed": "list ((id % 3))",
        "hashed": "hash ((id % 3))",
        "two": "hash (id, v)",
        "empty": "range (at)",
    }
    with psycopg.connect(database, autocommit=True) as db:
        for name, key in kinds.items():
            db.execute(f"create table {name} (id int, at timestamp, v text) partition by {key}")
        db.execute("create table only_numbers (id int) partition by range (id)")
        db.execute("create table none_yet (at timestamptz not null) partition by range (at)")
        db.execute("create table by_expression (id int) partition by range ((id / 7))")
        db.execute('create table "line\nbreak" (id int, "at\nnight" timestamptz)')
        db.execute('create table "yes" (id int, "null" date)')
        db.execute("create table parent (at timestamptz)")
        db.execute("create table child (n int) inherits (parent)")
        db.execute("create view seen as select * from parent")
        db.execute("create materialized view kept as select * from parent")
        db.execute("create foreign data wrapper w")
        db.execute("create server elsewhere foreign data wrapper w")
        db.execute("create foreign table far (at timestamptz) server elsewhere")
    text, target = first_file(monkeypatch, tmp_path, database)
    assert target.tables == {}
    assert text.count("by an expression or by several columns: partition_creation needs one column") >= 5
    assert "partitioned by the whole number id" in text
    assert "tell no usual length: partition: {by: at, every: 1 month, ahead: 3} makes more" in text
    ruled = {name.removeprefix("public.") for name in with_rules(text).tables}
    assert ruled >= {*kinds, "yes", "parent", "child", '"line\nbreak"'}
    assert not ruled & {"seen", "kept", "far", "only_numbers", "by_expression"}


def test_odd_collections_of_mongo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mongo_server: MongoServer) -> None:
    with mongo_help.fresh_place(mongo_server) as place:
        now = datetime.now(UTC)
        place.db.create_collection("spans", timeseries={"timeField": "the time"})
        place.db["a*b[c]"].insert_one({"at": now})
        place.db["line\nbreak"].insert_one({"the\ntime": now})
        place.db.fields.insert_one({"": now, "a.b": now, "$c": 1, "list": [now], "deep": {"": now, "er": {"x": now}}})
        place.db.texts.insert_one({"at": now, "text": "x"})
        place.db.texts.create_index([("$**", "text")])
        place.db.empty.create_index("x")
        place.db.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
        place.db.command("create", "seen", viewOn="texts", pipeline=[])
        text, target = first_file(monkeypatch, tmp_path, place.uri)
        assert set(target.collections) == {"spans"}
        assert set(with_rules(text).collections) == {"spans", "a[*]b[[]c]", "line\nbreak", "texts"}
        assert "seen" not in text


def test_odd_keys_of_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_server: RedisServer) -> None:
    with redis_help.fresh_place(redis_server) as place:
        for name in ("line\nbreak", "yes", "{tag}:s", "[a]?", "", b"\xff\x00", "ünïcode"):
            place.client.xadd(name, {"a": 1})
        place.client.xadd("emptied", {"a": 1})
        place.client.xtrim("emptied", maxlen=0)
        place.client.set("text", 1)
        place.client.hset("hash", "a", 1)
        text, target = first_file(monkeypatch, tmp_path, place.uri)
        assert target.streams == {}
        ruled = set(with_rules(text).streams)
        assert {"yes", "line\nbreak", "{tag}:s", "ünïcode", "emptied"} <= ruled
        assert len(ruled) >= 6


def test_mongo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mongo_server: MongoServer) -> None:
    with mongo_help.fresh_place(mongo_server) as place:
        now = datetime.now(UTC)
        place.db.create_collection("m", timeseries={"timeField": "at", "metaField": "meta", "granularity": "minutes"})
        place.db.m.insert_one({"at": now, "meta": {"a": 1}, "v": 1})
        place.db.command({"collMod": "m", "expireAfterSeconds": 86_400})
        place.db["odd: 'name'"].insert_many([{"meta": {"seen": now}, "n": n} for n in range(5)])
        place.db.logs.insert_many([{"created_at": now - timedelta(days=n), "updated": now} for n in range(50)])
        place.db.logs.create_index("created_at", expireAfterSeconds=10**8)
        place.db.plain.insert_one({"a": 1})
        place.db.create_collection("capped", capped=True, size=4096)
        text, target = first_file(monkeypatch, tmp_path, place.uri)
        assert target.collections["m"].timeseries is not None
        assert target.collections["m"].timeseries.granularity == "minutes"
        assert "which expires after 86,400 s" in text
        assert "by: created_at" in text
        assert "the TTL index created_at_1 deletes by itself" in text
        assert "no index leads with meta.seen" in text
        assert "1 collections have no field with a date" in text
        rules = with_rules(text)
        assert {name for name, p in rules.collections.items() if p.retain} == {"m", "logs", "odd: 'name'"}


def test_redis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> None:
    with redis_help.fresh_place(redis_server) as place:
        place.fill("log:a", old=5, new=1)
        place.fill("odd * 'name'", old=1, new=0)
        place.client.xadd("counted", {"a": 1}, id="1-1")
        place.client.xadd("micro", {"a": 1}, id="1700000000000000-1")
        place.client.set("a string", 1)
        place.client.xgroup_create("log:a", "g")
        text, target = first_file(monkeypatch, tmp_path, place.uri)
        assert target.streams == {}
        assert f"# 6 entries since {datetime.now(UTC) - timedelta(days=40):%Y-%m-%d}; consumer groups: 1" in text
        assert text.count("its ids are no times") == 2
        assert "a string" not in text
        assert set(with_rules(text).streams) == {"log:a", "odd \\* 'name'", "counted", "micro"}
        place.client.flushdb()
        assert "there are no streams" in first_file(monkeypatch, tmp_path_factory.mktemp("empty"), place.uri)[0]
