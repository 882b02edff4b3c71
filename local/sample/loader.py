"""Fills the sample database: real series, believable logs, and the hard cases on purpose.

One transaction: the fleet is there entirely or not at all, which is also how a second load knows that it has nothing
to do. It never adds to what is there: what maintenance has removed stays removed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from local.sample.months import AUDIT, LAYOUTS, LOGS_GAP, REFERENCED_LOGS, Layout, month
from local.sample.series import SERIES, points
from local.stack.state import State
from upkeep import settings

MARKER = "public.pipeline_metrics"  # there: loaded
REGIONS = ("eu-central", "us-east", "ap-south")
HASH_PARTITIONS = 4
# The documented storage settings. On the leaves: a partitioned table itself takes none.
AUTOVACUUM = "autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05"
TUNED = ("pipeline_metrics", "pipeline_metrics_archive", "pipeline_logs", "pipeline_progress")


def load(*, reset: bool = False) -> bool:
    """Load the stack's sample database where it is empty.

    Parameters
    ----------
    reset
        Drop what is there and load afresh.

    Returns
    -------
    bool
        Whether anything was loaded.

    Raises
    ------
    LocalError
        When the stack has never been started.
    """
    known = State.load()
    address = psycopg.conninfo.make_conninfo(
        host="127.0.0.1",
        port=known.ports["postgres"],
        user="pipeline",
        password=known.secrets["pipeline"],
        dbname="pipeline",
    )
    return load_into(address, reset=reset)


def load_into(address: str, *, reset: bool = False) -> bool:
    """Load the sample fleet into the database at ``address``; see `load`."""
    with psycopg.connect(address, options="-c timezone=UTC") as connection:
        if reset:
            _drop(connection)
        ((marker, now),) = connection.execute("select to_regclass(%s), now()", (MARKER,)).fetchall()
        if marker is not None:
            return False
        _create(connection, now)
        _fill(connection, now)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")
    return True


def _drop(connection: psycopg.Connection) -> None:
    query = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    for (table,) in connection.execute(f"{query} and relowner = current_user::regrole").fetchall():
        connection.execute(sql.SQL("drop table if exists public.{} cascade").format(sql.Identifier(table)))


def _run(connection: psycopg.Connection, name: str, parameters: Mapping[str, Any] | None = None) -> None:
    text = (settings.include_dir() / "sql" / "sample" / f"{name}.sql").read_text()
    connection.execute(text.encode(), parameters)


def _create(connection: psycopg.Connection, now: datetime) -> None:
    for name in (
        *("pipeline_metrics", "pipeline_metrics_archive", "pipeline_logs", "pipeline_progress"),
        *("alerts_configuration", "hard_cases"),
    ):
        _run(connection, name)
    for layout in LAYOUTS:
        _create_months(connection, layout, now)
    for region in REGIONS:
        _create_region(connection, region)


def _create_months(connection: psycopg.Connection, layout: Layout, now: datetime) -> None:
    storage = sql.SQL(f" with ({AUTOVACUUM})" if layout.table in TUNED else "")
    parent = sql.Identifier("public", layout.table)
    for offset in layout.months:
        start, end = month(now, offset), month(now, offset + 1)
        connection.execute(
            sql.SQL("create table {} partition of {} for values from ({}) to ({}){}").format(
                sql.Identifier("public", layout.partition_name(start)),
                parent,
                sql.Literal(start.isoformat()),
                sql.Literal(end.isoformat()),
                storage,
            )
        )
    if layout.default:
        name = sql.Identifier("public", f"{layout.table}_default")
        connection.execute(sql.SQL("create table {} partition of {} default{}").format(name, parent, storage))


def _create_region(connection: psycopg.Connection, region: str) -> None:
    name = f"alerts_configuration_{region.replace('-', '_')}"
    connection.execute(
        sql.SQL(
            "create table {} partition of public.alerts_configuration for values in ({}) partition by hash (server_id)"
        ).format(sql.Identifier("public", name), sql.Literal(region))
    )
    for remainder in range(HASH_PARTITIONS):
        connection.execute(
            sql.SQL("create table {} partition of {} for values with (modulus {}, remainder {})").format(
                sql.Identifier("public", f"{name}_{remainder}"),
                sql.Identifier("public", name),
                sql.Literal(HASH_PARTITIONS),
                sql.Literal(remainder),
            )
        )


def _fill(connection: psycopg.Connection, now: datetime) -> None:
    connection.execute(
        "create temporary table series"
        " (file text, node_id text, metric_name text, unit text, days integer) on commit drop"
    )
    connection.execute(
        "create temporary table points (file text, at timestamptz, value double precision) on commit drop"
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into series values (%s, %s, %s, %s, %s)",
            [(one.file, one.node_id, one.metric_name, one.unit, one.days) for one in SERIES],
        )
        with cursor.copy("copy points (file, at, value) from stdin") as copy:
            for one in SERIES:
                for row in points(one):
                    copy.write_row(row)
    _run(connection, "fill_metrics")
    _run(connection, "fill_metrics_outlier")
    _run(
        connection,
        "fill_logs",
        {
            "first": month(now, REFERENCED_LOGS),
            "gap_start": month(now, LOGS_GAP),
            "gap_end": month(now, LOGS_GAP + 1),
        },
    )
    referenced = {"month_start": month(now, REFERENCED_LOGS), "month_end": month(now, REFERENCED_LOGS + 1)}
    _run(connection, "fill_annotations", referenced)
    _run(connection, "fill_progress", {"first": month(now, -4), "next_month": month(now, 1)})
    _run(connection, "fill_alerts")
    _run(connection, "fill_hard_cases")
    _run(connection, "fill_audit", {"first": month(now, -1)})


__all__ = ["AUDIT", "load", "load_into"]
