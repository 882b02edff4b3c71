"""Archiving into Parquet files, beside a bare export of the same rows: COPY as CSV → pyarrow → zstd Parquet.

The bare export deletes nothing, proves nothing, commits nothing and flushes nothing. So a bare delete of the same
ranges is timed apart: Upkeep's archiving does at least what both do. Goal: at least 60 % of the rate of the bare
export, deleting and proving included. Each round is a comparison of its own: a machine that drifts drifts for both.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from benchmarks import harness, report, servers
from local.servers import PostgresServer
from upkeep import engines
from upkeep.fleet import Target

ROWS = 1_000_000
DUE = 0.6
ROUNDS = 5
BLOCK = 4 << 20
CUT_OFF = "now() - interval '1 day'"
COLUMNS = {"id": pa.int64(), "at": pa.timestamp("us", "UTC"), "message": pa.string()}


def main() -> bool:
    """Run the benchmark and return whether its goal is reached."""
    report.heading("archive rows into Parquet files")
    kinds: dict[str, Callable[[PostgresServer, Path], tuple[int, float]]] = {
        "upkeep": by_upkeep,
        "bare export": bare_export,
        "bare delete": bare_delete,
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    with servers.postgres() as server:
        fill(server)
        for number in range(ROUNDS + 1):  # the first one warms up
            for name, kind in kinds.items():
                with table(server) as folder:
                    rows, seconds = kind(server, folder)
                if number:
                    rates[name].append(rows / seconds)
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        spread = f"[{min(values):,.0f} – {max(values):,.0f}]"
        report.line(f"{name}, rows a second", f"{median[name]:12,.0f}  {spread}  n={len(values)}")
    both = 1 / (1 / median["bare export"] + 1 / median["bare delete"])
    report.line("bare export, then bare delete, rows a second", f"{both:12,.0f}")
    report.line("Upkeep ÷ bare export then bare delete", f"{median['upkeep'] / both:12.2f}")
    ratios = [ours / bare for ours, bare in zip(rates["upkeep"], rates["bare export"], strict=True)]
    report.line("Upkeep ÷ bare export, each round", "  ".join(f"{ratio:.2f}" for ratio in ratios))
    return report.verdict("Upkeep ÷ bare export, median of the rounds", statistics.median(ratios), 0.6, at_least=True)


def fill(server: PostgresServer) -> None:
    """Make the rows, 200 bytes each, that every round begins with."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute("create table template (id bigint primary key, at timestamptz not null, message text)")
        connection.execute(
            "insert into template select n, now() - make_interval(secs => 0.1 * (%(rows)s - n)) - interval '1 day'"
            " + make_interval(secs => 0.1 * %(rows)s * (1 - %(due)s)), repeat(md5(n::text), 5)"
            " from generate_series(1, %(rows)s) n",
            {"rows": ROWS, "due": DUE},
        )
        connection.execute("create index on template (at)")
        connection.execute("alter table template set (autovacuum_enabled = off)")


@contextmanager
def table(server: PostgresServer) -> Iterator[Path]:
    """Create a table with two indexes and an empty folder; remove both at the end."""
    folder = Path(tempfile.mkdtemp(prefix="upkeep-benchmark-"))
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute("create table logs (like template including all)")
        connection.execute("insert into logs select * from template")
        connection.execute("vacuum analyze logs")
        connection.execute("checkpoint")
        try:
            yield folder
        finally:
            connection.execute("drop table logs")
            shutil.rmtree(folder)


def by_upkeep(server: PostgresServer, folder: Path) -> tuple[int, float]:
    """Return rows and seconds of the whole action: delete, write, fsync, read back, compare, commit."""
    retain = {"by": "at", "for": "1 day", "precision": "row", "requires": "nothing"}
    retain |= {"then": "archive", "into": str(folder)}
    target = Target.model_validate(
        {"name": "t", "engine": "postgres", "connection": "c", "tables": {"public.logs": {"retain": retain}}}
    )
    with engines.engine("postgres").open(servers.address(server), application="benchmark") as session:
        outcomes = [o for o in harness.run(session, target, "data_retention", datetime.now(UTC)) if o.rows]
    return sum(o.rows or 0 for o in outcomes), sum(o.seconds for o in outcomes)


def bare_export(server: PostgresServer, folder: Path) -> tuple[int, float]:
    """Return rows and seconds of COPY → CSV reader → Parquet writer, into one file."""
    rows = 0
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        started = time.perf_counter()
        with (
            pq.ParquetWriter(folder / "rows.parquet", pa.schema(COLUMNS), compression="zstd") as writer,
            connection.cursor().copy(f"copy (select * from logs where at < {CUT_OFF}) to stdout (format csv)") as copy,
        ):
            for block in blocks(copy):
                read = csv.read_csv(
                    pa.BufferReader(block),
                    read_options=csv.ReadOptions(column_names=list(COLUMNS), block_size=len(block) + 1),
                    convert_options=csv.ConvertOptions(column_types=COLUMNS),
                )
                writer.write_table(read)
                rows += read.num_rows
        return rows, time.perf_counter() - started


def blocks(copy: psycopg.Copy) -> Iterator[bytes]:
    """Yield what COPY sends, in pieces of some megabytes."""
    waiting: list[bytes] = []
    size = 0
    for row in copy:
        waiting.append(bytes(row))
        size += len(row)
        if size >= BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def bare_delete(server: PostgresServer, _: Path) -> tuple[int, float]:
    """Return rows and seconds of a bare loop of deletes over ranges of the key."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        edges = connection.execute(
            "select at from (select at, row_number() over (order by at) as n from logs"
            f" where at < {CUT_OFF}) as r where n % 100000 = 1 order by at"
        ).fetchall()
        last = connection.execute(f"select {CUT_OFF}").fetchall()
        ends = [edge[0] for edge in [*edges, *last]]
        started = time.perf_counter()
        rows = sum(
            connection.execute("delete from logs where at >= %s and at < %s", pair).rowcount
            for pair in itertools.pairwise(ends)
        )
        return rows, time.perf_counter() - started


if __name__ == "__main__":
    main()
