"""Cache warming on real servers: keys equal rows, what others wrote stays, and nothing is set that does not fit."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from tests.harness.command_line import closed_window
from tests.harness.warming import QUERY, ROWS, Shop, checks, outcome
from upkeep import settings
from upkeep.redis.cache_warming import apply
from upkeep.redis.cache_warming.store import Store


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
    client.pexpire("price:eu:16", 60_000)
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


def test_it_stops_when_the_server_begins_to_evict(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    client = shop.place.client
    monkeypatch.setattr(apply, "PORTION", 250)
    used, put = client.info("memory")["used_memory"], Store.put
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", used + 8_000_000)

    def beside(store: Store, *given: Any) -> None:
        put(store, *given)
        if store.made == 500:  # another writer fills the memory
            for number in range(20):
                client.set(f"filler:{number}", "x" * 1_000_000)

    try:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "put", beside)
            told = shop.run()
        assert (outcome(told)["status"], outcome(told)["reason_code"], told["exit"]) == ("skipped", "overloaded", 3)
        assert "begun to evict" in outcome(told)["message"]
        assert outcome(told)["evidence"]["keys_set"] == 500
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.delete(*client.scan_iter(match="filler:*"))
        client.config_set("maxmemory", "100mb")
    shop.run()
    assert shop.equal()


def test_the_user_needs_no_more_than_the_page_says(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (settings.checkout() / "docs" / "cache_warming.md").read_text()
    client = shop.place.client
    major = int(client.info()["redis_version"].partition(".")[0])
    rights = [r for r in re.findall(r"(?<=[ `])(\+[a-z_|]+)", text) if major >= 7 or r != "+eval_ro"]
    client.execute_command("ACL", "SETUSER", "warmer", "on", ">secret", "~price:*", "~upkeep:warm:*", *rights)
    try:
        monkeypatch.setenv("AIRFLOW_CONN_CACHE", re.sub("//.*@", "//warmer:secret@", shop.place.uri))
        assert shop.evidence()["keys_set"] == ROWS
        shop.db.execute("delete from public.prices where item = 1")
        shop.db.execute("update public.prices set amount = 1 where item = 2")
        evidence = shop.evidence()
        assert (evidence["keys_set"], evidence["keys_removed"]) == (1, 1)
        # a right too few is said, with the key left alone
        client.execute_command("ACL", "SETUSER", "warmer", "-set")
        shop.db.execute("update public.prices set amount = 3 where item = 2")
        assert outcome(shop.run())["status"] == "failed"
    finally:
        client.execute_command("ACL", "DELUSER", "warmer")
