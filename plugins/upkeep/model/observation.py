"""What a job read of a target."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from upkeep.model.server import ServerFacts
from upkeep.model.value import Value


class Observation(Value):
    """The rows that a job read, in named tables of plain values (JSON types and datetimes).

    Attributes
    ----------
    at
        min(the run's instant, the server's clock): what "now" means to the plan.
    server
        What the server is.
    frames
        Table name → rows; the engine's room knows their columns, the gates look at them as frames.
    """

    target: str
    engine: str
    job: str
    at: datetime
    server: ServerFacts
    frames: dict[str, list[dict[str, Any]]]
