"""What the actions of cache warming hold, for those who carry them out."""

from __future__ import annotations

from upkeep.jobs.args import Args


class Warm(Args):
    """Setting the keys of an entry.

    Attributes
    ----------
    entry
        Its name in the fleet file.
    query
        Digest of the query's text.
    """

    entry: str
    source: str
    query: str
    key: str
    value: tuple[str, ...]
    seconds: int
    budget: int
