"""Lock wait inflicted on a writer while partitions are created, detached and dropped.

A writer in a process of its own inserts a row every 5 ms and notes how long each insert took; the same
writer runs without maintenance right before and after. Goals: attributable wait (longest insert beside
maintenance, less the longest without) at most 100 ms, p99 at most 20 ms.
"""

from __future__ import annotations

import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

import psycopg

from benchmarks import harness, report, servers
from upkeep import engines
from upkeep.fleet import Target

PERIOD = 0.005
PARTITIONS = 40
ROWS = 200_000
QUIET_SECONDS = 8.0


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    reached = True
    for default in (False, True):
        report.heading(f"lock wait of a writer, {'with' if default else 'without'} a default partition")
        with servers.postgres() as server:
            prepare(server.uri(), default=default)
            quiet = watched(server.uri(), lambda: time.sleep(QUIET_SECONDS))
            with engines.engine("postgres").open(servers.address(server), application="benchmark") as session:
                busy = watched(server.uri(), lambda: maintain(session))
            quiet += watched(server.uri(), lambda: time.sleep(QUIET_SECONDS))
        reached &= judge(quiet, busy)
    return reached


def prepare(uri: str, *, default: bool) -> None:
    """Create a table with daily partitions in the past and of today, and some rows in each."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(
            "create table events (id bigint generated always as identity, at timestamptz not null, payload text,"
            " primary key (id, at)) partition by range (at)"
        )
        connection.execute("create index on events (at)")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for day in range(-PARTITIONS, 1):
            start, end = today + timedelta(days=day), today + timedelta(days=day + 1)
            connection.execute(
                f"create table events_{start:%Y_%m_%d} partition of events for values from ('{start}') to ('{end}')"
            )
        if default:
            connection.execute("create table events_default partition of events default")
        connection.execute(
            "insert into events (at, payload) select now() - random() * make_interval(days => %s), repeat('x', 80)"
            " from generate_series(1, %s)",
            (PARTITIONS - 1, ROWS),
        )
        connection.execute("analyze events")


def maintain(session: engines.Session) -> None:
    """Create forty partitions ahead, then detach and drop those of the past."""
    policy = {
        "partition": {"by": "at", "every": "1 day", "ahead": PARTITIONS},
        "retain": {"for": "1 day", "then": "delete", "grace": 0, "requires": "nothing"},
    }
    target = Target.model_validate(
        {"name": "t", "engine": "postgres", "connection": "c", "tables": {"public.events": policy}}
    )
    created = harness.run(session, target, "partition_creation", datetime.now(UTC))
    removed = harness.run(session, target, "data_retention", datetime.now(UTC))
    report.line("actions done beside the writer", len(created) + len(removed))


def watched(uri: str, work: object) -> list[float]:
    """Return the writer's insert times, in seconds, while ``work`` runs."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=write, args=(uri, ready, stop, theirs), daemon=True)
    writer.start()
    ready.wait()
    assert callable(work)  # noqa: S101
    work()
    stop.set()
    times: list[float] = ours.recv()
    writer.join()
    return times


def write(uri: str, ready: Event, stop: Event, result: Connection) -> None:
    """Insert a row every 5 ms until told to stop; send back how long each insert took."""
    times = []
    with psycopg.connect(uri, autocommit=True) as connection:
        for _ in range(20):  # plans and caches warm
            connection.execute("insert into events (at, payload) values (now(), 'probe')")
        ready.set()
        while not stop.is_set():
            started = time.perf_counter()
            connection.execute("insert into events (at, payload) values (now(), 'probe')")
            times.append(time.perf_counter() - started)
            time.sleep(max(0.0, PERIOD - times[-1]))
    result.send(times)


def judge(quiet: list[float], busy: list[float]) -> bool:
    """Print both distributions beside each other and judge the difference."""
    for name, times in (("without maintenance", quiet), ("with maintenance", busy)):
        figures = ", ".join(f"{label} {report.percentile(times, p) * 1e3:.1f}" for label, p in PERCENTILES)
        report.line(f"insert, {name} [ms]", f"{figures}  n={len(times)}")
    attributable = (max(busy) - max(quiet)) * 1e3
    p99 = report.percentile(busy, 0.99) * 1e3
    first = report.verdict("attributable wait [ms]", max(0.0, attributable), 100, at_least=False)
    return report.verdict("p99 of the writer [ms]", p99, 20, at_least=False) and first


PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))

if __name__ == "__main__":
    main()
