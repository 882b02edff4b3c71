"""What Redis' errors say, without the arguments of commands: those may be what an application keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis

from upkeep.errors import UnreachableError
from upkeep.jobs.errors import ActionError, ConnectionLostError, OverloadedError
from upkeep.redis import server_refusals
from upkeep.redis.session import NEEDS

_ARGUMENTS: Final = re.compile(r",? with args beginning with.*|\s*script: \w+, on .*", re.DOTALL)
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_LONGEST: Final = 200


def classify(error: Exception) -> ActionError | None:
    """Return what an error of the driver or the server means to an action; ``None``: it is neither's."""
    if not isinstance(error, redis.RedisError):
        return None
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):  # one that loads its data
        return ConnectionLostError(
            f"the connection to the server was lost ({describe(error)}); the next run carries on"
        )
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return ConnectionLostError("the server is a replica by now; point the connection at the primary")
    refusal = server_refusals.of(error)
    if refusal is None:
        return ActionError(f"the server refused: {describe(error)}; our user needs {NEEDS}")
    kind = OverloadedError if refusal in server_refusals.OVERLOADED else ActionError
    return kind(f"{refusal.text}; {refusal.remedy}")


@contextmanager
def looking() -> Iterator[None]:
    """Say of a server that refuses everybody, or is lost, that it is out of reach: for who only looks."""
    try:
        yield
    except redis.RedisError as error:
        # first: that the server loads its data is a ConnectionError to the driver, and says what mends it
        refusal = server_refusals.of(error)
        if refusal is not None:
            raise UnreachableError(f"{refusal.text}; {refusal.remedy}") from error
        if gone := lost(error):
            raise gone from error
        raise


def lost(error: redis.RedisError) -> UnreachableError | None:
    """Return that the connection was lost, if that is what an error means."""
    if not isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return None
    return UnreachableError(f"the connection to the server was lost ({describe(error)}); the next run looks again")


def describe(error: redis.RedisError) -> str:
    """Return what the server or the driver said, first line only, quoted words left out."""
    lines = _ARGUMENTS.sub("", str(error)).strip().splitlines()
    return _QUOTED.sub("…", lines[0])[:_LONGEST] if lines else type(error).__name__
