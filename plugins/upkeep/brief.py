"""A run in short: one line that says what came of it, and actions that are alike told once. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from upkeep import words
from upkeep.model import (
    Action,
    Finding,
    FindingStatus,
    Outcome,
    OutcomeStatus,
    ReasonCode,
    Severity,
    TargetReport,
    TargetStatus,
)
from upkeep.words import count, counted

_VERBS: Final = {
    "delete": "deleted",
    "archive": "archived",
    "detach": "detached",
    "drop": "dropped",
    "restore": "restored",
}
"""First word of an action's kind → what becomes of its rows."""
_WAITING: Final = {
    ReasonCode.NEEDS_APPROVAL: "wait for approval",
    ReasonCode.OVER_LIMIT: "wait for approval",
    ReasonCode.NEEDS_BACKUP: "wait for a backup",
    ReasonCode.OBSERVE_ONLY: "are only observed",
    ReasonCode.PAUSED: "are held back by a pause",
    ReasonCode.OUTSIDE_WINDOW: "wait for the window",
}
_QUIET: Final = frozenset({TargetStatus.OK, TargetStatus.NOTHING_TO_DO})
_MOVES: Final = re.compile(r"\d+")
_ALIKE: Final = 3
"""Two actions that are alike are shorter than what would be said about them."""


def line(targets: Sequence[TargetReport]) -> str:
    """Return what came of a run: its targets, the rows, and what needs somebody."""
    parts = [counted(len(targets), "target")]
    states = words.statuses(t.status for t in targets)
    if states:
        parts[0] += f": {', '.join(f'{count(n)} {word}' for n, (word, _) in states)}"
    parts += [", ".join(_rows(targets)), severities(f for t in targets for f in t.findings)]
    return "; ".join(filter(None, parts))


def severities(found: Iterable[Finding]) -> str:
    """Return how many findings need somebody, the worst first, and what needs nobody now: ``1 ERROR, 1 put right``."""
    told = [f for f in found if _matters(f)]
    counts = Counter(f.severity for f in told if notable(f))
    parts = [f"{counts[s]} {s.value}" for s in reversed(Severity) if counts[s]]
    mended = sum(f.state == "mended" for f in told)
    known = sum(f.settled for f in told) - mended
    parts += [f"{known} acknowledged"] if known else []
    return ", ".join([*parts, f"{mended} put right"] if mended else parts)


def notable(finding: Finding) -> bool:
    """Return whether somebody must do something about it."""
    return _matters(finding) and not finding.settled


def _matters(finding: Finding) -> bool:
    return finding.status is not FindingStatus.OK and finding.severity.rank >= Severity.WARNING.rank


def _rows(targets: Sequence[TargetReport]) -> Iterator[str]:
    """Yield the rows that went, would go, or wait, and the actions that failed."""
    rows: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    for target in targets:
        outcomes = {o.action_id: o for o in target.outcomes}
        for action in target.actions:
            for fate, number in _fates(action, outcomes.get(action.id)):
                actions[fate] += 1
                rows[fate] += number
    unit = " rows"
    for fate in actions:
        if rows[fate]:
            yield f"{count(rows[fate])}{unit} {fate}"
            unit = ""
        else:
            yield f"{counted(actions[fate], 'action')} {fate}"


def _fates(action: Action, ended: Outcome | None) -> Iterator[tuple[str, int]]:
    verb = _VERBS.get(action.kind.partition("_")[0])
    if ended is None:
        if action.needs_person:
            yield "wait for approval", action.rows or 0
        elif action.blocked is None:
            yield (f"would be {verb}", action.rows) if verb and action.rows else ("planned", 0)
        elif action.blocked[0] in _WAITING:
            yield _WAITING[action.blocked[0]], action.rows or 0
        return
    if verb and ended.rows:  # also of what was stopped in between
        yield verb, ended.rows
    elif ended.status is OutcomeStatus.DONE:
        yield "done", 0
    if ended.status is OutcomeStatus.FAILED:
        yield "failed", 0
    elif ended.reason_code in _WAITING:
        yield _WAITING[ended.reason_code], max(0, (action.rows or 0) - (ended.rows or 0))


def healthy(target: TargetReport) -> bool:
    """Return whether nobody needs to read about the target: all done, or nothing to do."""
    return (
        target.status in _QUIET
        and not target.error
        and all(o.status is OutcomeStatus.DONE for o in target.outcomes)
        and not any(_matters(f) and f.state != "mended" for f in target.findings)
        and all(gate.success for gate in target.gates)
    )


@dataclass(frozen=True, slots=True)
class Alike:
    """Actions that follow each other and ended in the same way.

    Attributes
    ----------
    rows
        Their sum; ``None`` when not all are known.
    estimated
        Whether that is an estimate.
    """

    actions: tuple[Action, ...]
    outcomes: tuple[Outcome | None, ...]
    rows: int | None
    estimated: bool

    @property
    def seconds(self) -> float:
        """Return how long they took together."""
        return sum(o.seconds for o in self.outcomes if o)

    @property
    def detail(self) -> str:
        """Return which ones: the first and the last where there are several."""
        first, last = self.actions[0].detail, self.actions[-1].detail
        if len(self.actions) == 1:
            return first
        some = "partitions" if self.actions[0].kind.endswith("_partition") else "times"
        return f"{len(self.actions)} {some}: {first} … {last}".rstrip(" …:")


def fold(actions: Sequence[Action], outcomes: Iterable[Outcome]) -> Iterator[Alike]:
    """Yield the actions in their order, those together that are alike but for names, numbers and dates."""
    by_id = {o.action_id: o for o in outcomes}

    def key(action: Action) -> tuple[object, ...]:
        ended = by_id.get(action.id)
        message = (ended.message if ended else action.blocked[1] if action.blocked else None) or ""
        kind = (action.kind, action.subject, words.outcome(action, ended), action.over_limit is None)
        return *kind, _MOVES.sub("0", message)

    for _, group in groupby(actions, key):
        same = list(group)
        for part in [same] if len(same) >= _ALIKE else [[one] for one in same]:
            ended = [by_id.get(a.id) for a in part]
            rows = [o.rows if o and o.rows is not None else a.rows for a, o in zip(part, ended, strict=True)]
            estimated = any(o is None or o.rows is None for o in ended)
            known = [n for n in rows if n is not None]
            yield Alike(tuple(part), tuple(ended), sum(known) if len(known) == len(rows) else None, estimated)
