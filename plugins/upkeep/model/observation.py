"""What a job read of a target."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from upkeep.model.value import Value


class Observation(Value):
    """The rows that a job read, in named tables of plain values (JSON types and datetimes).

    Attributes
    ----------
    identity
        The physical database: stable across addresses, different for a restored copy.
    at
        min(the run's instant, the server's clock): what "now" means to the plan.
    tested
        Whether the server's version is in the tested list; the runner takes it from the session.
    frames
        Table name → rows; the engine's room knows their columns, the gates look at them as frames.
    """

    target: str
    engine: str
    job: str
    identity: str
    version: str
    at: datetime
    frames: dict[str, list[dict[str, Any]]]
    tested: bool = False
