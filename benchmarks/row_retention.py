"""Row-wise delete and archive, beside bare loops of the same statements over the same ranges and batch size.

Goals: delete at least 80 % of the rate of raw key-range deletes; archive-and-delete at least 70 % of raw
``with moved as (delete … returning *) insert …``; memory flat in the number of rows.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from benchmarks import harness, report, servers
from local.servers import PostgresServer
from upkeep import engines
from upkeep.engines import Address
from upkeep.fleet import Target

ROWS = 1_000_000
DUE = 0.6
ROUNDS = 3


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    with servers.postgres() as server:
        deleted = compare(server, archive=False, goal=0.8)
        archived = compare(server, archive=True, goal=0.7)
        flat = memory(server)
    return deleted and archived and flat


def compare(server: PostgresServer, *, archive: bool, goal: float) -> bool:
    """Time both, in turn, on fresh copies of the same table."""
    report.heading("archive and delete rows" if archive else "delete rows")
    rates: dict[str, list[float]] = {"upkeep": [], "raw": []}
    batch = 0
    for number in range(ROUNDS):
        order = ("upkeep", "raw") if number % 2 == 0 else ("raw", "upkeep")
        for name in order if batch else ("upkeep", "raw"):
            with table(server, ROWS):
                if name == "upkeep":
                    rows, seconds, batch = by_upkeep(servers.address(server), archive=archive)
                else:
                    rows, seconds = by_hand(server, archive=archive, batch=batch)
            rates[name].append(rows / seconds)
    for name, values in rates.items():
        spread = f"[{min(values):,.0f} – {max(values):,.0f}]"
        report.line(f"{name}, rows a second", f"{statistics.median(values):12,.0f}  {spread}  n={len(values)}")
    report.line("rows in a batch (Upkeep's average, used by both)", f"{batch:12,}")
    ratio = statistics.median(rates["upkeep"]) / statistics.median(rates["raw"])
    return report.verdict("Upkeep ÷ raw", ratio, goal, at_least=True)


@contextmanager
def table(server: PostgresServer, rows: int) -> Iterator[None]:
    """Create a table of 200-byte rows with two indexes, and its empty archive; drop both at the end."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute("create table logs (id bigint primary key, at timestamptz not null, message text)")
        connection.execute(
            "insert into logs select n, now() - make_interval(secs => 0.1 * (%(rows)s - n)) - interval '1 day'"
            " + make_interval(secs => 0.1 * %(rows)s * (1 - %(due)s)), repeat('x', 160)"
            " from generate_series(1, %(rows)s) n",
            {"rows": rows, "due": DUE},
        )
        connection.execute("create index on logs (at)")
        connection.execute("create table logs_archive (like logs including all)")
        connection.execute("vacuum analyze logs")
        connection.execute("checkpoint")
        try:
            yield
        finally:
            connection.execute("drop table logs, logs_archive")


def by_upkeep(address: Address, *, archive: bool) -> tuple[int, float, int]:
    """Return rows, seconds and the average batch."""
    retain = {"by": "at", "for": "1 day", "precision": "row", "requires": "nothing"}
    retain |= {"then": "archive", "into": "public.logs_archive"} if archive else {"then": "delete"}
    target = Target.model_validate(
        {"name": "t", "engine": "postgres", "connection": "c", "tables": {"public.logs": {"retain": retain}}}
    )
    with engines.engine("postgres").open(address, application="benchmark") as session:
        outcomes = harness.run(session, target, "data_retention", datetime.now(UTC))
    moved = [outcome for outcome in outcomes if outcome.rows]
    rows, seconds = sum(outcome.rows or 0 for outcome in moved), sum(outcome.seconds for outcome in moved)
    batches = sum(int(outcome.evidence.get("batches", 0)) for outcome in outcomes)
    return rows, seconds, max(1, rows // max(1, batches))


def by_hand(server: PostgresServer, *, archive: bool, batch: int) -> tuple[int, float]:
    """Return rows and seconds of the bare loop: ranges of the key, each its own statement and commit."""
    statement = "delete from logs where at >= %s and at < %s"
    if archive:
        statement = f"with moved as ({statement} returning *) insert into logs_archive select * from moved"
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        edges = connection.execute(
            "select at from (select at, row_number() over (order by at) as n from logs"
            " where at < now() - interval '1 day') as r where n %% %s = 1 order by at",
            (batch,),
        ).fetchall()
        cut_off = connection.execute("select now() - interval '1 day'").fetchone()
        assert cut_off is not None  # noqa: S101
        bounds = [edge[0] for edge in edges] + [cut_off[0]]
        started = time.perf_counter()
        rows = sum(connection.execute(statement, (low, high)).rowcount for low, high in itertools.pairwise(bounds))
        return rows, time.perf_counter() - started


def memory(server: PostgresServer) -> bool:
    """Compare the growth of this process over a small and a five times larger table."""
    report.heading("memory")
    grown = []
    for rows in (ROWS // 5, ROWS):
        with table(server, rows), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            grown.append(fresh.submit(growth, servers.address(server)).result())
    report.line("growth at 200,000 and at 1,000,000 rows [MiB]", ", ".join(f"{g:.1f}" for g in grown))
    return report.verdict("growth by the larger table [MiB]", grown[-1], 8, at_least=False)


def growth(address: Address) -> float:
    """Return by how many MiB this (fresh) process grew while it archived the table's rows."""
    before = peak()
    by_upkeep(address, archive=True)
    return peak() - before


def peak() -> float:
    """Return this process's peak resident size so far, in MiB (``ru_maxrss`` would count its parent's, before exec)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
