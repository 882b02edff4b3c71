"""Gates: what must hold before and after a job, as Great Expectations suites that are data."""

from upkeep.gates.backend import preload, ready
from upkeep.gates.evaluation import EVIDENCE_ROWS, complete, evaluate
from upkeep.gates.owners import count_rows
from upkeep.gates.suites import Check, load

__all__ = ["EVIDENCE_ROWS", "Check", "complete", "count_rows", "evaluate", "load", "preload", "ready"]
