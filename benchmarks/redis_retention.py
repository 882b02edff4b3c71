"""Deleting the due entries of a Redis stream, beside a bare loop of XTRIM, and what a writer beside it waits.

Goals: Upkeep deletes at least a million entries a second (the bare loop, with the same step, is shown beside it: a
step of ours also asks the consumer groups what they need); the writer's p99 beside it is at most 10 ms.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

import redis

from benchmarks import harness, report
from local.servers import RedisServer, start_redis, temporary_directory
from upkeep import connections, engines
from upkeep.fleet import Target

ENTRIES = 1_000_000
DUE = 800_000
ROUNDS = 3
GOAL = 1_000_000
NAME = "log"
PAYLOAD = "x" * 150
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
AT = datetime.fromtimestamp(FIRST.timestamp() + DUE / 1000 + 86_400, UTC)
"""Entries are a millisecond apart: the first `DUE` of them are older than a day then."""


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    report.heading(f"Redis: delete {DUE:,} of {ENTRIES:,} entries of a stream")
    rates: dict[str, list[float]] = {"upkeep": [], "raw": []}
    waits: list[float] = []
    step = 0
    with server() as running:
        for number in range(ROUNDS):
            for name in ("upkeep", "raw") if number % 2 == 0 else ("raw", "upkeep"):
                if name == "raw" and not step:
                    continue
                fill(running)
                if name == "upkeep":
                    seconds, step = by_upkeep(running)
                else:
                    seconds = by_hand(running, step)
                rates[name].append(DUE / seconds)
        fill(running)
        waits, quiet = beside(running)
    for name, values in rates.items():
        spread = f"[{min(values):,.0f} – {max(values):,.0f}]"
        report.line(f"{name}, entries a second", f"{statistics.median(values):12,.0f}  {spread}  n={len(values)}")
    report.line("entries in a step (Upkeep's average, used by both)", f"{step:12,}")
    ours, bare = statistics.median(rates["upkeep"]), statistics.median(rates["raw"])
    report.line("Upkeep ÷ raw", f"{ours / bare:.2f}")
    reached = report.verdict("Upkeep, entries a second", round(ours), GOAL, at_least=True)
    for name, values in (("quiet", quiet), ("beside", waits)):
        figures = ", ".join(f"{label} {report.percentile(values, p) * 1e3:.2f}" for label, p in PERCENTILES)
        report.line(f"writer, {name} [ms]", f"{figures}  n={len(values)}")
    return (
        report.verdict("writer beside it, p99 [ms]", report.percentile(waits, 0.99) * 1e3, 10, at_least=False) & reached
    )


@contextmanager
def server() -> Iterator[RedisServer]:
    """Start a server in a temporary folder; stop and remove it at the end."""
    directory = temporary_directory()
    try:
        running = start_redis(directory)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def fill(running: RedisServer) -> None:
    """Make the stream, with a group that has acknowledged everything."""
    client: Any
    with redis.Redis.from_url(running.uri()) as client:
        client.delete(NAME)
        first = int(FIRST.timestamp() * 1000)
        for start in range(0, ENTRIES, 10_000):
            with client.pipeline(transaction=False) as pipe:
                for n in range(start, start + 10_000):
                    pipe.execute_command("XADD", NAME, f"{first + n}-0", "message", PAYLOAD, "number", n)
                pipe.execute()
        client.xgroup_create(NAME, "readers", id="$")


def _left(running: RedisServer) -> int:
    client: Any
    with redis.Redis.from_url(running.uri()) as client:
        return int(client.xlen(NAME))


def by_upkeep(running: RedisServer) -> tuple[float, int]:
    """Return seconds and the average step."""
    wanted = Target.model_validate(
        {
            "name": "t",
            "engine": "redis",
            "connection": "c",
            "streams": {NAME: {"retain": {"for": "1 day", "then": "delete", "requires": "nothing"}}},
        }
    )
    address = connections.parse("benchmark", running.uri())
    with engines.engine("redis").open(address, application="benchmark") as session:
        (outcome,) = harness.run(session, wanted, "data_retention", AT)
    if outcome.rows != DUE:
        raise RuntimeError(f"deleted {outcome.rows} entries")
    return outcome.seconds, max(1, DUE // int(outcome.evidence["steps"]))


def by_hand(running: RedisServer, step: int) -> float:
    """Return the seconds of the bare loop."""
    client: Any
    bound = f"{int(FIRST.timestamp() * 1000) + DUE}-0"
    with redis.Redis.from_url(running.uri()) as client:
        started = time.perf_counter()
        while client.execute_command("XTRIM", NAME, "MINID", "~", bound, "LIMIT", step):
            pass
        client.execute_command("XTRIM", NAME, "MINID", "=", bound)
        seconds = time.perf_counter() - started
    if _left(running) != ENTRIES - DUE:
        raise RuntimeError(f"the bare loop left {_left(running)} entries")
    return seconds


def beside(running: RedisServer) -> tuple[list[float], list[float]]:
    """Return how long additions took beside Upkeep's counting and deleting, and before, in seconds."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=write, args=(running.uri(), ready, stop, theirs), daemon=True)
    writer.start()
    ready.wait()
    time.sleep(2)
    began = time.monotonic()
    by_upkeep(running)
    ended = time.monotonic()
    stop.set()
    times: list[tuple[float, float]] = ours.recv()
    writer.join()
    return [t for at, t in times if at + t >= began and at <= ended], [t for at, t in times if at + t < began]


def write(uri: str, ready: Event, stop: Event, result: Connection) -> None:
    """Add an entry to another stream every millisecond or so until told to stop."""
    times = []
    client: Any
    with redis.Redis.from_url(uri) as client:
        client.xadd("other", {"a": 1})
        ready.set()
        while not stop.is_set():
            at = time.monotonic()
            client.xadd("other", {"a": 1}, maxlen=1000)
            times.append((at, time.monotonic() - at))
            time.sleep(0.001)
    result.send(times)


PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))

if __name__ == "__main__":
    main()
