"""What `upkeep check` found, on one screen: per target what will work, then what needs somebody, the gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from upkeep import brief, words
from upkeep.cli import console
from upkeep.cli.base import hint, out
from upkeep.model import Finding, FindingStatus
from upkeep.run.check import TargetCheck

_FEW_FINE: Final = 5
"""What is well is told one by one of a single target, and counted where there is more."""
_MOST: Final = 12
"""Findings of a target told one by one; the gravest come first."""


def show(found: Sequence[TargetCheck], path: Path | None, *, verbose: bool) -> None:
    """Print what was found; ``verbose``: all of it, what is well too."""
    states = [check.status for check in found]
    parts = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states, reverse=True))]
    severities = brief.severities(f for check in found for f in check.findings)
    head = f"{words.counted(len(found), 'target')}: {', '.join(parts)}"
    console.say(out, "; ".join(filter(None, (head, severities))), "bold")
    short = [check for check in found if not (verbose or _open(check) or len(found) == 1)]
    for check in sorted(found, key=lambda check: -max((f.severity.rank for f in _open(check)), default=-1)):
        if check not in short:
            _target(check, path, verbose=verbose, alone=len(found) == 1)
    for word, tone, checks in (
        ("ok", "good", [c for c in short if not c.observed]),
        ("ok, observed only", "wait", [c for c in short if c.observed]),
    ):
        if checks:
            console.say(out, f"{word}: {console.names([check.target for check in checks])}", tone)
    job = next((job for check in found if not check.bad for job in (*check.plans, *check.jobs)), None)
    if job is not None:
        hint("next", path, "plan", job)


def _open(check: TargetCheck) -> list[Finding]:
    """Return what is not well, the gravest first."""
    return sorted((f for f in check.findings if f.status is not FindingStatus.OK), key=lambda f: -f.severity.rank)


def _target(check: TargetCheck, path: Path | None, *, verbose: bool, alone: bool) -> None:
    word, tone = check.verdict
    console.say(out, f"{check.heading}: {word}", f"bold {tone}" if tone == "red" else "bold")
    bad = _open(check)
    few = bad if verbose else bad[:_MOST]
    for one in few:
        console.show_finding(out, one)
    if bad[len(few) :]:
        console.say(out, f"and {len(bad) - len(few)} more, no graver: --verbose tells all", "dim", indent=2)
    good = [f for f in check.findings if f.status is FindingStatus.OK]
    each = good if verbose or (alone and len(good) <= _FEW_FINE) else good[:1]
    for one in each:
        console.say(out, f"ok {one.subject} {one.summary}", "green", indent=2)
    if good[len(each) :]:
        console.say(out, f"ok {words.count(len(good) - len(each))} more (--verbose)", "green", indent=2)
    if check.jobs:
        console.say(out, f"declared: {', '.join(map(words.plain, check.jobs))}", indent=2)
    if check.idle:
        keys = ", ".join(f"{words.plain(job)} ({key}:)" for job, key in check.idle.items())
        console.say(out, f"nothing declared for: {keys}", "dim", indent=2)
