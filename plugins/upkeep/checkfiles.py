"""The checks of jobs that look: ``include/checks/<engine>.yaml``, part → check → what it means and when it is raised.

What a check measures lies elsewhere (a statement, a command); here stands what people read of it, and its thresholds,
which a fleet file can move.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict

from upkeep import settings
from upkeep.model import Severity
from upkeep.model.intervals import Duration

Unit: TypeAlias = Literal["", "%", "seconds", "bytes"]
RAISED: Final = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
"""What a threshold can raise, the gravest first."""
_STEPS: Final = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class Check(BaseModel):
    """What a check means.

    Attributes
    ----------
    about
        What it looks at, in a few words; said where it cannot look.
    summary
        What is said of a subject; ``{braces}`` are filled by what was measured, ``{value}`` in words.
    why, remedy
        Why it matters, and what to do.
    unit
        Of ``value`` and the thresholds.
    falls
        Whether it is raised at or below its thresholds, not at or above them.
    warning, error, critical
        Thresholds of ``value``.
    states
        Words of ``state`` that are raised, at once.
    sampled
        Whether two of the last three looks must reach a threshold, and three lie clear of it before it is ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    summary: str
    why: str
    remedy: str
    unit: Unit = ""
    falls: bool = False
    warning: float | None = None
    error: float | None = None
    critical: float | None = None
    states: dict[str, Severity] = {}
    sampled: bool = True

    def threshold(self, severity: Severity) -> float | None:
        """Return the value from which on it is that bad, or ``None``."""
        return {Severity.WARNING: self.warning, Severity.ERROR: self.error, Severity.CRITICAL: self.critical}[severity]

    def level(self, value: float, share: float = 1.0) -> Severity | None:
        """Return how bad a value is; ``None``: not at all.

        Parameters
        ----------
        share
            0.9: as if the thresholds were nearer by a tenth.
        """
        for severity in RAISED:
            bound = self.threshold(severity)
            if bound is not None and (value <= bound / share if self.falls else value >= bound * share):
                return severity
        return None

    def words(self, value: float) -> str:
        """Return a value as people read it."""
        if self.unit == "%":
            return f"{value:.0f} %" if value >= 1 or value == 0 else f"{value:.1f} %"
        if self.unit == "seconds":
            name, length = next(((n, s) for n, s in _STEPS if abs(value) >= 2 * s), _STEPS[-1])
            return f"{value / length:.0f} {name}"
        if self.unit == "bytes":
            return f"{value / 2**20:,.0f} MiB"
        return f"{value:,.1f}".removesuffix(".0")

    def read(self, text: str | float) -> float:
        """Return a threshold as an owner writes it: ``70 %``, ``10 seconds``, ``5``. Raises `ValueError`."""
        if self.unit == "seconds" and isinstance(text, str) and "%" not in text:
            return Duration.parse(text).approximate / timedelta(seconds=1)
        match = re.fullmatch(r"\s*([\d.]+)\s*(%?)\s*", str(text))
        if match is None or bool(match[2]) > (self.unit == "%"):
            instead = {"%": "'70 %'", "seconds": "'10 seconds'"}.get(self.unit, "a number")
            raise ValueError(f"{text!r} is no threshold of this check; write {instead}")
        return float(match[1])


@cache
def checks(engine: str, part: str) -> Mapping[str, Check]:
    """Return the checks of a part of an engine's file, by name; those that all engines have come first.

    Parameters
    ----------
    part
        The key of the fleet file that moves its thresholds: ``health``.
    """
    written = _read("all").get(part, {}) | _read(engine).get(part, {})
    return {name: Check.model_validate(text) for name, text in written.items()}


def names(engine: str) -> set[str]:
    """Return the names of all checks of an engine's own file."""
    return {name for part in _read(engine).values() for name in part}


def _read(name: str) -> dict[str, dict[str, Any]]:
    path = settings.include_dir() / "checks" / f"{name}.yaml"
    written: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return written
