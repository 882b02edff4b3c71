"""Values of `upkeep.model` that tests make by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from upkeep.model import Observation, ServerFacts


def observation(*, identity: str, version: str, at: datetime, **rest: Any) -> Observation:
    """Return an observation of a server that is a primary and of a tested version."""
    server = ServerFacts(identity=identity, version=version, tested=True, replica=False, role="upkeep", clock=at)
    return Observation(at=at, server=server, **rest)
