"""How long a writer waits while a table of ten million rows becomes a partitioned one, and is put back.

Two writers in processes of their own insert a row every 5 ms, one into the table, one (the control) into a
table that nobody converts: what slows both is the machine, what slows the first alone is ours. Goal:
attributable wait (longest insert of the writer, less the longest of the control) at most 100 ms.
"""

from __future__ import annotations

import multiprocessing
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import TypeAlias

import psycopg

from benchmarks import harness, report, servers
from upkeep import engines, model
from upkeep.fleet import Target
from upkeep.jobs import rooms
from upkeep.model import Outcome

PERIOD = 0.005
ROWS = 10_000_000
DAYS = 400
QUIET_SECONDS = 2.0
TABLES = ("events", "control")


def main() -> bool:
    """Run the benchmark and return whether its goal is reached."""
    report.heading(f"conversion of a plain table, {ROWS:,} rows".replace(",", " "))
    with servers.postgres() as server:
        prepare(server.uri())
        report.line("size of the table [MB]", round(size(server.uri()) / 1e6))
        with engines.engine("postgres").open(servers.address(server), application="benchmark") as session:
            times = watched(server.uri(), session)
        with psycopg.connect(server.uri()) as connection:
            row = connection.execute("select count(*), count(distinct id) from events").fetchone()
            assert row is not None  # noqa: S101
            report.line("rows after it, distinct", f"{row[0]} {row[1]}")
    for (name, kind), values in times.items():
        figures = ", ".join(f"{label} {report.percentile(values, p) * 1e3:.1f}" for label, p in PERCENTILES)
        report.line(f"insert, {kind}, {name} [ms]", f"{figures}  n={len(values)}")
    ours, control = times["events", "conversion"], times["control", "conversion"]
    p99 = max(0.0, report.percentile(ours, 0.99) - report.percentile(control, 0.99)) * 1e3
    reached = report.verdict("attributable wait, conversion, p99 [ms]", p99, 20, at_least=False)
    for kind in ("conversion", "undo"):
        ours, control = times["events", kind], times["control", kind]
        attributable = max(0.0, max(ours) - max(control)) * 1e3
        reached &= report.verdict(f"attributable wait, {kind}, longest [ms]", attributable, 100, at_least=False)
    return reached


def prepare(uri: str) -> None:
    """Make the table with its rows, keys and indexes, a table it points to, and the control."""
    with psycopg.connect(uri, autocommit=True) as connection:
        for name in TABLES:  # each points to a table of its own, which the conversion locks too
            connection.execute(f"create table places_of_{name} (id int primary key)")
            connection.execute(f"insert into places_of_{name} select g from generate_series(1, 100) g")
            connection.execute(
                f"create table {name} (id bigint generated always as identity, at timestamptz not null default now(),"
                f" place int not null references places_of_{name}, payload text, primary key (id, at))"
            )
        connection.execute(
            "insert into events (at, place, payload) select now() - make_interval(secs => g * 86400.0 * %s / %s),"
            " 1 + g %% 100, repeat('x', 80) from generate_series(1, %s) g",
            (DAYS, ROWS, ROWS),
        )
        for name in TABLES:
            connection.execute(f"create index on {name} (at)")
            connection.execute(f"create index on {name} (place, at)")
            connection.execute(f"vacuum analyze {name}")
        connection.execute("checkpoint")


def size(uri: str) -> int:
    """Return the bytes of the table with its indexes."""
    with psycopg.connect(uri) as connection:
        row = connection.execute("select pg_total_relation_size('events')").fetchone()
        assert row is not None  # noqa: S101
        return int(row[0])


def watched(uri: str, session: engines.Session) -> dict[tuple[str, str], list[float]]:
    """Convert and put back beside the writers; return how long their inserts took, in seconds, by table and phase."""
    context = multiprocessing.get_context("spawn")
    ready, stop = [context.Event() for _ in TABLES], context.Event()
    pipes = [context.Pipe(duplex=False) for _ in TABLES]
    writers = [
        context.Process(target=write, args=(uri, name, started, stop, pipe[1]), daemon=True)
        for name, started, pipe in zip(TABLES, ready, pipes, strict=True)
    ]
    for writer in writers:
        writer.start()
    for started in ready:
        started.wait()
    time.sleep(QUIET_SECONDS)
    marks = [time.monotonic()]
    outcome = convert(session)
    marks.append(time.monotonic())
    put_back(session, outcome)
    marks.append(time.monotonic())
    time.sleep(QUIET_SECONDS)
    stop.set()
    found: dict[tuple[str, str], list[float]] = {}
    for name, (ours, _), writer in zip(TABLES, pipes, writers, strict=True):
        times: list[tuple[float, float]] = ours.recv()
        writer.join()
        for kind, start, end in (("conversion", marks[0], marks[1]), ("undo", marks[1], marks[2])):
            found[name, kind] = [took for at, took in times if at + took >= start and at <= end]
        found[name, "quiet"] = [took for at, took in times if at + took < marks[0] or at > marks[2]]
    return found


Converted: TypeAlias = tuple[Target, model.Action, model.Observation, Outcome]
"""What was converted, and what came of it."""


def convert(session: engines.Session) -> Converted:
    """Convert the table; print what the outcome says of it."""
    target = Target.model_validate(
        {
            "name": "t",
            "engine": "postgres",
            "connection": "c",
            "tables": {"public.events": {"partition": {"by": "at", "every": "1 month", "ahead": 3}}},
        }
    )
    job = rooms.job("partition_creation", "postgres")
    assert job is not None  # noqa: S101
    observation = harness.look(session, target, "partition_creation")
    action = job.plan(observation, target).actions[0]
    (outcome,) = harness.run(session, target, "partition_creation", datetime.now(UTC))
    report.line("conversion [s]", f"{outcome.seconds:.2f}")
    report.line("of that validation, writers passing [s]", outcome.evidence["validation_seconds"])
    report.line("rows read under the lock", outcome.evidence["rows_read_under_lock"])
    report.line("longest lock, from asking to commit [ms]", round(outcome.evidence["lock_seconds"] * 1e3, 1))
    report.line("locks asked for (2 when each is given at once)", outcome.evidence["lock_attempts"])
    return target, action, observation, outcome


def put_back(session: engines.Session, done: Converted) -> None:
    """Put the plain table back."""
    started = time.monotonic()
    undone = harness.undo(session, *done)
    if undone.status != "done":
        raise RuntimeError(f"undo: {undone.message}")
    report.line("undo [s]", f"{time.monotonic() - started:.2f}")
    report.line("its lock, from asking to commit [ms]", round(undone.evidence["lock_seconds"] * 1e3, 1))


def write(uri: str, name: str, ready: Event, stop: Event, result: Connection) -> None:
    """Insert a row every 5 ms until told to stop; send back when each insert began and how long it took."""
    times = []
    statement = f"insert into {name} (place, payload) values (7, 'probe')"
    with psycopg.connect(uri, autocommit=True) as connection:
        for _ in range(20):  # plans and caches warm
            connection.execute(statement)
        ready.set()
        while not stop.is_set():
            at = time.monotonic()
            connection.execute(statement)
            times.append((at, time.monotonic() - at))
            time.sleep(max(0.0, PERIOD - times[-1][1]))
    result.send(times)


PERCENTILES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))

if __name__ == "__main__":
    main()
