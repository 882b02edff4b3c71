"""What Redis' errors say, without the arguments of commands: those may be what an application keeps."""

from __future__ import annotations

import re
from typing import Final

import redis

_ARGUMENTS: Final = re.compile(r",? with args beginning with.*|\s*script: \w+, on .*", re.DOTALL)
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_LONGEST: Final = 200


def describe(error: redis.RedisError) -> str:
    """Return what the server or the driver said, first line only, quoted words left out."""
    lines = _ARGUMENTS.sub("", str(error)).strip().splitlines()
    return _QUOTED.sub("…", lines[0])[:_LONGEST] if lines else type(error).__name__
