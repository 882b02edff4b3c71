"""What every engine can say of a server."""

from __future__ import annotations

from datetime import datetime

from upkeep.model.value import Value


class ServerFacts(Value):
    """What every engine can say of the server behind a target, alike for all of them.

    Attributes
    ----------
    identity
        The physical database: stable across addresses, different for a restored copy.
    version
        As the server prints it.
    tested
        Whether the version is in the tested list (else observe only, unless the target allows it).
    replica
        Whether it takes no changes because it follows another server, or refuses all writes.
    role
        The user that we are there; empty where the server knows none.
    clock
        The server's clock when it was asked.
    """

    identity: str
    version: str
    tested: bool
    replica: bool
    role: str
    clock: datetime
