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
    PlanState,
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
_WAITS: Final = "wait for approval"
_WAITING: Final = {
    ReasonCode.NEEDS_APPROVAL: _WAITS,
    ReasonCode.OVER_LIMIT: _WAITS,
    ReasonCode.NEEDS_BACKUP: "wait for a backup",
    ReasonCode.OBSERVE_ONLY: "are only observed",
    ReasonCode.PAUSED: "are held back by a pause",
    ReasonCode.OUTSIDE_WINDOW: "wait for the window",
}
_SINCE: Final = {
    "granted": "approved since",
    "used": "approved since",
    "rejected": "rejected",
    "superseded": "in a newer plan now",
}
"""State of a plan that waits no longer → what became of what waited."""
_PAST: Final = {
    "drop": "dropped",
    "hide": "hidden",
    "make": "made",
    "modify": "modified",
    "set": "set",
    "take": "taken",
}
"""First word of an action's kind → what was done, where that is no regular verb."""
_QUIET: Final = frozenset({TargetStatus.OK, TargetStatus.NOTHING_TO_DO})
_MOVES: Final = re.compile(r"\d+")
_SEVERAL: Final = re.compile(r"(\d+) partitions\b")
"""Beginning of the detail of an action that is about more than one."""
_DATED: Final = re.compile(r"(.*\D)(\d{4}_\d\d(?:_\d\d)?)\W*")
"""A partition that is called by the day or month on which it begins."""
_MANY: Final = 5
"""So many names are counted, not told."""
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


def sentence(targets: Sequence[TargetReport], *, looks: bool = False) -> str:
    """Return what a person wants to know first of a run, in sentences.

    Only outcomes say that something was done, and only a plan that waits now says that something waits.

    Parameters
    ----------
    looks
        Whether the job only looks.
    """
    if not targets:
        return "No target of the fleet declares something for this job."
    said = [_looked(targets) if looks else ", ".join(did(targets))]
    if not said[0]:
        well = all(t.status in _QUIET and t.plan_id for t in targets)
        said = ["Everything is as declared: nothing was to be done" if well else "Nothing was changed"]
    for status in words.ATTENTION:
        names = [t.target for t in targets if t.status is status]
        if names and status not in (*_QUIET, TargetStatus.AWAITING_APPROVAL):
            said.append(
                f"{words.STATUS[status][0]}: {', '.join(names) if len(names) < _MANY else f'{len(names)} targets'}"
            )
    found = [f for t in targets for f in t.findings]
    fresh, known = sum(notable(f) and f.state == "new" for f in found), severities(found)
    said += [f"findings{f' ({fresh} new)' if fresh else ''}: {known}"] if known else []
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in said)


def _looked(targets: Sequence[TargetReport]) -> str:
    """Return how many targets were well, as far as was looked."""
    well = sum(t.status in _QUIET for t in targets)
    if well == len(targets):
        return f"{counted(well, 'target')} looked at, none unhealthy"
    return f"{well} of {counted(len(targets), 'target')} without trouble"


def did(targets: Sequence[TargetReport]) -> Iterator[str]:
    """Yield what was done, of rows first, what failed, and what waits or is held back."""
    rows, objects, others = _tally(targets)
    done = [*_VERBS.values()]
    unit = " row"
    for fate in sorted(rows, key=lambda f: (f not in done, f == _WAITS)):
        if fate not in done and objects:
            yield from (_made(kind, number) for kind, number in objects.items())
            objects.clear()
        number = rows[fate]
        yield f"{number:,}{unit and unit + 's' * (number != 1)} {_for_you(fate)}"
        unit = ""
    yield from (_made(kind, number) for kind, number in objects.items())
    for fate, number in others.items():
        if fate not in rows:
            yield f"{many(number, 'change')} {'waits for you' if (number, fate) == (1, _WAITS) else _for_you(fate)}"


def _tally(targets: Sequence[TargetReport]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return rows by what became of them, things done by the kind of action, and the other actions by their fate."""
    rows: Counter[str] = Counter()
    objects: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for target in targets:
        outcomes = {o.action_id: o for o in target.outcomes}
        for action in target.actions:
            for fate, number in _fates(action, outcomes.get(action.id), target.plan_state):
                told = "needed approval" if fate == _WAITS and target.plan_state is None else fate
                if fate == "done" and "_" in action.kind:
                    several = _SEVERAL.match(action.detail)
                    objects[action.kind] += int(several[1]) if several else 1
                elif number:
                    rows[told] += number
                else:
                    others[told] += 1
    if rows or objects:
        del others["done"]  # the small change beside it: statistics
    return rows, objects, others


def _for_you(fate: str) -> str:
    return "wait for you" if fate == _WAITS else fate


def _made(kind: str, number: int) -> str:
    """Return what was done to how many things.

    >>> _made("create_partition", 3), _made("set_expiry", 1), _made("merge_partitions", 2), _made("create_index", 2)
    ('3 partitions created', '1 expiry set', '2 partitions merged', '2 indexes created')
    """
    verb, _, thing = kind.partition("_")
    past = _PAST.get(verb) or _VERBS.get(verb) or (f"{verb}d" if verb.endswith("e") else f"{verb}ed")
    return f"{many(number, words.plain(thing.removesuffix('s')))} {past}"


def many(number: int, thing: str) -> str:
    """Return a number of things.

    >>> many(1, "row"), many(2000, "index"), many(2, "expiry")
    ('1 row', '2,000 indexes', '2 expiries')
    """
    if number == 1:
        return f"1 {thing}"
    if thing.endswith("y"):
        return f"{number:,} {thing.removesuffix('y')}ies"
    return f"{number:,} {thing}{'es' if thing.endswith('x') else 's'}"


def asked(actions: Sequence[Action]) -> str:
    """Return what waits for a person: its rows, or how many changes where no rows are touched."""
    rows = sum(action.rows or 0 for action in actions)
    return many(rows, "row") if rows else many(len(actions), "change")


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
            for fate, number in _fates(action, outcomes.get(action.id), target.plan_state):
                actions[fate] += 1
                rows[fate] += number
    unit = " rows"
    for fate in actions:
        if rows[fate]:
            yield f"{count(rows[fate])}{unit} {fate}"
            unit = ""
        else:
            yield f"{counted(actions[fate], 'action')} {fate}"


def _fates(action: Action, ended: Outcome | None, plan: PlanState | None) -> Iterator[tuple[str, int]]:
    verb = _VERBS.get(action.kind.partition("_")[0])
    if ended is None:
        if action.needs_person:
            yield _waits(plan), action.rows or 0
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
        fate = _WAITING[ended.reason_code]
        yield _waits(plan) if fate == _WAITS else fate, max(0, (action.rows or 0) - (ended.rows or 0))


def _waits(plan: PlanState | None) -> str:
    """Return whether what needs a person waits still, or what became of it."""
    return _SINCE.get(plan.state, _WAITS) if plan is not None else _WAITS


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
        dated = [_DATED.fullmatch(action.detail.partition(", ")[0]) for action in self.actions]
        known = [match for match in dated if match]
        if len(known) == len(dated) and len({match[1] for match in known}) == 1:
            days = sorted(match[2].replace("_", "-") for match in known)
            return f"{len(days)} {some}, {days[0]} … {days[-1]}"
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
