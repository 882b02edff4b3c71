"""What Redis' errors say, without the arguments of commands: those may be what an application keeps."""

from __future__ import annotations

import re
from typing import Final

import redis

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


def describe(error: redis.RedisError) -> str:
    """Return what the server or the driver said, first line only, quoted words left out."""
    lines = _ARGUMENTS.sub("", str(error)).strip().splitlines()
    return _QUOTED.sub("…", lines[0])[:_LONGEST] if lines else type(error).__name__
