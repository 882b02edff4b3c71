"""What the action of index analysis holds: the index, and the one that stays."""

from __future__ import annotations

from upkeep.jobs.args import Args


class Hide(Args):
    """A duplicate to be hidden; ``twin``: the one that stays."""

    collection: str
    uuid: str | None
    index: str
    definition: str
    twin: str
