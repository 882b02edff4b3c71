"""Which backup may authorise what `requires: {backup: AGE}` lets go."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from upkeep.jobs.backup import marks
from upkeep.jobs.backup.job import stands
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.marks import Marks
from upkeep.jobs.contract import Job, Work
from upkeep.model import Action, Artefact, Backup, Finding, Outcome, OutcomeStatus, Severity, fingerprint

if TYPE_CHECKING:
    from upkeep.ledger import Ledger

STARVED: Final = "retention_starved"
STARVED_AFTER: Final = timedelta(days=2) - timedelta(hours=1)
"""From the first night to the third."""
USED: Final = "used"
"""The event of a backup that authorised a deletion: it is kept."""


@dataclass(frozen=True, slots=True)
class Cover:
    """The newest verified backup of a physical database, or why there is none."""

    backup: Backup | None = None
    manifest: Manifest | None = None
    marks: Marks = field(default_factory=dict)
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
            return Cover(backup, manifest, marks.read(Path(backup.artefact.location), backup.artefact.marks))
    if verified:
        return Cover(why=f"the verified backups are no longer (whole) in {verified[0].artefact.location}")
    if mine:
        return Cover(why=f"the newest backup of this database, {mine[0].artefact.id}, is {mine[0].artefact.state}")
    return Cover(why="no verified backup of this database is recorded")


def told(outcome: Outcome, by: Artefact) -> Outcome:
    """Return the outcome of an action with the backup that authorised it; people read it where something is done."""
    done = outcome.status is OutcomeStatus.DONE
    holds = f"backup {by.id} of {by.snapshot_at:%Y-%m-%d %H:%M} UTC, which was verified, holds what it took away"
    message = "; ".join(filter(None, (outcome.message, holds))) if done else outcome.message
    return outcome.model_copy(update={"evidence": {**outcome.evidence, "backup": by.id}, "message": message})


def starved(ledger: Ledger, target: str, job: str, action: Action, outcome: Outcome, *, now: datetime) -> Finding:
    """Return that rows are due and stay for want of a backup; in the third night that is an ERROR."""
    found = Finding.of(
        STARVED,
        action.subject,
        Severity.INFO,
        f"what is due stays: {outcome.message}",
        "look at the runs of this target's backups: upkeep backups, upkeep runs",
        evidence={"rows": action.rows},
    )
    mark = fingerprint(target, job, found)
    issue = ledger.known_issues(target, job, [mark])[0].get(mark)
    since = issue.first_seen if issue is not None and issue.gone_at is None else now
    if now - since < STARVED_AFTER:
        return found
    text = f"what is due stays since {since:%Y-%m-%d} for want of a backup: {outcome.message}"
    return found.model_copy(update={"severity": Severity.ERROR, "summary": text})


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
