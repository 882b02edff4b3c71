"""At which steps the killing tests kill a job: at each distinct one, or with ``--every-statement`` at each one.

A killing test records the steps of a case that nobody disturbs (statements, ledger writes, file operations), then
kills the job before one of them after the other. What such a kill can meet is told by what was done last and what
was about to be done. So a step is known by two texts, its own and the one before it, without their values; a case
is killed at the first and at the last step of those that look alike, and at none that looks like a step of an
earlier case of the same test. Each case works that out alone, from the order of the cases: nothing depends on
which tests ran before, or where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

Pair: TypeAlias = tuple[str, str]

_ASIDE = re.compile(r"(?P<string>(?:\b[eE])?'(?:[^'\\]|''|\\.)*')|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBER = re.compile(r"(?:0x)?[0-9a-f]{8,}|\d+(?:\.\d+)*", re.IGNORECASE)  # eight and more: part of a generated name
_MANY = re.compile(r"\?(?:\s*,\s*\?)+")
_ROWS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")


def without_values(text: str) -> str:
    """Return a statement without comments, its literals and numbers (also those in names) as ``?``, a list as one."""
    text = _ASIDE.sub(lambda found: "?" if found["string"] else " ", text)
    text = _NUMBER.sub("?", text)
    for repeated in (_MANY, _ROWS):
        text = repeated.sub(lambda found: found[0].partition(",")[0], text)
    return " ".join(text.split())


def distinct(recorded: Sequence[str], earlier: Iterable[Sequence[str]] = ()) -> list[int]:
    """Return the numbers, from 1, of the steps that are first or last of their kind here and new; and the last step."""
    known = {pair for other in earlier for pair in _pairs(other)}
    pairs = _pairs(recorded)
    first = {pair: number for number, pair in reversed(list(enumerate(pairs, start=1)))}
    last = {pair: number for number, pair in enumerate(pairs, start=1)}
    chosen = {number for ends in (first, last) for pair, number in ends.items() if pair not in known}
    return sorted({*chosen, len(pairs)})


def _pairs(recorded: Sequence[str]) -> list[Pair]:
    return list(pairwise(["", *map(without_values, recorded)]))


class Stepping:
    """Says at which steps to kill; `pytest` has one for the session, the fixture ``stepping``.

    Parameters
    ----------
    every
        Kill at every step of every case.
    """

    def __init__(self, *, every: bool) -> None:
        self.every = every
        self._recorded: dict[tuple[str, str], Sequence[str]] = {}

    def steps(self, test: str, cases: Sequence[str], case: str, record: Callable[[str], Sequence[str]]) -> list[int]:
        """Return the numbers, from 1, of the steps of ``case`` to kill at.

        Parameters
        ----------
        test
            What the cases have in common: their work and how it is to be killed at.
        cases
            All cases in their order; what looks alike is left to the earliest.
        record
            Does the work of a case undisturbed, from its preparation on, and returns its steps. Done for ``case``
            last, so that the test finds what it left.
        """
        earlier = () if self.every else cases[: cases.index(case)]
        for other in earlier:
            if (test, other) not in self._recorded:
                self._recorded[test, other] = record(other)
        recorded = self._recorded[test, case] = record(case)
        return self.chosen(f"{test}, {case}", recorded, *(self._recorded[test, other] for other in earlier))

    def chosen(self, name: str, recorded: Sequence[str], *earlier: Sequence[str]) -> list[int]:
        """Return the numbers, from 1, of the recorded steps to kill at, and say how many they are of how many."""
        numbers = list(range(1, len(recorded) + 1)) if self.every else distinct(recorded, earlier)
        print(f"{name}: killed at {len(numbers)} of {len(recorded)} steps")  # noqa: T201 - shown with a failing test
        assert 0 < len(numbers) <= len(recorded), name
        assert not self.every or len(numbers) == len(recorded), name
        return numbers
