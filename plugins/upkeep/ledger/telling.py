"""What people outside were told of findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from upkeep.ledger import codec
from upkeep.ledger.base import Part
from upkeep.ledger.issues import issue_of
from upkeep.model import Issue, Severity


@dataclass(frozen=True, slots=True)
class Untold:
    """A finding that stands otherwise than people were told.

    Attributes
    ----------
    told
        The severity that they know of; ``None``: they know nothing of it.
    stands
        Its severity now; ``None``: it ended, or is milder than an ERROR.
    """

    issue: Issue
    told: Severity | None
    stands: Severity | None


class Telling(Part):
    """The part of the ledger that knows what is still to be told."""

    def untold(self, targets: Sequence[str], *, away: str, blind: str) -> list[Untold]:
        """Return what is to be told of these targets, the gravest first.

        Parameters
        ----------
        away, blind
            Checks: that a target is out of reach is not told while it is open that Upkeep itself sees nothing.
        """
        rows = self._fetch("untold_issues", targets=list(targets), away=away, blind=blind)
        return [Untold(issue_of(row), _severity(row["told"]), _severity(row["stands"])) for row in rows]

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Let nobody else tell until the end; what is marked as told by then is committed."""
        with self._control.transaction():
            self._control.write("told_lock")
            yield

    def mark_told(self, told: Mapping[str, Severity | None]) -> None:
        """Write what people know by now: fingerprint → severity, or that it stands no more."""
        bodies = [{"fingerprint": key, "severity": severity} for key, severity in told.items()]
        self._write("mark_told", told=codec.jsonb(bodies))


def _severity(text: str | None) -> Severity | None:
    return Severity(text) if text is not None else None
