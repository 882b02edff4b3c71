"""Could we restore right now? What is known of each target's backups, for the page of the fleet. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from upkeep.model import Artefact, Backup, Json

OLD: Final = timedelta(hours=30)
"""A night, and the time that its backup and proof may take."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a target wants of backups: ``external``: others take them; ``refused``: the fleet file says false."""

    declared: bool = False
    external: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """What this machine would be to the restore of a target's `best` backup.

    Attributes
    ----------
    lacks
        What it has not: a program, an extension, room, a right to read.
    unlooked
        What could not be looked at, and why.
    """

    lacks: tuple[str, ...] = ()
    unlooked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restore:
    """Whether a target could be restored, as far as is known.

    Attributes
    ----------
    at
        The newest instant that was restored to prove it.
    seconds
        How long that took when it was proven.
    notes
        What is missing or in the way.
    here
        What was seen of that on this machine; it is among the notes.
    """

    target: str
    word: str
    tone: str
    at: datetime | None = None
    backup: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    here: Here = Here()

    def document(self, now: datetime) -> Json:
        """Return its part of what ``status --json`` prints."""
        found: Json = {"verdict": self.word, "notes": list(self.notes)}
        if self.at is not None:
            found |= {"backup": self.backup, "at": self.at.isoformat()}
            found["age_seconds"] = round((now - self.at).total_seconds())
        found |= {"missing": list(self.here.lacks)} if self.here.lacks else {}
        found |= {"not_looked_at": list(self.here.unlooked)} if self.here.unlooked else {}
        return found | ({"seconds": round(self.seconds, 1)} if self.seconds is not None else {})


def best(made: Sequence[Artefact], gone: Collection[str]) -> Artefact | None:
    """Return the backup that would be restored: of those that were proven and are not gone, the first (newest)."""
    return next((one for one in made if one.state == "verified" and one.id not in gone), None)


def restore(  # noqa: PLR0917 - what is known of one target, in the order in which it is asked
    target: str,
    wanted: Wanted,
    backups: Sequence[Backup],
    now: datetime,
    unseen: Sequence[str],
    here: Here = Here(),
) -> Restore:
    """Return whether a target could be restored right now.

    Parameters
    ----------
    backups
        Newest first.
    unseen
        Ids of those that were looked for where they should lie, and are not there whole.
    here
        What this machine lacks for the restore of the `best`, or where there is none, of the newest that is there.
    """
    if not wanted.declared and not backups:
        word = "no: backup: false" if wanted.refused else "not by Upkeep: no backup: key"
        return Restore(target, word, "soft" if wanted.refused else "warn")
    if wanted.external and not backups:
        return Restore(target, "others take the backups", "soft", notes=("Upkeep knows nothing of them",))
    made = [backup.artefact for backup in backups]
    chosen = best(made, unseen)
    notes = (*_notes(made, chosen, unseen), *_of_here(here))
    if chosen is None:
        return Restore(
            target, "not proven: no backup was restored yet" if made else "no backup yet", "bad", notes=notes, here=here
        )
    old = now - chosen.snapshot_at > OLD
    blind = "not seen from here" if here.unlooked else None
    but = [*(["old"] if old else []), *filter(None, ["something is missing here" if here.lacks else blind])]
    return Restore(
        target, f"yes, but {' and '.join(but)}" if but else "yes", "warn" if but else "good", chosen.snapshot_at,
        chosen.id, chosen.restore_seconds, notes, here,
    )  # fmt: skip


def _notes(made: Sequence[Artefact], chosen: Artefact | None, unseen: Sequence[str]) -> Iterator[str]:
    newest = made[0] if made else None
    if newest is not None and newest is not chosen:
        what = {"failed": "differs from what was dumped", "verified": "no longer lies where it was published"}
        text = what.get(newest.state, "was not restored to prove it yet")
        why = f" ({newest.why})" if newest.why and newest.state != "verified" else ""
        yield f"the newest, of {newest.snapshot_at:%Y-%m-%d %H:%M} UTC, {text}{why}"
    gone = [one for one in made if one.id in unseen and one is not newest]
    if gone:
        yield f"{len(gone)} older ones are no longer where they were published"


def _of_here(here: Here) -> Iterator[str]:
    yield from (f"missing on this machine: {what}" for what in here.lacks)
    yield from (f"not looked at: {what}" for what in here.unlooked)
