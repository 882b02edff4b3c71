"""Pauses of targets or of the whole fleet, and when a target was last backed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upkeep.ledger import codec
from upkeep.ledger.base import Part

if TYPE_CHECKING:
    from datetime import datetime


class Pauses(Part):
    """The part of the ledger that says whether something may be changed now."""

    def pause(self, target: str | None, *, actor: str, reason: str = "") -> None:
        """Stop changes on a target, or on the whole fleet (``None``); what is paused stays as it was."""
        self._write("pause", target=target, actor=codec.text(actor), reason=codec.text(reason))

    def resume(self, target: str | None, *, actor: str, reason: str = "") -> None:
        """Allow changes on a target, or on the whole fleet (``None``), again; each is resumed by itself."""
        self._write("resume", target=target, actor=codec.text(actor), reason=codec.text(reason))

    def paused(self, target: str) -> str | None:
        """Return who paused the target or the whole fleet, when and why; ``None`` when nobody did."""
        rows = self._fetch("paused", target=target)
        if not rows:
            return None
        row = rows[0]
        what = f"'{row['target']}'" if row["target"] is not None else "the whole fleet"
        why = f": {row['reason']}" if row["reason"] else ""
        return f"{what} was paused by {row['actor']} at {row['paused_at']:%Y-%m-%d %H:%M:%S %Z}{why}"

    def newest_verified_backup(self, target: str) -> datetime | None:
        """Return the snapshot time of the newest backup of the target whose restore was verified."""
        moment: datetime | None = self._fetch("newest_verified_backup", target=target)[0]["snapshot_at"]
        return moment
