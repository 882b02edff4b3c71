"""Alembic's environment: runs the migrations on the connection that `upkeep.ledger.schema` hands over.

One transaction holds the lock, all migrations and their partitions; the caller commits it.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from upkeep.sqlfiles import load


def _run(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("alembic handed over no connection")
    driver.execute(load("control", "migration_lock"))
    driver.execute(load("control", "migration_timeouts"))
    if not driver.execute(load("control", "schema_exists")).fetchone()[0]:
        driver.execute(load("control", "create_schema"))
    context.configure(connection=connection, version_table_schema="upkeep", transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


_connection = context.config.attributes.get("connection")
if _connection is None:
    raise RuntimeError("run `upkeep init`: migrations need the connection that it opens")
_run(_connection)
