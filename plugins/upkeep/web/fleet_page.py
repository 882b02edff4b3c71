"""The page of the fleet: what a person opens at eight in the morning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from fastapi import HTTPException

from upkeep import fleet, programs, settings, words
from upkeep.errors import ConfigurationError
from upkeep.jobs import spec
from upkeep.ledger import Ledger
from upkeep.run import fleet_cells, fleet_coming, fleet_facts, fleet_view
from upkeep.run.fleet_facts import Facts
from upkeep.run.fleet_view import FleetView
from upkeep.web import airflow_data, view

MOST: Final = fleet_view.MANY
"""Needs and findings shown at once; of more the rest is folded."""
PATIENCE: Final = 2.0
"""Seconds that a page waits for programs of this machine to tell their versions."""

GLOBALS: Final[dict[str, Any]] = {
    "symbols": words.SYMBOL,
    "tones": words.SEVERITY,
    "verdicts": fleet_view.VERDICTS,
    "most": MOST,
    "visible": words.visible,
    "plain": words.plain,
    "counted": words.counted,
    "pretty": view.pretty,
    "ago": fleet_cells.ago,
    "stamp": fleet_cells.stamp,
    "often": fleet_coming.often,
    "unknown_reach": fleet_view.UNKNOWN_REACH,
}
"""What the template says things with."""


def read(ledger: Ledger, jobs: Sequence[str]) -> FleetView:
    """Return how the databases are, as far as these jobs tell of it.

    Raises
    ------
    HTTPException
        The fleet file cannot be read.
    """
    if not jobs:  # who may see nothing is not told what is wrong with the fleet file either
        return fleet_view.view(Facts(ledger.now(), (), (), hidden=len(spec.JOBS)))
    try:
        path = settings.fleet_file()
        changed = path.stat().st_mtime_ns if path.exists() else 0
        declared = _load(path, changed)
    except ConfigurationError as error:
        raise HTTPException(500, f"the fleet file cannot be read: {error}") from error
    with programs.patience(PATIENCE):
        facts = fleet_facts.gather(ledger, declared, jobs)
    links = airflow_data.approval_links(entry.plan.plan_id for entry in facts.pending)
    return fleet_view.view(replace(facts, dags=airflow_data.dags(jobs), links=links))


@lru_cache(maxsize=2)
def _load(path: Path, _changed: int) -> fleet.Fleet:
    """Read the fleet file once for each of its versions: a long one takes half a second."""
    return fleet.load(path)
