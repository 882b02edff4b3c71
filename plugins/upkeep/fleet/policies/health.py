"""``health:`` of a target: the thresholds that its owner wants in place of the ones that come along."""

from __future__ import annotations

from difflib import get_close_matches
from typing import ClassVar, Final

from pydantic import Field

from upkeep.checkfiles import RAISED, Check, checks
from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.values import Strict

PART: Final = "health"


class Thresholds(Strict):
    """From which value on a check is raised; what is left out stays as it comes."""

    warning: str | float | None = None
    error: str | float | None = None
    critical: str | float | None = None

    def on(self, check: Check) -> Check:
        """Return the check with these thresholds. Raises `ValueError` for a value that it has not."""
        written = {name: value for name, value in self.model_dump().items() if value is not None}
        moved = check.model_copy(update={name: check.read(value) for name, value in written.items()})
        order = [v for v in (moved.warning, moved.error, moved.critical) if v is not None]
        if order != sorted(order, reverse=check.falls):
            raise ValueError(f"warning, error and critical must {'fall' if check.falls else 'rise'}: {order}")
        return moved


class HealthPolicy(TargetPolicy):
    """What the owner thinks of the health of a target.

    Attributes
    ----------
    thresholds
        By name of the check.
    ignore
        Checks that are not made here.
    """

    everywhere: ClassVar[bool] = True

    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()

    def suits(self, engine: str) -> None:
        """Raise `ValueError` for a check that the engine has not, or a threshold that it cannot have."""
        known = checks(engine, PART)
        for name in (*self.thresholds, *self.ignore):
            if name not in known:
                near = get_close_matches(name, known, n=1)
                meant = f" (did you mean '{near[0]}'?)" if near else ""
                raise ValueError(f"no check '{name}' on {engine}{meant}; there are: {', '.join(sorted(known))}")
        for name, thresholds in self.thresholds.items():
            if all(known[name].threshold(severity) is None for severity in RAISED):
                raise ValueError(f"{name} is raised by states, not by thresholds: ignore it, or leave it as it is")
            try:
                thresholds.on(known[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def checks(self, engine: str) -> dict[str, Check]:
        """Return the checks to make, with the thresholds that the owner wants."""
        found = {name: check for name, check in checks(engine, PART).items() if name not in self.ignore}
        return {n: self.thresholds[n].on(c) if n in self.thresholds else c for n, c in found.items()}


POLICY = HealthPolicy
