"""Pauses of targets or of the whole fleet."""

from __future__ import annotations

from upkeep.ledger import codec
from upkeep.ledger.base import Part
from upkeep.ledger.records import Pause


class Pauses(Part):
    """The part of the ledger that says whether something may be changed now."""

    def pause(self, target: str | None, *, actor: str, reason: str = "") -> None:
        """Stop changes on a target, or on the whole fleet (``None``); what is paused stays as it was."""
        self._write("pause", target=target, actor=codec.text(actor), reason=codec.text(reason))

    def resume(self, target: str | None, *, actor: str, reason: str = "") -> bool:
        """Allow changes on a target, or on the whole fleet (``None``), again; returns whether that was paused."""
        rows = self._write("resume", target=target, actor=codec.text(actor), reason=codec.text(reason))
        return bool(rows)

    def pauses(self) -> list[Pause]:
        """Return the pauses in force, that of the whole fleet first."""
        return [Pause(**row) for row in self._fetch("open_pauses")]

    def pause_of(self, target: str) -> Pause | None:
        """Return the pause in force for a target: its own, else that of the whole fleet."""
        rows = self._fetch("paused", target=target)
        return Pause(**rows[0]) if rows else None

    def paused(self, target: str) -> str | None:
        """Return who paused the target or the whole fleet, when and why; ``None`` when nobody did."""
        pause = self.pause_of(target)
        return None if pause is None else pause.text
