"""Which backup may authorise what `requires: {backup: AGE}` lets go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from upkeep.jobs.backup.job import stands
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.contract import Job, Work
from upkeep.model import Backup

if TYPE_CHECKING:
    from upkeep.ledger import Ledger

USED: Final = "used"
"""The event of a backup that authorised a deletion: it is kept."""


@dataclass(frozen=True, slots=True)
class Cover:
    """The newest verified backup of a physical database, or why there is none."""

    backup: Backup | None = None
    manifest: Manifest | None = None
    why: str | None = None

    @property
    def snapshot_at(self) -> datetime | None:
        """The instant whose state it holds."""
        return None if self.manifest is None else self.manifest.snapshot_at


def cover(ledger: Ledger, identity: str) -> Cover:
    """Return the newest verified backup of a physical database that still lies where it was published.

    Whatever target it was taken for: what counts is the database.
    """
    mine = [b for b in ledger.backups() if b.artefact.identity == identity]
    verified = [b for b in mine if b.artefact.state == "verified"]
    for backup in verified:
        manifest = stands(backup.artefact)
        if manifest is not None and manifest.identity == identity:
            return Cover(backup, manifest)
    if verified:
        return Cover(why=f"the verified backups are no longer (whole) in {verified[0].artefact.location}")
    if mine:
        return Cover(why=f"the newest backup of this database, {mine[0].artefact.id}, is {mine[0].artefact.state}")
    return Cover(why="no verified backup of this database is recorded")


def uncovered(job: Job[Any], work: Work[Any]) -> str | None:
    """Return why the backup does not hold all that an action would take away."""
    if work.backup is None:
        return "no verified backup is there any more"
    if job.uncovered is None:
        return (
            f"on {work.target.engine} it cannot be proven that what goes is in a backup as it is now; write requires: "
            "approval"
        )
    return job.uncovered(work)
