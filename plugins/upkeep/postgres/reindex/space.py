"""How much room there is where an index lies: known only on the server's own machine."""

from __future__ import annotations

import os
from pathlib import Path

from upkeep.postgres.session import PostgresSession, Row


def places(session: PostgresSession) -> list[Row]:
    """Return each tablespace with its free bytes; ``None`` where that cannot be seen from here."""
    rows = session.rows("reindex/places")
    return [
        {
            "name": row["name"],
            "is_default": row["is_default"],
            "free": free(row["path"]) if _is_here(row["pid"]) else None,
        }
        for row in rows
    ]


def free(path: str | None) -> int | None:
    """Return the free bytes of the file system at a path; ``None``: it cannot be seen."""
    if path is None:
        return None
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _is_here(pid: int) -> bool:
    """Return whether our own server process is one of this machine's: then its paths are paths of this machine.

    An address does not tell: a container's server is reached on ours.
    """
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "postgres"
    except (OSError, UnicodeDecodeError):
        return False
