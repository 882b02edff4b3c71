"""Warming a cache with rows of PostgreSQL, beside the plain pipeline of ``SET … PX`` with the same keys and values.

Shown are keys a second of a first warming, all of it: reading, setting with compare-and-set, proving by reading again;
of the setting alone; and of a run that finds everything unchanged. The pipeline is redis-py's, 1,000 commands each.

Goal: setting alone reaches half of the plain pipeline's rate, although each key is compared and written down as ours.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from benchmarks import report
from local.servers import PostgresServer, RedisServer, start_postgres, start_redis, temporary_directory
from upkeep import connections, engines, fleet
from upkeep.engines import Reader
from upkeep.jobs import rooms
from upkeep.jobs.contract import Ask, Work, go_on
from upkeep.model import NOTHING_ASKED, Memory, Outcome, OutcomeStatus
from upkeep.redis.cache_warming import apply
from upkeep.redis.cache_warming.store import STEP, STEP_BYTES, Store, steps

KEYS = 100_000
ROUNDS = 3
GOAL = 0.5
PORTION = 1_000
FLEET = """\
version: 1
targets:
  source: {engine: postgres, connection: source}
  cache:
    engine: redis
    connection: cache
    warm: {rows: {from: source, query: rows.sql, key: 'row:{id}', ttl: 1 hour, budget: 256 MiB}}
"""
QUERY = f"""\
select n as id, 'server-' || n % 2000 as server, n * 1.5 as threshold, 'team-' || n % 40 || '@example.com' as contact
from generate_series(1, {KEYS}) as numbers (n)
"""


def main() -> bool:
    """Run the benchmark and return whether its goal is reached."""
    report.heading(f"Redis: warm {KEYS:,} keys")
    rates: dict[str, list[float]] = {"first run, whole": [], "unchanged, whole": [], "setting": [], "plain SET": []}
    with _servers() as (source, cache, folder):
        os.environ |= {"AIRFLOW_CONN_SOURCE": source.uri(), "AIRFLOW_CONN_CACHE": cache.uri()}
        (folder / "rows.sql").write_text(QUERY)
        declared = fleet.parse(FLEET, folder=folder)
        client: Any
        with redis.Redis.from_url(cache.uri()) as client:
            client.config_set("maxmemory", "1gb")
            for number in range(ROUNDS):
                client.flushdb()
                rates["first run, whole"].append(KEYS / _warm(declared, expected=KEYS))
                rates["unchanged, whole"].append(KEYS / _warm(declared, expected=0))
                names = [f"row:{n}".encode() for n in range(1, KEYS + 1)]
                pairs = [*zip(names, client.mget(names), strict=True)]
                ways = [("setting", _set), ("plain SET", _plain)]
                for name, way in ways if number % 2 == 0 else reversed(ways):
                    client.flushdb()
                    rates[name].append(KEYS / way(cache, pairs))
    for name, values in rates.items():
        spread = f"[{min(values):,.0f} – {max(values):,.0f}]"
        report.line(f"{name}, keys a second", f"{statistics.median(values):12,.0f}  {spread}  n={len(values)}")
    ratios = [ours / bare for ours, bare in zip(rates["setting"], rates["plain SET"], strict=True)]
    report.line("setting ÷ plain SET, each pair", "  ".join(f"{ratio:.2f}" for ratio in ratios))
    whole = statistics.median(rates["first run, whole"]) / statistics.median(rates["plain SET"])
    report.line("first run, whole ÷ plain SET", f"{whole:.2f}")
    return report.verdict("setting ÷ plain SET", statistics.median(ratios), GOAL, at_least=True)


@contextmanager
def _servers() -> Iterator[tuple[PostgresServer, RedisServer, Path]]:
    directory = temporary_directory()
    source, cache = start_postgres(directory / "postgres"), start_redis(directory / "redis")
    try:
        yield source, cache, directory
    finally:
        cache.stop()
        source.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _warm(declared: fleet.Fleet, *, expected: int) -> float:
    """Return the seconds of one action, as a run does it."""

    @contextmanager
    def opened(name: str) -> Iterator[Reader]:
        room: Any = engines.engine(declared.target(name).engine)
        with room.open(connections.resolve(declared.target(name).connection), application="benchmark") as session:
            yield room.reader(session)

    target, job = declared.target("cache"), rooms.job("cache_warming", "redis")
    if job is None:
        raise RuntimeError("there is no such job")
    with engines.engine("redis").open(connections.resolve("cache"), application="benchmark") as session:
        facts = session.facts()
        asked = Ask("cache_warming", session, target, facts.clock, Memory(), NOTHING_ASKED, facts, opened)
        observation = job.observe(asked)
        (action,) = job.plan(observation, target).actions
        work = Work(session, target, action, observation, go_on, time.sleep, lambda _: None, open=opened)
        outcome: Outcome = apply.apply(work)
    if outcome.status is not OutcomeStatus.DONE or outcome.evidence["keys_set"] != expected:
        raise RuntimeError(f"{outcome.status}: {outcome.message} {outcome.evidence}")
    return outcome.seconds


def _set(_: RedisServer, pairs: list[tuple[bytes, bytes]]) -> float:
    """Return the seconds of our own setting alone."""
    room: Any = engines.engine("redis")
    with room.open(connections.resolve("cache"), application="benchmark") as session:
        store = Store(session, "rows", 3600)
        started = time.perf_counter()
        for some in steps(pairs, STEP, STEP_BYTES):
            store.put(some, 0)
        return time.perf_counter() - started


def _plain(cache: RedisServer, pairs: list[tuple[bytes, bytes]]) -> float:
    """Return the seconds of the plain pipeline."""
    with redis.Redis.from_url(cache.uri()) as client:
        started = time.perf_counter()
        for begin in range(0, len(pairs), PORTION):
            with client.pipeline(transaction=False) as pipe:
                for key, value in pairs[begin : begin + PORTION]:
                    pipe.set(key, value, px=3_600_000)
                pipe.execute()
        return time.perf_counter() - started
