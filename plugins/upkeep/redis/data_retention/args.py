"""What the actions of retention hold, for those who carry them out."""

from __future__ import annotations

from upkeep.jobs.args import Args


class Entries(Args):
    """Deleting due entries of a stream.

    Attributes
    ----------
    cut_off
        Entries with lower ids go.
    added, first, last
        How many were ever added (0: not known, as before 7), and the ends of the stream: by them a stream made anew is
        told apart.
    """

    key: str
    cut_off: str
    added: int
    first: str | None
    last: str | None
