"""What the actions of retention hold, for those who carry them out."""

from __future__ import annotations

from upkeep.jobs.args import Args, Instant


class OfCollection(Args):
    """An action on one collection, which must still be the one that the plan saw.

    Attributes
    ----------
    into, archive
        The archive's name, and its id when it was there already; ``None`` where nothing is archived.
    """

    collection: str
    uuid: str | None


class Documents(OfCollection):
    """Deleting or moving what is due; ``index``: that of the age."""

    age: str
    cut_off: Instant
    index: str | None
    into: str | None
    archive: str | None


class Moved(Documents):
    """Moving what is due into the archive."""

    into: str


class Measurements(OfCollection):
    """Copying measurements into the archive."""

    time: str
    cut_off: Instant
    into: str
    archive: str | None


class Expiry(OfCollection):
    """Changing when the server expires measurements.

    Attributes
    ----------
    expired_before
        What is older goes at once, by the plan.
    expected, seconds
        ``expireAfterSeconds`` as it was planned for, and as it is to be; ``None``: none.
    """

    time: str
    expired_before: Instant
    expected: int | None
    seconds: int | None
    into: str | None
    archive: str | None


class Sooner(Expiry):
    """Letting the server expire measurements, or sooner than before."""

    seconds: int


class Creation(Args):
    """Making the archive, by a command of the server."""

    collection: str
    command: str
