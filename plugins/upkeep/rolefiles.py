"""The role files of ``include/``: what Upkeep's user needs on an engine, job by job, as the commands that grant it.

A section begins with a comment that names its job (``# backup: why``), or ``always``; ``from Redis 7`` or ``before
Redis 7`` after the name: on these versions only. What follows without comments are its commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Final

from upkeep.model import ENGINES
from upkeep.settings import include_dir

ALWAYS: Final = "always"
"""The section of what every job needs."""
_HEAD: Final = r"^{} (?P<job>[a-z_]+)(?: (?P<side>from|before) \w+ (?P<major>\d+))?: (?P<why>.+)$"


@dataclass(frozen=True, slots=True)
class Section:
    """What one job needs.

    Attributes
    ----------
    text
        The commands, without comments.
    since, until
        Of the server's major version: from the one on, below the other; ``until`` 0: no end.
    """

    job: str
    text: str
    since: int = 0
    until: int = 0

    def holds(self, major: int) -> bool:
        """Return whether it is meant for a major version of the server."""
        return self.since <= major and (not self.until or major < self.until)


@cache
def sections(engine: str, path: str) -> tuple[Section, ...]:
    """Return the sections of a role file below ``include/``, in its order."""
    comment = re.escape(ENGINES[engine].comment)
    text = (include_dir() / path).read_text(encoding="utf-8")
    heads = list(re.finditer(_HEAD.format(comment), text, re.MULTILINE))
    found = []
    for head, following in zip_longest(heads, heads[1:]):
        body = text[head.end() : following.start() if following else None]
        commands = re.sub(rf"^{comment}.*\n?", "", body, flags=re.MULTILINE).strip()
        number = int(head["major"] or 0)
        since, until = (0, number) if head["side"] == "before" else (number, 0)
        found.append(Section(head["job"], commands, since, until))
    return tuple(found)
