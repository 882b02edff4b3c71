"""Runs the SQL files of a migration, in the order of their names: include/sql/control/migrations/<revision>/*.sql."""

from __future__ import annotations

from alembic import op

from upkeep.settings import include_dir
from upkeep.sqlfiles import load


def run(revision: str) -> None:
    """Run all statements of a revision on the migration's connection.

    The driver gets the text as it is: SQLAlchemy would read ``:name`` and ``%`` as parameters.
    """
    for path in sorted((include_dir() / "sql" / "control" / "migrations" / revision).glob("*.sql")):
        execute(f"migrations/{revision}/{path.stem}")


def execute(name: str) -> None:
    """Run one statement file of the control room on the migration's connection."""
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise RuntimeError("alembic handed over no connection")
    driver.execute(load("control", name))
