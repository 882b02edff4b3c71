"""Rows of each engine become the same words: hostile values, types of each server, queries that write."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, ObjectId

from local.servers import MongoServer, TidbServer
from tests.harness import tidb
from tests.harness.mongo import fresh_place as fresh_mongo
from tests.harness.warming import Shop, checks, outcome

FLEET = """\
version: 1
targets:
  other: {{engine: {engine}, connection: other}}
  cache:
    engine: redis
    connection: cache
    warm: {{things: {{from: other, query: things, key: 'thing:{{{{x}}}}:{{name}}', ttl: 10 minutes, budget: 1 MiB}}}}
"""
HOSTILE = "a:b\n*{}'\"; drop\0ü𝄞"
Warm = Callable[..., Any]


@pytest.fixture
def warm(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warm:
    def run(engine: str, uri: str, query: str) -> Any:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", uri)
        shop.upkeep.text = FLEET.format(engine=engine)
        (tmp_path / "things").write_text(query)
        return shop.run()

    return run


def things(shop: Shop) -> dict[str, Any]:
    client = shop.place.client
    return {key: json.loads(client.get(key)) for key in client.scan_iter(match="thing:*")}


def test_postgres(shop: Shop, warm: Warm, source: str) -> None:
    shop.db.execute(
        "create table if not exists public.things as select * from (values"
        " (%(hostile)s, 1.10::numeric, timestamptz '2024-02-29 12:00+02', 'NaN'::float8, '00000000-0000-0000-0000-"
        "00000000000a'::uuid, '{\"b\": [1, 2.5]}'::jsonb, array[1, null], interval '1 day', '\\x00ff'::bytea, true),"
        " (null, null, null, null, null, null, null, null, null, null)"
        ") as v (name, amount, at, number, id, doc, many, span, raw, yes)",
        {"hostile": HOSTILE.replace("\0", "")},
    )
    told = warm("postgres", source, "-- said\n/* twice */ select *, name like '%b%' as found from public.things;\n")
    assert (told["exit"], checks(told)) == (0, ["row_without_key"]), told
    assert things(shop) == {
        "thing:{x}:" + HOSTILE.replace("\0", ""): {
            "name": HOSTILE.replace("\0", ""),
            "amount": "1.10",
            "at": "2024-02-29T10:00:00+00:00",
            "number": "nan",
            "id": str(UUID(int=10)),
            "doc": {"b": [1, 2.5]},
            "many": [1, None],
            "span": "1 day, 0:00:00",
            "raw": "AP8=",
            "yes": True,
            "found": True,
        }
    }
    told = warm("postgres", source, "select name, amount as name from public.things")
    assert "more than one column called name" in outcome(told)["message"]


@pytest.mark.tidb
def test_tidb(shop: Shop, warm: Warm, tidb_server: TidbServer) -> None:
    with tidb.fresh(tidb_server) as db:
        db.run("create table things (name varchar(100) unique, amount decimal(9,2), at datetime, raw varbinary(9))")
        db.many(
            "insert into things values (%s, %s, %s, %s)",
            [(HOSTILE, Decimal("1.10"), datetime(2024, 2, 29), b"\x00\xff"), (None, None, None, None)],  # noqa: DTZ001
        )
        db.run("select sleep(1.1)")  # rows are read as of a second ago
        told = warm("tidb", db.uri, "select * from things")
        assert (told["status"], checks(told)) == ("ok", ["row_without_key"]), told
        expected = {"name": HOSTILE, "amount": "1.10", "at": "2024-02-29T00:00:00", "raw": "AP8="}
        assert things(shop) == {f"thing:{{x}}:{HOSTILE}": expected}
        # more than one batch, given up in the middle: the rest is not read
        db.many("insert into things values (%s, 1, null, null)", [(f"n{n}",) for n in range(5_000)])
        db.run("select sleep(1.1)")
        told = warm("tidb", db.uri, "select *, repeat('x', 1000) as long_text from things")
        assert "more than the budget" in outcome(told)["message"]
        for hostile in ("with a as (select 1) delete from things", "select * from things into outfile '/tmp/x'"):
            told = warm("tidb", db.uri, hostile)
            assert told["exit"] == 1, told
        assert db.value("select count(*) from things") == 5_002
        assert list(things(shop)) == [f"thing:{{x}}:{HOSTILE}"]


def test_mongo(shop: Shop, warm: Warm, mongo_server: MongoServer) -> None:
    with fresh_mongo(mongo_server) as place:
        place.db.things.insert_many(
            [
                {
                    "_id": ObjectId("0" * 24),
                    "name": HOSTILE,
                    "amount": Decimal128("1.10"),
                    "at": datetime(2024, 2, 29, tzinfo=UTC),
                    "raw": Binary(b"\x00\xff", 128),
                    "count": Int64(2**60),
                    "in": {"list": [1, "a", None], "when": datetime(2024, 1, 1, tzinfo=UTC)},
                },
                {"name": None},
                {"other": 1},
            ]
        )
        find = {"collection": "things", "filter": {"_id": {"$lte": {"$oid": "f" * 24}}}}
        told = warm("mongo", place.uri, json.dumps(find))
        assert (told["status"], outcome(told)["evidence"]["rows_left_out"]) == ("ok", 2), told
        expected = {
            "_id": "0" * 24,
            "name": HOSTILE,
            "amount": "1.10",
            "at": "2024-02-29T00:00:00+00:00",
            "raw": "AP8=",
            "count": 2**60,
            "in": {"list": [1, "a", None], "when": "2024-01-01T00:00:00+00:00"},
        }
        assert things(shop) == {f"thing:{{x}}:{HOSTILE}": expected}
        pipeline = {"collection": "things", "pipeline": [{"$group": {"_id": None, "n": {"$sum": 1}}}]}
        pipeline["pipeline"] += [{"$project": {"_id": 0, "n": 1, "name": "all"}}]  # type: ignore[operator]
        assert outcome(warm("mongo", place.uri, json.dumps(pipeline)))["evidence"]["keys_set"] == 1
        assert things(shop) == {"thing:{x}:all": {"n": 3, "name": "all"}}
        for stage in ({"$out": "gone"}, {"$merge": {"into": "gone"}}):
            told = warm("mongo", place.uri, json.dumps({"collection": "things", "pipeline": [stage]}))
            assert (told["exit"], checks(told)) == (1, ["query"]), told
        told = warm("mongo", place.uri, json.dumps({"collection": "things", "pipeline": [{"$nonsense": 1}]}))
        assert outcome(told)["status"] == "failed"
        assert place.db.list_collection_names() == ["things"]
