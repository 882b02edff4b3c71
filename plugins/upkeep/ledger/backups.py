"""Backups: what was published, verified, used and taken away."""

from __future__ import annotations

from upkeep.ledger import codec
from upkeep.ledger.base import Part
from upkeep.ledger.control import Row
from upkeep.model import Artefact, Backup

USED = "used"


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

    def backups(self, target: str | None = None, *, expired: bool = False) -> list[Backup]:
        """Return the backups of a target, or of all, newest first; those that were taken away too where asked."""
        return [backup(row) for row in self._fetch("known_backups", target=target, expired=expired)]


def backup(row: Row) -> Backup:
    """Return a row of what is known of a backup."""
    return Backup(row["target"], Artefact.model_validate(row["artefact"]), row["run_id"], row["used_at"])
