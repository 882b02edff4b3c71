"""The sample tables in TiDB: orders' events, notes with and without a time, deliveries by INTERVAL partitioning, carts.

TiDB may still be building when the rest of the fleet is loaded (8 to 12 minutes, once): then this is put off, and
said. The events come last, under another name until they are complete: their table says that all is there.
"""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql

from local.sample.months import month
from upkeep import connections
from upkeep.errors import UpkeepError
from upkeep.tidb import sql
from upkeep.tidb.connection import connect

MARKER = "order_events"  # there: loaded
LOADING = "order_events_loading"
TABLES = ("order_notes", "deliveries", "carts", LOADING)
MONTHS = range(-14, 1)
DAYS_BACK = 9
CART_DAYS = 25  # none is old enough to go before a person has looked
CONNECTION = "orders_tidb"


def load_tidb(uri: str, *, reset: bool = False) -> bool:
    """Load the sample tables into the database at ``uri`` where they are absent.

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
    pymysql.MySQLError, OSError
        When TiDB does not answer.
    """
    with contextlib.closing(connect(connections.parse(CONNECTION, uri))) as connection, connection.cursor() as cursor:
        return _load(cursor, reset=reset)


def load_when_ready(
    *, reset: bool = False, seconds: float = 60.0, go_on: Callable[[], bool] = lambda: True
) -> bool | None:
    """Load them into the stack's TiDB, waiting for it so long; ``None`` when it did not answer in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            address = connections.resolve(CONNECTION)
            with contextlib.closing(connect(address)) as connection, connection.cursor() as cursor:
                return _load(cursor, reset=reset)
        except (pymysql.OperationalError, OSError, UpkeepError):
            if time.monotonic() > deadline or not go_on():
                return None
            time.sleep(1)


def _load(cursor: Any, *, reset: bool) -> bool:
    cursor.execute("set session time_zone = '+00:00', tidb_txn_mode = 'optimistic'")
    cursor.execute("show tables")
    known = {row[0] for row in cursor.fetchall()}
    if MARKER in known and not reset:
        return False
    for table in (*TABLES, MARKER, *(t for t in known if t.startswith(f"{MARKER}__"))):
        cursor.execute(f"drop table if exists {sql.identifier(table)}")
    now = datetime.now(UTC)
    first = month(now, MONTHS[0])
    loading = sql.identifier(LOADING)
    days = [now.date() + timedelta(days=n) for n in (-DAYS_BACK, 1)]
    _run(cursor, "order_notes", partitions=_months(now))
    _run(cursor, "deliveries", first=sql.literal(days[0]), last=sql.literal(days[1]))
    _run(cursor, "order_events", table=loading, partitions=_months(now))
    _run(cursor, "carts")
    span = {"first": first, "seconds": int((now - first).total_seconds())}
    for part in range(5):
        _run(cursor, "fill_order_events", {**span, "part": part}, table=loading)
    _run(cursor, "fill_order_notes", table=loading)
    _run(cursor, "fill_deliveries", {"first": days[0]}, table=loading)
    _run(cursor, "fill_carts", {"first": now - timedelta(days=CART_DAYS)}, table=loading)
    cursor.execute(f"alter table {loading} rename to {sql.identifier(MARKER)}")
    return True


def _run(cursor: Any, name: str, params: dict[str, Any] | None = None, **parts: sql.Sql) -> None:
    cursor.execute(sql.statement(f"../sample/tidb/{name}", params, **parts).text)


def _months(now: datetime) -> sql.Sql:
    """Return the monthly partitions, none of them ahead."""
    return sql.joined(", ", (_month(now, offset) for offset in MONTHS))


def _month(now: datetime, offset: int) -> sql.Sql:
    name = sql.identifier(f"p_{month(now, offset):%Y_%m}")
    end = sql.literal(month(now, offset + 1).replace(tzinfo=None))
    return sql.fill("partition {name} values less than ({end})", name=name, end=end)
