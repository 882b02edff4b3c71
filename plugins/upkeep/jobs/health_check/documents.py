"""Health of a server that tells of itself in a few documents: each is read once, and checks are pure functions of them.

What a look saw is remembered as the evidence of its findings: there a check leaves what the next look compares with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from upkeep.jobs import checks, health_check
from upkeep.jobs.checks import Looked, Seen
from upkeep.jobs.contract import Ask
from upkeep.model import SERVER, Json, Observation


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a document could not be read, and whether somebody should know (`upkeep.jobs.checks.Looked`)."""

    why: str
    minds: bool = True


class BlindError(Exception):
    """A check finds that it cannot be made without a document which it can often do without."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing.why)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Told:
    """What a server tells of itself.

    Attributes
    ----------
    documents
        By name; what could not be read says why.
    at
        The server's clock in seconds.
    looks
        The last looks, newest first (`upkeep.model.Memory.looks`).
    """

    documents: Mapping[str, Any]
    at: float
    looks: Sequence[Json] = ()

    def __getitem__(self, name: str) -> Any:
        return self.documents[name]

    def maybe(self, name: str) -> Any:
        """Return a document, or ``None`` when it could not be read."""
        found = self.documents[name]
        return None if isinstance(found, Missing) else found

    def before(self, check: str) -> Mapping[str, Json]:
        """Return what the last look that made this check left: subject → evidence."""
        return next((look["measured"][check] for look in self.looks if check in look.get("measured", {})), {})

    def grown(self, check: str, counters: Mapping[str, float], subject: str = SERVER) -> dict[str, float] | None:
        """Return by how much counters have grown since then, with the ``seconds``; ``None``: nothing to compare."""
        return checks.difference(self.looks, check, {**counters, "at": self.at}, subject)


Measure: TypeAlias = tuple[tuple[str, ...], Callable[[Told], Iterable[Seen]]]
"""The documents that a check needs, and what it makes of all that was told."""


def observe(ask: Ask[Any], documents: Mapping[str, Any], measures: Mapping[str, Measure]) -> Observation:
    """Measure each check alone: one that cannot be made says why, and stops no other."""
    told = Told(documents, ask.server.clock.timestamp(), ask.memory.looks)
    seen: list[Seen] = []
    looked: list[Looked] = []
    for name in health_check.measured(ask.target):
        needs, measure = measures[name]
        missing = next((found for need in needs if isinstance(found := documents[need], Missing)), None)
        try:
            if missing is None:
                seen += measure(told)
        except KeyError as error:
            missing = Missing(f"this version of the server does not tell {error}")
        except BlindError as error:
            missing = error.missing
        looked.append(Looked(check=name, why=missing.why, minds=missing.minds) if missing else Looked(check=name))
    return health_check.answer(ask, seen, looked)
