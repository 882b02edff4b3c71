"""What the action of index analysis holds: the index, and the one that stays."""

from __future__ import annotations

from upkeep.jobs.args import Args
from upkeep.tidb.catalog import Planned


class Hide(Args):
    """An exact duplicate to be hidden; ``twin``: the one that stays."""

    table: Planned
    name: str
    index_id: int
    definition: str
    twin: str
