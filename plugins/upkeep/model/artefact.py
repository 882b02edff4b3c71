"""What an action left outside the database: a backup."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from upkeep.model.value import Value

BackupState = Literal["unverified", "verified", "failed", "expired"]
"""Where a backup stands; only a restore makes it verified."""


class Artefact(Value):
    """What an action left outside the database, or took away there.

    Attributes
    ----------
    id
        Its name, unique in all the world.
    location
        The directory that holds it.
    sha256
        Digest of its manifest, which holds those of its files.
    bytes
        Of all its files.
    snapshot_at
        The instant whose state it holds, by the server's clock.
    identity
        The physical database that it is of.
    take_seconds
        How long it took to take; ``None``: not known.
    state
        ``verified`` since ``verified_at``; ``expired``: taken away.
    level
        What was seen of it: ``readable``, ``restored`` or ``compared``.
    restore_seconds
        How long the restore took by which it was verified.
    differences
        How many things were otherwise than they should be.
    why
        Why its last proof did not get further; empty: it did, or there was none.
    marks
        Digest of the marks that its proof left beside it; ``None``: there are none.
    """

    id: str
    location: str
    sha256: str
    bytes: int
    snapshot_at: datetime
    identity: str
    state: BackupState = "unverified"
    tool: str = ""
    take_seconds: float | None = None
    level: Literal["readable", "restored", "compared"] | None = None
    verified_at: datetime | None = None
    restore_seconds: float | None = None
    differences: int = 0
    why: str = ""
    marks: str | None = None
