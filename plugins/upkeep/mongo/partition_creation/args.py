"""What the actions of partition creation hold, for those who carry them out; commands as `catalog.text` writes them."""

from __future__ import annotations

from upkeep.jobs.args import Args


class Creation(Args):
    """Making a collection."""

    collection: str
    command: str


class IndexCreation(Args):
    """Making an index; ``uuid``: that of the collection, ``None`` when it is made first."""

    collection: str
    uuid: str | None
    index: str
    command: str


class Correction(Args):
    """Correcting a difference; ``reverse``: what takes that back, where the server lets it."""

    collection: str
    uuid: str | None
    command: str
    reverse: str | None
