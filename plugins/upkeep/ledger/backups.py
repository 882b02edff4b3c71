"""Backups: what was published, verified, used and taken away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from upkeep.ledger import codec
from upkeep.ledger.base import Part
from upkeep.ledger.control import Row
from upkeep.model import Artefact, Backup


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was begun, and whether it is at work still."""

    run_id: str
    status: str | None
    started_at: datetime
    finished_at: datetime | None
    alive: bool


class Backups(Part):
    """The part of the ledger that knows the backups; the directories themselves say what is in them."""

    def keep_backup(self, run_id: str, target: str, artefact: Artefact, *, event: str | None = None) -> None:
        """Write down how a backup stands since now; ``event`` ``used``: that it authorised a deletion."""
        self._write(
            "keep_backup",
            run_id=run_id,
            target=target,
            snapshot_at=artefact.snapshot_at,
            verified_at=artefact.verified_at,
            location=artefact.location,
            evidence=codec.jsonb(artefact.model_dump(mode="json")),
            backup=artefact.id,
            identity=artefact.identity,
            event=event or artefact.state,
        )

    def last_begun(self, target: str, job: str) -> Begun | None:
        """Return the last run of a job at a target that was begun to do something, and whether it is alive."""
        return next((Begun(**row) for row in self._fetch("last_begun", target=target, job=job)), None)

    def backups(self, target: str | None = None, *, expired: bool = False) -> list[Backup]:
        """Return the backups of a target, or of all, newest first; those that were taken away too where asked."""
        return [backup(row) for row in self._fetch("known_backups", target=target, expired=expired)]


def backup(row: Row) -> Backup:
    """Return a row of what is known of a backup."""
    return Backup(row["target"], Artefact.model_validate(row["artefact"]), row["run_id"], row["used_at"])
