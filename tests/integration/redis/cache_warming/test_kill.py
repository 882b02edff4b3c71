"""Ended in the middle, by a kill or a cancel, at each stage; two at once: the next run finishes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import psycopg
import pytest

from tests.harness.warming import ROWS, Shop, ended, forked, outcome
from upkeep.redis.cache_warming import apply, store
from upkeep.run.applier import Applier

STAGES = {
    "rows read": "500 rows read",
    "some are set": "500 of 1,5",
    "rows are gone": "rows that are gone removed",
    "proof": "",
}
"""Stage → what the run says at that moment; the proof says nothing, once keys were removed."""


def dies(shop: Shop, says: str, number: signal.Signals) -> None:
    """Have a run end itself at a checkpoint."""
    checkpoint, seen = Applier._checkpoint, []

    def counted(self: Applier, message: str = "", *, rows: int = 0) -> None:
        seen.append(message)
        if (says and says in message) or (not says and not message and any("removed" in one for one in seen)):
            os.kill(os.getpid(), number)
            time.sleep(0.05)  # a handler has its turn
        checkpoint(self, message, rows=rows)

    Applier._checkpoint = counted  # type: ignore[method-assign]
    apply.READ_ROWS, apply.PORTION, store.STEP = 500, 500, 250  # type: ignore[misc]
    shop.run()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_at_any_stage_the_next_run_finishes(shop: Shop, number: signal.Signals) -> None:
    client = shop.place.client
    client.set("price:eu:3", "another's")
    shop.run()
    for turn, (stage, says) in enumerate(STAGES.items()):
        shop.db.execute("update public.prices set amount = amount + 1 where item > 3")
        shop.db.execute("delete from public.prices where item = %s", [100 + turn])
        shop.db.execute("insert into public.prices select 'us', %s, 1, null, null, null", [turn])
        before = shop.keys()
        status = ended(forked(lambda says=says: dies(shop, says, number)))  # type: ignore[misc]
        assert status == (-signal.SIGKILL if number is signal.SIGKILL else 0), stage
        now = shop.keys()
        assert client.get("price:eu:3") == "another's", stage
        assert {key for key in before if key not in now} <= {f"price:eu:{100 + turn}"}, stage
        changed = sum(before.get(key) != value for key, value in now.items())
        assert (changed == 0) is (stage == "rows read"), stage
        assert (400 < changed <= 500) is (stage == "some are set"), (stage, changed)
        told = shop.run()
        assert (told["status"], told["exit"]) == ("ok", 0), (stage, told)
        assert client.get("price:eu:3") == "another's", stage
        rows = shop.rows()
        del rows["price:eu:3"]
        keys = shop.keys()
        del keys["price:eu:3"]
        assert {key: json.loads(value) for key, value in keys.items()} == rows, stage
    client.delete("price:eu:3")
    shop.run()
    assert shop.equal()


def test_two_at_once_wait_for_each_other(shop: Shop) -> None:
    pids = [forked(shop.run) for _ in range(2)]
    assert [ended(pid) for pid in pids] == [0, 0]
    assert shop.equal()
    evidence = outcome(shop.run())["evidence"]
    assert (evidence["keys_set"], evidence["keys_unchanged"]) == (0, ROWS)


SLOW = "select region, item, pg_sleep(case item when 900 then 60 else 0 end)::text as note from public.prices"


def during(shop: Shop, do: str) -> threading.Thread:
    """Do something to the source's session once its query sleeps."""

    def wait() -> None:
        with psycopg.connect(shop.url, autocommit=True) as db:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                found = db.execute("select pid from pg_stat_activity where wait_event = 'PgSleep'").fetchall()
                if found and do:
                    db.execute("select pg_terminate_backend(%s)", found[0])
                elif found:
                    os.kill(os.getpid(), signal.SIGINT)
                if found:
                    return
                time.sleep(0.05)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_source_that_goes_or_is_slow_and_a_cancel_leave_the_cache(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.run()
    before = shop.keys()
    shop.query(SLOW)
    thread = during(shop, "terminate")
    told = shop.run()
    thread.join()
    assert (outcome(told)["reason_code"], told["exit"]) == ("connection_lost", 3), told
    thread, began = during(shop, ""), time.monotonic()
    cancelled = shop.upkeep("run", "cache_warming", "--target", "cache", "--json")
    thread.join()
    assert time.monotonic() - began < 25
    assert "asked to stop" in cancelled.output
    monkeypatch.setattr(apply, "READ_SECONDS", 0.5)
    told = shop.run()
    assert "took longer than 0.5 s" in outcome(told)["message"], told
    assert (outcome(told)["status"], told["exit"]) == ("failed", 1)
    assert shop.keys() == before
