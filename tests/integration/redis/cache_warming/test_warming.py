"""Cache warming on real servers: keys equal rows, what others wrote stays, and nothing is set that does not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer, RedisServer
from tests.harness import servers
from tests.harness.command_line import Upkeep, closed_window
from tests.harness.redis import Place, fresh_place

FLEET = """\
version: 1
targets:
  shop: {{engine: postgres, connection: shop}}
  cache:
    engine: redis
    connection: cache
    {more}
    warm:
      prices: {{from: shop, query: prices.sql, key: 'price:{{region}}:{{item}}', ttl: {ttl}, budget: {budget}}}
"""
QUERY = "select region, item, amount, since, raw, note from public.prices"
ROWS = 1_500


@dataclass
class Shop:
    """A source of rows, a cache, and the command line over both."""

    db: psycopg.Connection
    place: Place
    folder: Path
    upkeep: Upkeep
    url: str

    def declare(self, more: str = "mode: enforce", ttl: str = "1 hour", budget: str = "4 MiB") -> None:
        self.upkeep.text = FLEET.format(more=more, ttl=ttl, budget=budget)

    def query(self, text: str) -> None:
        (self.folder / "prices.sql").write_text(text)

    def run(self, *more: str) -> Any:
        return self.upkeep.target("run", "cache_warming", "--target", "cache", *more)

    def evidence(self, *more: str) -> Any:
        """Return what became of the only entry, done without trouble."""
        told = self.run(*more)
        assert (told["status"], told["exit"]) == ("ok", 0), json.dumps(told)
        return outcome(told)["evidence"]

    def keys(self) -> dict[str, Any]:
        names = sorted(self.place.client.scan_iter(match="price:*", count=1000))
        return dict(zip(names, self.place.client.mget(names), strict=True)) if names else {}

    def rows(self) -> dict[str, Any]:
        """Return what the keys should hold, made by the database itself."""
        found = self.db.execute(
            "select 'price:' || region || ':' || item, json_build_object('region', region, 'item', item, 'amount',"
            " amount::text, 'since', since, 'raw', encode(raw, 'base64'), 'note', note)::text from public.prices"
            " where region is not null"
        )
        return {key: json.loads(text) for key, text in found}

    def equal(self) -> bool:
        assert {key: json.loads(value) for key, value in self.keys().items()} == self.rows()
        return True

    def calls(self, command: str) -> int:
        return int(self.place.client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


def outcome(told: Any) -> Any:
    (action,) = told["actions"]
    return action["outcome"]


def checks(told: Any) -> list[str]:
    return sorted(finding["check"] for finding in told["findings"])


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> Iterator[str]:
    with servers.fresh_database(postgres_server, "shop") as uri:
        yield uri


@pytest.fixture
def shop(
    source: str, redis_server: RedisServer, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", source)
    with fresh_place(redis_server) as place, psycopg.connect(source, autocommit=True) as db:
        place.client.config_set("maxmemory", "100mb")
        monkeypatch.setenv("AIRFLOW_CONN_CACHE", place.uri)
        db.execute("drop table if exists prices")
        db.execute(
            "create table prices (region text, item int, amount numeric, since date, raw bytea, note text,"
            " unique (region, item))"
        )
        db.execute(
            "insert into prices select 'eu', n, n * 1.50, date '2024-02-29', decode('00ff', 'hex'), 'ä \\ \" ' || n"
            " from generate_series(1, %s) as n",
            [ROWS],
        )
        made = Shop(db, place, tmp_path, Upkeep(tmp_path / "fleet.yaml", ""), source)
        made.declare()
        made.query(QUERY)
        yield made


def test_keys_equal_rows_and_follow_them_and_what_others_wrote_stays(shop: Shop) -> None:
    client = shop.place.client
    client.set("price:eu:7", "another's")
    client.rpush("price:eu:8", "a list")
    shop.db.execute("insert into prices values (null, 1, 1, null, null, null)")
    told = shop.run()
    assert (told["status"], told["exit"]) == ("ok", 0), json.dumps(told)
    evidence = outcome(told)["evidence"]
    assert evidence["keys_set"] == ROWS - 2
    assert (evidence["keys_of_others"], evidence["rows_left_out"]) == (2, 1)
    assert (evidence["sampled"], evidence["equal"], evidence["unequal"]) == (100, 100, 0)
    assert {"key_of_another", "row_without_key"} <= {*checks(told)}
    assert client.get("price:eu:7") == "another's"
    assert client.lrange("price:eu:8", 0, -1) == ["a list"]
    lives = [client.pttl(f"price:eu:{n}") / 3_600_000 for n in range(10, 300)]
    assert 0.89 < min(lives) < 0.92
    assert 1.08 < max(lives) <= 1.1

    # nothing changed: nothing is written; once others let them go, the two are set as well
    client.delete("price:eu:7", "price:eu:8")
    client.config_resetstat()
    evidence = shop.evidence()
    assert (evidence["keys_set"], evidence["keys_prolonged"], evidence["keys_unchanged"]) == (2, 0, ROWS - 2)
    assert shop.calls("set") == 2
    assert shop.equal()

    # a row changes, one comes, two go; a key that another writer changed meanwhile is that writer's from then on
    shop.db.execute("update prices set amount = 0, note = null where item = 11")
    shop.db.execute("insert into prices values ('us', 1, 2, null, null, 'new')")
    shop.db.execute("delete from public.prices where item in (12, 13)")
    for taken in ("price:eu:13", "price:eu:14"):
        client.set(taken, "taken over")
    client.delete("price:eu:15")
    client.pexpire("price:eu:16", 1000)
    client.persist("price:eu:17")
    client.config_resetstat()
    evidence = shop.evidence()
    assert (evidence["keys_set"], evidence["keys_removed"], evidence["keys_prolonged"]) == (3, 1, 2)
    assert shop.calls("set") == 3
    keys = shop.keys()
    assert [keys.pop(taken) for taken in ("price:eu:13", "price:eu:14")] == ["taken over"] * 2
    rows = shop.rows()
    del rows["price:eu:14"]
    assert {key: json.loads(value) for key, value in keys.items()} == rows
    assert client.pttl("price:eu:16") > 3_000_000
    assert client.pttl("price:eu:17") > 3_000_000

    # taken back: ours go, the others stay
    assert shop.upkeep("undo", told["actions"][0]["id"]).exit_code == 0
    assert shop.keys() == {"price:eu:13": "taken over", "price:eu:14": "taken over"}
    assert client.keys("upkeep:*") == []


def test_values_are_nowhere_but_in_the_cache(shop: Shop, control_database: str) -> None:
    """Not in the plan, the report, the ledger or an error of the source."""
    secret = "S3cret-value"
    shop.db.execute("update prices set note = %s where item <= 20", [secret])
    shown = [shop.upkeep("run", "cache_warming", "--target", "cache", "--json").output]
    shown.append(shop.upkeep("run", "cache_warming", "--target", "cache").output)
    shop.query("select region, item, (note::int) as note from public.prices order by item")
    told = shop.run()
    assert outcome(told)["status"] == "failed"
    shop.query("select 'eu' as region, 1 as item, note from public.prices")
    twice = shop.run()
    assert "two rows have the same key: region, item do not tell them apart" in outcome(twice)["message"]
    assert (twice["status"], twice["exit"]) == ("failed", 1)
    shown += [json.dumps(told), json.dumps(twice)]
    with psycopg.connect(control_database) as ledger:
        tables = ledger.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'upkeep'"
        )
        for (table,) in tables.fetchall():
            shown += [str(row) for row in ledger.execute(f"select t::text from {table} as t")]  # type: ignore[arg-type]
    assert secret in str(shop.keys())
    assert not [text for text in shown if secret in text]


def test_what_does_not_fit_or_cannot_be_asked_leaves_the_cache_as_it_is(shop: Shop, monkeypatch: Any) -> None:
    assert shop.evidence()["keys_set"] == ROWS
    before = shop.keys()
    shop.db.execute("update prices set amount = 1")

    def refused(check: str, text: str, *, status: str = "partial", code: int = 1) -> None:
        told = shop.run()
        assert (told["status"], told["exit"]) == (status, code), told
        assert check in checks(told), told
        assert text in json.dumps(told)
        assert told["actions"] == []
        assert shop.keys() == before

    # no limit of the server's memory, and a budget above four fifths of what is free
    shop.place.client.config_set("maxmemory", 0)
    refused("memory", "maxmemory 0")
    shop.place.client.config_set("maxmemory", "100mb")
    shop.declare(budget="110 MiB")
    refused("memory", "are free at most 80%")
    # a query that writes, in each way; the server is the one that refuses what only it can see
    shop.declare()
    shop.query("delete from public.prices")
    refused("query", "no SELECT that only reads")
    wipe = "create or replace function public.wipe() returns int language sql as "
    shop.db.execute(wipe + "'delete from public.prices returning 1'")
    for hostile in (
        "with gone as (delete from public.prices returning *) select * from gone",
        "select region, item, public.wipe() from public.prices",
        "select region, item from public.prices; delete from public.prices",
        "select region, item from public.prices for update",
    ):
        shop.query(hostile)
        told = shop.run()
        assert (told["status"], told["exit"], outcome(told)["status"]) == ("failed", 1, "failed"), told
        assert shop.keys() == before
    assert shop.db.execute("select count(*) from public.prices").fetchone() == (ROWS,)
    # a column that is not there; more rows than the budget
    shop.query("select region, item as thing from public.prices")
    assert "no column item" in outcome(shop.run())["message"]
    shop.query(QUERY)
    shop.declare(budget="100 KiB")
    assert "more than the budget of 0.1 MiB" in outcome(shop.run())["message"]
    assert shop.keys() == before
    # the source is away
    shop.declare()
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", re.sub(r":\d+/", ":1/", shop.url))
    refused("source_reachable", "'shop' cannot be asked for its rows")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", shop.url)
    assert shop.evidence()["keys_set"] == ROWS
    assert shop.equal()


def test_a_window_does_not_hold_it_pause_and_observe_do_and_a_run_may_name_entries(shop: Shop) -> None:
    shop.declare(more="mode: observe")
    observed = shop.run()
    assert (observed["status"], shop.keys()) == ("observed", {})
    shop.declare(more=closed_window())
    assert shop.upkeep("pause", "cache").exit_code == 0
    assert (shop.run()["status"], shop.keys()) == ("paused", {})
    assert shop.upkeep("resume", "cache").exit_code == 0
    told = shop.run("--entry", "nothing")
    assert (told["exit"], checks(told), told["actions"]) == (1, ["entry"], [])
    assert shop.evidence("--entry", "prices")["keys_set"] == ROWS
    assert shop.equal()
