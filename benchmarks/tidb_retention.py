"""Row-wise delete and archive on TiDB, beside bare loops of the same statements with the same batch size.

Goals: Upkeep deletes and archives at 70 % of the rate of the bare loop or better. The bare loop knows the ranges
beforehand; it deletes a range of the indexed age, or copies and deletes it in one transaction.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pymysql

from benchmarks import harness, report
from local.servers import TidbServer, start_tidb, temporary_directory
from upkeep import connections, engines
from upkeep.fleet import Target

ROWS = 300_000
DUE = 0.8
ROUNDS = 3
GOAL = 0.7
FILL = 5_000


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    with tidb() as server:
        deleted = compare(server, archive=False)
        archived = compare(server, archive=True)
    return deleted and archived


@contextmanager
def tidb() -> Iterator[TidbServer]:
    """Start a server in a temporary folder; stop and remove it at the end."""
    directory = temporary_directory()
    try:
        server = start_tidb(directory)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def compare(server: TidbServer, *, archive: bool) -> bool:
    """Time both, in turn, on fresh copies of the same table."""
    report.heading(f"TiDB: {'archive and delete rows' if archive else 'delete rows'}")
    rates: dict[str, list[float]] = {"upkeep": [], "raw": []}
    batch = 0
    for number in range(ROUNDS):
        order = ("upkeep", "raw") if number % 2 == 0 else ("raw", "upkeep")
        for name in order:
            with table(server) as connection:
                if name == "upkeep":
                    rows, seconds, batch = by_upkeep(server, archive=archive)
                else:
                    rows, seconds = by_hand(connection, archive=archive, batch=batch)
            rates[name].append(rows / seconds)
    for name, values in rates.items():
        spread = f"[{min(values):,.0f} – {max(values):,.0f}]"
        report.line(f"{name}, rows a second", f"{statistics.median(values):12,.0f}  {spread}  n={len(values)}")
    report.line("rows in a batch (Upkeep's average, used by both)", f"{batch:12,}")
    ratio = statistics.median(rates["upkeep"]) / statistics.median(rates["raw"])
    return report.verdict("Upkeep ÷ raw", ratio, GOAL, at_least=True)


@contextmanager
def table(server: TidbServer) -> Iterator[Any]:
    """Create a table of 200-byte rows with two indexes, and its empty archive; drop both at the end."""
    with pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=server.database,
        autocommit=True,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("set time_zone = '+00:00'")
        cursor.execute("drop table if exists logs, logs_archive")
        cursor.execute("create table logs (id bigint primary key, at datetime(3) not null, message text, key (at))")
        cursor.execute("create table logs_archive like logs")
        for start in range(0, ROWS, FILL):
            values = ", ".join(
                f"({n}, utc_timestamp(3) - interval 1 day + interval {(n - int(ROWS * DUE)) * 100} * 1000 microsecond, "
                "repeat('x', 160))"
                for n in range(start, start + FILL)
            )
            cursor.execute(f"insert into logs values {values}")
        cursor.execute("analyze table logs")
        cursor.execute("select count(*) from logs where id >= 0")
        try:
            yield connection
        finally:
            cursor.execute("drop table logs, logs_archive")


def by_upkeep(server: TidbServer, *, archive: bool) -> tuple[int, float, int]:
    """Return rows, seconds and the average batch."""
    retain = {"by": "at", "for": "1 day", "precision": "row", "requires": "nothing"}
    retain |= {"then": "archive", "into": "logs_archive"} if archive else {"then": "delete"}
    target = Target.model_validate(
        {"name": "t", "engine": "tidb", "connection": "c", "tables": {"logs": {"retain": retain}}}
    )
    address = connections.parse("benchmark", server.uri(server.database))
    with engines.engine("tidb").open(address, application="benchmark") as session:
        outcomes = harness.run(session, target, "data_retention", datetime.now(UTC))
    rows, seconds = sum(outcome.rows or 0 for outcome in outcomes), sum(outcome.seconds for outcome in outcomes)
    batches = sum(int(outcome.evidence.get("batches", 0)) for outcome in outcomes)
    return rows, seconds, max(1, rows // max(1, batches))


def by_hand(connection: Any, *, archive: bool, batch: int) -> tuple[int, float]:
    """Return rows and seconds of the bare loop: ranges of the age, each its own transaction."""
    cursor = connection.cursor()
    cursor.execute("select at from logs where at < utc_timestamp(3) - interval 1 day order by at")
    ages = [row[0] for row in cursor.fetchall()]
    cursor.execute("select utc_timestamp(3) - interval 1 day")
    bounds = [*ages[::batch], cursor.fetchone()[0]]
    started = time.perf_counter()
    rows = 0
    for low, high in itertools.pairwise(bounds):
        if archive:
            connection.begin()
            cursor.execute("insert into logs_archive select * from logs where at >= %s and at < %s", (low, high))
        cursor.execute("delete from logs where at >= %s and at < %s", (low, high))
        rows += cursor.rowcount
        if archive:
            connection.commit()
    return rows, time.perf_counter() - started


if __name__ == "__main__":
    main()
