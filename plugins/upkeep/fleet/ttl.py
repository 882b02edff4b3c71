"""What an owner says of rows, documents and keys that the server itself removes when their time is over."""

from __future__ import annotations

from typing import Final

from pydantic import model_validator

from upkeep.fleet.values import Length, LengthOrZero, ObjectPolicy, Strict
from upkeep.model.intervals import Duration

_DAY: Final = 86_400


def seconds_of(length: Duration) -> int:
    """Return how many seconds a length without months has."""
    return length.days * _DAY + length.seconds


class TtlPolicy(Strict):
    """The server's own time to live of a table or collection. Upkeep proves that it works, and never sets it.

    Attributes
    ----------
    by
        The column or field with the time.
    after
        So long after that time a row goes; 0: the time is when it goes.
    """

    by: str
    after: LengthOrZero


class KeyTtlPolicy(Strict):
    """How long keys may live.

    Attributes
    ----------
    at_most
        Every key expires, no later than that from now on.
    """

    at_most: Length

    @model_validator(mode="after")
    def _possible(self) -> KeyTtlPolicy:
        if self.at_most.months:
            message = f"at_most: '{self.at_most}' has no fixed length, and keys live for seconds; write days or hours"
            raise ValueError(message)
        return self


class KeyPolicy(ObjectPolicy):
    """What the owner wants of the keys that a pattern names.

    Attributes
    ----------
    ttl
        How long they may live.
    """

    ttl: KeyTtlPolicy
