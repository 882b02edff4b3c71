"""What tests of cache warming share: a table of prices in PostgreSQL, a cache, and the command line over both."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.harness.command_line import Upkeep
from tests.harness.redis import Place

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


def filled(db: psycopg.Connection) -> None:
    """Make the table of prices anew."""
    db.execute("drop table if exists public.prices")
    db.execute(
        "create table public.prices (region text, item int, amount numeric, since date, raw bytea, note text,"
        " unique (region, item))"
    )
    db.execute(
        "insert into public.prices select 'eu', n, n * 1.50, date '2024-02-29', decode('00ff', 'hex'),"
        " 'ä \\ \" ' || n from generate_series(1, %s) as n",
        [ROWS],
    )


@contextmanager
def over(source: str, place: Place, folder: Path) -> Iterator[Shop]:
    """Give the shop over a database that is there and an empty cache."""
    with psycopg.connect(source, autocommit=True) as db:
        place.client.config_set("maxmemory", "100mb")
        filled(db)
        made = Shop(db, place, folder, Upkeep(folder / "fleet.yaml", ""), source)
        made.declare()
        made.query(QUERY)
        yield made


def forked(do: Callable[[], object]) -> int:
    """Start a process that does something and ends; return its id."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        finally:
            os._exit(0)
    return pid


def ended(pid: int) -> int:
    """Wait for the end of a process; return its exit status, or the signal that ended it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
