"""What a gate found: the result of one expectation suite at one stage."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from upkeep.model.value import Json, Value

Stage: TypeAlias = Literal["before", "after"]
"""When a gate is evaluated: before anything is changed, and after."""


class GateFailure(Value):
    """One expectation that did not hold.

    Attributes
    ----------
    subjects
        The subjects whose rows failed; empty when the whole target is concerned.
    stops
        ``target`` or ``subject``: how much of the run stops here.
    """

    expectation: str
    summary: str
    stops: str
    subjects: tuple[str, ...] = ()
    evidence: Json = Field(default_factory=dict)
    remedy: str | None = None


class GateResult(Value):
    """The result of one expectation suite at one stage.

    Attributes
    ----------
    evaluated
        How many expectations were evaluated.
    checked
        What was expected, in words, for people; failed or not.
    left_out
        Subjects that were not looked at because nothing was to be proven: their actions were left undone on
        purpose (observe only, paused, outside the window, waiting for approval or backup).
    """

    suite: str
    stage: str
    success: bool
    evaluated: int
    failed: tuple[GateFailure, ...] = ()
    checked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def stops_target(self) -> bool:
        """Whether the target as a whole must not be touched."""
        return any(f.stops == "target" for f in self.failed)

    @property
    def stopped_subjects(self) -> frozenset[str]:
        """Return the subjects that must not be touched."""
        return frozenset(s for f in self.failed if f.stops == "subject" for s in f.subjects)
