"""How the databases are, in one sentence that never says more than is known. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from upkeep import words
from upkeep.ledger import NOT_FINISHED
from upkeep.model import TargetStatus
from upkeep.run import schedule
from upkeep.run.fleet_cells import Cell
from upkeep.run.fleet_coming import Coming
from upkeep.run.fleet_facts import Facts
from upkeep.run.fleet_needs import Need
from upkeep.run.schedule import Pace

NAMED: Final = 2
"""Jobs that the sentence names; more are counted."""
_HAVE_NOT_RUN: Final = ("has never run", "have never run")
_ARE_LATE: Final = ("did not run when it was due", "did not run when they were due")
_RUN: Final = ("is running", "are running")
_NUMBERS: Final = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_SAFE: Final = frozenset(
    {
        TargetStatus.OK,
        TargetStatus.NOTHING_TO_DO,
        TargetStatus.AWAITING_APPROVAL,
        TargetStatus.PAUSED,
        TargetStatus.OBSERVED,
        TargetStatus.PLANNED,
        TargetStatus.NOT_SUPPORTED,
    }
)
"""How a target ends when all that was done is proven, or nothing was done."""


def sentence(
    facts: Facts, known: Mapping[tuple[str, str], Cell], wanted: Sequence[Need], coming: Sequence[Coming]
) -> words.Word:
    """Return all of it in a sentence, which never says more than is known."""
    if not facts.targets:
        if facts.hidden and not facts.jobs:
            return "None of this is yours to see: your user may not read the runs of any job's DAG", "quiet"
        return "Nothing is known: the fleet file declares nothing", "warn"
    if all(cell.pace is Pace.NEVER or cell.by_hand for cell in known.values()):
        return _joined(["Nothing is known yet: no job has run", *_unheeded(wanted), *_night(coming)]), "warn"
    mine = [need for need in wanted if need.kind != "incomplete"]
    parts = [_needing(len(mine))]
    parts += [text for text in (_undone(wanted), _unknown(known), _lost(facts, known)) if text]
    parts += [*_night(coming)]
    tone = "good"
    if any(need.tone == "bad" for need in wanted):
        tone = "bad"
    elif any(need.kind == "incomplete" for need in wanted) or _unknown(known):
        tone = "warn"
    elif mine:
        tone = "wait"
    return _joined(parts), tone


def _joined(parts: Iterable[str]) -> str:
    return "; ".join(parts)


def _unheeded(wanted: Sequence[Need]) -> list[str]:
    return [f"{_number(len(wanted))} {'thing needs' if len(wanted) == 1 else 'things need'} you"] if wanted else []


def _needing(number: int) -> str:
    if not number:
        return "Nothing needs you"
    return f"{_number(number).capitalize()} {'thing needs' if number == 1 else 'things need'} you"


def _number(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def _undone(wanted: Sequence[Need]) -> str:
    left = sum(need.kind == "incomplete" for need in wanted)
    return f"{_number(left)} could not be finished or looked at" if left else ""


def _unknown(known: Mapping[tuple[str, str], Cell]) -> str:
    """Return which jobs have no verdict anywhere, or none as new as it should be."""
    never = [cell for cell in known.values() if cell.pace is Pace.NEVER]
    late = [cell for cell in known.values() if cell.pace is Pace.LATE]
    running = [cell for cell in known.values() if cell.status == NOT_FINISHED and not cell.killed]
    whole = Counter(job for _, job in known)
    found = ((never, _HAVE_NOT_RUN), (late, _ARE_LATE), (running, _RUN))
    said = [_of_jobs(some, whole, *how) for some, how in found if some]
    return "; ".join(said)


def _of_jobs(some: Sequence[Cell], whole: Mapping[str, int], one: str, many: str) -> str:
    """Return which jobs are so, and on how many databases where it is not all of them."""
    counts = Counter(cell.job for cell in some)
    if len(counts) > NAMED:
        return f"{len(counts)} jobs {many} on {words.counted(len({cell.target for cell in some}), 'database')}"
    parts = [
        words.plain(job) + ("" if number == whole[job] else f" (on {words.counted(number, 'database')})")
        for job, number in counts.items()
    ]
    return f"{' and '.join(parts)} {one if len(parts) == 1 else many}"


def _lost(facts: Facts, known: Mapping[tuple[str, str], Cell]) -> str:
    """Return that nothing was lost, where every change of the last night is proven; else nothing."""
    acting = {row.name for row in facts.jobs if not row.looks_only}
    mine = [cell for cell in known.values() if cell.job in acting and not cell.by_hand]
    proven = all(cell.status in _SAFE and not cell.overdue for cell in mine)
    return "nothing was lost" if mine and proven and not facts.troubles else ""


def _night(coming: Sequence[Coming]) -> list[str]:
    """Return when the next night begins, and which jobs nothing starts."""
    nightly = [c for c in coming if c.every is not None and c.every >= schedule.NIGHTLY]
    first = min((c.at for c in nightly if c.at is not None), default=None)
    idle = [words.plain(c.job) for c in coming if c.at is None and c.every is not None]
    said = [f"next night at {first:%H:%M} UTC"] if first is not None else []
    if idle and len(idle) == sum(c.every is not None for c in coming):
        return ["nothing is scheduled"]
    return said + ([f"nothing starts {', '.join(idle)}"] if idle else [])
