"""`upkeep init --from` on TiDB, MongoDB and Redis: a file that is valid, says what is there, and changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from local.servers import MongoServer, RedisServer, TidbServer
from tests.integration import mongo_help, redis_help, tidb_help
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
