"""What of the fleet needs a person: what waits for an answer, what failed, what has stopped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from upkeep import words
from upkeep.ledger import ApprovalState, OpenIssue, PendingPlan, Trouble
from upkeep.model import Severity, TargetStatus
from upkeep.run import rules
from upkeep.run.coverage import FLEET
from upkeep.run.fleet_cells import Cell, ago, stamp
from upkeep.run.fleet_facts import Facts
from upkeep.run.schedule import Pace

Pair = tuple[str, str]
MOST_SAID: Final = 3
"""Reasons told of one need; the rest is in its run."""
_INCOMPLETE: Final = frozenset(code.value for code in rules.INCOMPLETE)
_MILD: Final = frozenset({TargetStatus.UNREACHABLE, TargetStatus.PARTIAL})
"""How a target ends that may only be incomplete."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a person has to do.

    Attributes
    ----------
    kind
        ``approval``, ``trouble`` (something is wrong, or went wrong), ``incomplete`` (could not be done or looked at
        now) or ``stopped``.
    details
        Why.
    runs
        Job → its run.
    plan_id, link, job
        Of a plan that waits: where to answer, if somebody is asked.
    """

    kind: str
    title: str
    tone: str
    details: tuple[str, ...] = ()
    more: int = 0
    targets: tuple[str, ...] = ()
    runs: Mapping[str, str] = field(default_factory=dict)
    plan_id: str = ""
    job: str = ""
    link: str = ""


def needs(facts: Facts, cells: Mapping[Pair, Cell]) -> list[Need]:
    """Return what needs a person, the gravest first, then what waits for an answer."""
    troubles: dict[tuple[str, str], list[Trouble]] = {}
    for trouble in facts.troubles:
        troubles.setdefault((trouble.run_id, trouble.target), []).append(trouble)
    serious: dict[Pair, list[OpenIssue]] = {}
    for entry in facts.issues:
        if entry.issue.severity.rank >= Severity.ERROR.rank and not entry.acknowledged:
            serious.setdefault((entry.issue.target, entry.issue.job), []).append(entry)
    found = [*_bad(cells, troubles, serious), *_stopped(cells)]
    return [
        *(_of_all(entry) for (target, _), entries in serious.items() if target == FLEET for entry in entries),
        *(need for need in found if need.kind == "trouble"),
        *(need for need in found if need.kind == "stopped"),
        *_waiting(facts),
        *(need for need in found if need.kind == "incomplete"),
    ]


def _of_all(entry: OpenIssue) -> Need:
    """Return what is wrong with no target but with looking at all of them."""
    issue = entry.issue
    details = (issue.remedy,) if issue.remedy else ()
    return Need(
        "trouble", f"{words.plain(issue.job)}: {issue.summary}", "bad", details, runs={issue.job: issue.first_run}
    )


def _bad(
    cells: Mapping[Pair, Cell],
    troubles: Mapping[tuple[str, str], Sequence[Trouble]],
    serious: Mapping[Pair, Sequence[OpenIssue]],
) -> Iterator[Need]:
    """Yield what ended badly, or has something serious open; jobs that say the same of a target together."""
    alike: dict[tuple[str, str, str, tuple[str, ...], int], list[Cell]] = {}
    for pair, cell in cells.items():
        issues = serious.get(pair, ())
        if not cell.bad and not issues:
            continue
        failed = troubles.get((cell.run_id, cell.target), ())
        said = [*map(_failure, failed), *(_issue(entry) for entry in issues)]
        if cell.error and cell.bad:
            said.insert(0, cell.error)
        said = list(dict.fromkeys(said))
        key = (cell.target, _kind(cell, failed, issues), _how(cell), tuple(said[:MOST_SAID]), len(said[MOST_SAID:]))
        alike.setdefault(key, []).append(cell)
    for (target, kind, how, details, more), some in alike.items():
        jobs = ", ".join(words.plain(cell.job) for cell in some)
        yield Need(
            kind,
            f"{target}, {jobs}: {how}",
            "bad" if kind == "trouble" else "warn",
            details,
            more,
            (target,),
            {cell.job: cell.run_id for cell in some if cell.run_id},
        )


def _kind(cell: Cell, failed: Iterable[Trouble], issues: Sequence[OpenIssue]) -> str:
    """Return whether something is wrong, or something could only not be done or looked at now."""
    wrong = [t for t in failed if t.kind == "gate" or t.reason not in _INCOMPLETE]
    return "incomplete" if cell.status in _MILD and not wrong and not issues else "trouble"


def _how(cell: Cell) -> str:
    return cell.ended if cell.bad else "something serious is open"


def _failure(trouble: Trouble) -> str:
    if trouble.kind == "gate":
        rest = f" (and {trouble.number - 1} more)" if trouble.number > 1 else ""
        return f"gate {trouble.name}: {trouble.message or 'not passed'}{rest}"
    reason = trouble.message or words.plain(trouble.reason or "failed")
    return f"{words.plain(trouble.name or 'an action')}: {reason}"


def _issue(entry: OpenIssue) -> str:
    issue = entry.issue
    return f"{issue.severity.value}: {issue.subject} {issue.summary}"


def _stopped(cells: Mapping[Pair, Cell]) -> Iterator[Need]:
    """Yield the jobs that have silently stopped, each with its targets."""
    by_job: dict[str, list[Cell]] = {}
    for cell in cells.values():
        if cell.pace is Pace.STOPPED:
            by_job.setdefault(cell.job, []).append(cell)
    for job, some in by_job.items():
        newest = max(cell.at for cell in some if cell.at is not None)
        names = tuple(cell.target for cell in some)
        where = names[0] if len(names) == 1 else words.counted(len(names), "target")
        text = f"{words.plain(job)} has stopped: it has not run on {where} since {stamp(newest)}"
        runs = {job: some[0].run_id} if len(names) == 1 else {}
        yield Need("stopped", text, "bad", targets=names, runs=runs)


def _waiting(facts: Facts) -> Iterator[Need]:
    """Yield the plans that wait for an answer."""
    for entry in facts.pending:
        if entry.state is ApprovalState.GRANTED:
            continue
        plan = entry.plan
        yield Need(
            "approval",
            f"{plan.target}, {words.plain(plan.job)}: {_asks(entry)}",
            "wait",
            _about(entry, facts.now - entry.created_at),
            0,
            (plan.target,),
            {plan.job: entry.run_id},
            plan.plan_id,
            plan.job,
            facts.links.get(plan.plan_id, ""),
        )


def _asks(entry: PendingPlan) -> str:
    awaiting = entry.plan.awaiting
    rows = sum(action.rows or 0 for action in awaiting)
    about = f" ({rows:,} rows)" if rows else ""
    verb = "waits" if len(awaiting) == 1 else "wait"
    late = "; an earlier approval expired" if entry.state is ApprovalState.EXPIRED else ""
    return f"{words.counted(len(awaiting), 'action')}{about} {verb} for your approval{late}"


def _about(entry: PendingPlan, age: timedelta) -> tuple[str, ...]:
    kinds: dict[str, list[str]] = {}
    for action in entry.plan.awaiting:
        kinds.setdefault(words.plain(action.kind), []).append(action.subject)
    said = [
        f"{kind} {subjects[0]}" + (f" and {len(subjects) - 1} more" if len(subjects) > 1 else "")
        for kind, subjects in kinds.items()
    ]
    asked = [f"asked for: {words.asked(entry.plan.request)}"] if entry.plan.request else []
    return (*said[:MOST_SAID], *asked, f"planned {ago(age)}")
