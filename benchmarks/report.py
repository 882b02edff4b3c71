"""Medians, percentiles and ratios, printed alike by every benchmark."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of several rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        """Return ``median [min – max]`` in milliseconds."""
        return (
            f"{self.median * 1e3:9.1f} ms  [{min(self.seconds) * 1e3:.1f} – {max(self.seconds) * 1e3:.1f}]"
            f"  n={len(self.seconds)}"
        )


def interleaved(rounds: int, *, warm_up: int = 1, **candidates: Callable[[], object]) -> dict[str, Timing]:
    """Time the candidates in turn (A B C, A B C, …), so that a machine that drifts drifts for all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + warm_up):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            elapsed = time.perf_counter() - started
            if number >= warm_up:
                seconds[name].append(elapsed)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def heading(text: str) -> None:
    """Print the name of a benchmark."""
    out.rule(text, align="left")


def line(name: str, value: object) -> None:
    """Print one figure."""
    out.print(f"  {name:<52} {value}", markup=False)


def verdict(name: str, measured: float, goal: float, *, at_least: bool) -> bool:
    """Print a ratio beside its goal and return whether it is reached."""
    reached = measured >= goal if at_least else measured <= goal
    word = "reached" if reached else "MISSED"
    line(name, f"{measured:8.2f}   goal {'≥' if at_least else '≤'} {goal:g}   {word}")
    return reached
