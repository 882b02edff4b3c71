"""The ledger's tables: are they there, and of this version? Created and upgraded by alembic, under a lock.

A run only compares versions, which costs one statement; alembic is imported when there is something to
migrate. The whole migration is one transaction: two that start at once follow one another, and one that is
killed leaves nothing behind.
"""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
from psycopg.rows import tuple_row

from upkeep.engines import Address
from upkeep.errors import LedgerError
from upkeep.ledger.control import Control, StatementError, connect, reason

VERSION = "0005"
"""The newest migration; equal to alembic's head (a test compares them). Versions sort as text."""
_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
_MISSING = {"42P01", "3F000"}  # undefined_table, invalid_schema_name
_FORBIDDEN = "42501"  # insufficient_privilege
_alembic_guard = threading.Lock()  # alembic's context and op are global to the process


def require_version(control: Control) -> None:
    """Raise `LedgerError` unless the ledger is there and of exactly this version."""
    found = version(control)
    if found == VERSION:
        return
    place = f"the ledger (connection '{control.address.connection_id}')"
    if found is None:
        raise LedgerError(f"{place} does not exist yet; run `upkeep init`")
    if found < VERSION:
        raise LedgerError(f"{place} is of version {found}, this Upkeep needs {VERSION}; run `upkeep init`")
    raise _newer(place, found)


def version(control: Control) -> str | None:
    """Return the ledger's version, or ``None`` when there is no ledger."""
    try:
        rows = control.fetch("schema_version")
    except StatementError as error:
        if error.sqlstate in _MISSING:
            return None
        if error.sqlstate == _FORBIDDEN:
            message = (
                f"the role of connection '{control.address.connection_id}' may not read the ledger; "
                "grant it usage on schema upkeep and select, insert, update on its tables"
            )
            raise LedgerError(message) from None
        raise
    return str(rows[0]["version"]) if rows else None


def migrate(control: Control) -> None:
    """Create or upgrade the ledger, or tend it."""
    found = version(control)
    if found is not None and found > VERSION:
        raise _newer(f"the ledger (connection '{control.address.connection_id}')", found)
    if found != VERSION:
        _upgrade(control.address)
        return
    tend(control)


def tend(control: Control) -> None:
    """Create the partitions of the present and the next three months; thin old looks out."""
    with control.transaction():
        control.write("migration_lock")
        control.write("migration_timeouts")
        control.write("ensure_partitions")
        control.write("thin_looks")


def _upgrade(address: Address) -> None:
    # Imported here: a run that finds its version needs neither.
    import sqlalchemy  # noqa: PLC0415
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")

    def creator() -> object:
        connection = connect(address, "upkeep migration")
        connection.autocommit = False
        connection.row_factory = tuple_row  # type: ignore[assignment]  # what SQLAlchemy reads
        return connection

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=creator, poolclass=sqlalchemy.NullPool)
    try:
        with _alembic_guard, engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (psycopg.Error, sqlalchemy.exc.DBAPIError) as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps the errors of its own statements
        why = reason(cause) if isinstance(cause, psycopg.Error) else type(cause).__name__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == _FORBIDDEN:
            why += f"; grant create on database {address.database} to {address.user}"
        raise LedgerError(f"the ledger could not be created or upgraded: {why}; nothing was changed") from None
    finally:
        engine.dispose()


def _newer(place: str, found: str) -> LedgerError:
    return LedgerError(
        f"{place} is of version {found}, newer than this Upkeep ({VERSION}): update Upkeep here; "
        "`upkeep init` of the newer one has already run"
    )
