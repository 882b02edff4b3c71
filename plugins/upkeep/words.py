"""The words in which people read a run: the same on the pages and on the command line. Pure.

A word goes with its tone: good, warn, bad, wait or quiet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from upkeep.model import Action, Finding, FindingStatus, Json, Outcome, OutcomeStatus, PlanState, Severity, TargetStatus

Word: TypeAlias = tuple[str, str]

STATUS: Final[Mapping[TargetStatus, Word]] = {
    TargetStatus.OK: ("done", "good"),
    TargetStatus.NOTHING_TO_DO: ("nothing to do", "good"),
    TargetStatus.PARTIAL: ("partial", "warn"),
    TargetStatus.AWAITING_APPROVAL: ("awaiting approval", "wait"),
    TargetStatus.FAILED: ("failed", "bad"),
    TargetStatus.UNREACHABLE: ("unreachable", "bad"),
    TargetStatus.PAUSED: ("paused", "wait"),
    TargetStatus.OBSERVED: ("observed only", "quiet"),
    TargetStatus.PLANNED: ("planned only", "quiet"),
    TargetStatus.NOT_SUPPORTED: ("not supported", "warn"),
    TargetStatus.UNHEALTHY: ("unhealthy", "bad"),
}
"""How a target ended."""
ATTENTION: Final = (
    TargetStatus.UNREACHABLE,
    TargetStatus.FAILED,
    TargetStatus.UNHEALTHY,
    TargetStatus.PARTIAL,
    TargetStatus.AWAITING_APPROVAL,
    TargetStatus.PAUSED,
    TargetStatus.NOT_SUPPORTED,
    TargetStatus.PLANNED,
    TargetStatus.OBSERVED,
    TargetStatus.OK,
    TargetStatus.NOTHING_TO_DO,
)
"""The order of targets: what needs somebody comes first."""
UNFINISHED: Final[Word] = ("not finished", "quiet")
SEVERITY: Final[Mapping[Severity, str]] = {
    Severity.INFO: "quiet",
    Severity.WARNING: "warn",
    Severity.ERROR: "bad",
    Severity.CRITICAL: "bad",
}
"""Severity → tone."""
SYMBOL: Final[Mapping[str, str]] = {"good": "✓", "warn": "!", "bad": "✗", "wait": "?", "quiet": "·"}
"""Tone → a sign that needs no colour."""
_OUTCOME: Final = {OutcomeStatus.DONE: "good", OutcomeStatus.SKIPPED: "quiet", OutcomeStatus.FAILED: "bad"}
_WAITING: Final = ("needs_approval", "over_limit", "needs_backup")
_PLACEHOLDER: Final = re.compile(r"\{[a-z_]+\}|%\([a-z_]+\)s|…")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?\+00(?::00)?(?!\d)")
_FRACTION: Final = re.compile(r"(\b\d\d:\d\d:\d\d)\.\d+")
_EXPLAINED: Final = (
    "A word in braces like {first}, %(name)s and … stand for values that only a batch knows when it runs (where it "
    "begins and ends, the keys of its rows); all else is sent as it stands."
)
PLAN_ONLY: Final = "plan only: nothing was to be changed"


def plain(code: str) -> str:
    """Return a code word as people read it.

    >>> plain("awaiting_approval")
    'awaiting approval'
    """
    return code.replace("_", " ")


def state(value: str) -> Word:
    """Return the word for the state of a target in the list of runs."""
    return {status.value: word for status, word in STATUS.items()}.get(value, UNFINISHED)


def statuses(found: Iterable[TargetStatus]) -> list[tuple[int, Word]]:
    """Return how many targets ended how, what needs somebody first."""
    counts = Counter(found)
    return [(counts[status], STATUS[status]) for status in ATTENTION if counts[status]]


def visible(value: str) -> str:
    r"""Return ``value`` with what cannot be seen, or turns the text around, written out.

    >>> visible("drop table x\u202e;\n-- \x00")
    'drop table x\\u202e;\n-- \\u0000'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in value)


def seconds(value: str) -> str:
    """Return ``value`` with each moment in it to the second, as people read them.

    >>> seconds("kept until 2026-12-04T02:37:57.064688+00:00, 10:00:00.5")
    'kept until 2026-12-04 02:37:57 UTC, 10:00:00'
    """
    return _FRACTION.sub(r"\1", _ISO.sub(r"\1 \2 UTC", value))


def explains(statements: Iterable[str]) -> str:
    """Return what the placeholders in statements stand for; empty when there is none."""
    return _EXPLAINED if any(_PLACEHOLDER.search(statement) for statement in statements) else ""


def needs(action: Action) -> str:
    """Return what an action needs before it may run."""
    if action.over_limit:
        return "approval (over its limit)"
    if action.requires.kind == "backup":
        hours = (action.requires.backup_age_seconds or 0) / 3600
        return f"a verified backup that holds it, at most {hours:,.0f} hours old"
    return {"nothing": ""}.get(action.requires.kind, action.requires.kind)


def outcome(action: Action, ended: Outcome | None) -> Word:
    """Return what became of an action."""
    if ended is None:
        return (f"blocked: {plain(action.blocked[0].value)}", "warn") if action.blocked else ("planned", "quiet")
    if ended.reason_code is None:
        return ended.status.value, _OUTCOME[ended.status]
    code = ended.reason_code.value
    tone = "wait" if code in _WAITING else "warn" if ended.status is OutcomeStatus.SKIPPED else "bad"
    return plain(code), "quiet" if code == "observe_only" else tone


FATE: Final[Mapping[str, Word]] = {
    "awaiting": STATUS[TargetStatus.AWAITING_APPROVAL],
    "granted": ("approved", "wait"),
    "expired": ("approval expired", "warn"),
    "rejected": ("rejected", "quiet"),
    "used": ("approved and begun", "quiet"),
    "superseded": ("superseded", "quiet"),
}
"""What became of a plan, in a word."""


def fate(state: PlanState) -> Word:
    """Return what became of a plan that a person was to decide about, as a sentence without its full stop."""
    at = f" at {moment(state.at)}" if state.at else ""
    why = f": {state.reason}" if state.reason else ""
    newer = f"plan {state.superseded_by} of run {state.run_id}"
    return {
        "awaiting": ("waits for a person; nothing of it has been changed", "wait"),
        "granted": (f"approved by {state.by}{at}, not used yet", "wait"),
        "expired": (f"approved by {state.by}, but not carried out in time: the approval expired{at}", "warn"),
        "rejected": (f"rejected by {state.by}{at}{why}; nothing of it was changed", "quiet"),
        "used": (f"approved by {state.by}, the approval was used by run {state.run_id}{at}", "quiet"),
        "superseded": (f"superseded{at} by {newer}: nobody is asked about this one any more", "quiet"),
    }[state.state]


MENDED: Final[Word] = ("put right", "good")
"""Of a finding that the same run has mended."""


def finding(found: Finding) -> Word:
    """Return how much a finding matters, in a word."""
    if found.state == "mended":
        return MENDED
    if found.status is FindingStatus.OK:
        return "ok", "good"
    return found.severity.value, "quiet" if found.settled else SEVERITY[found.severity]


def life(found: Finding) -> str:
    """Return since when a finding stands, and until when it may; empty when it is new."""
    if found.state == "mended":
        return f"by this run; it was {found.severity.value}{_since(found)}"
    parts = [_since(found).strip()] if found.state == "standing" else []
    parts += [f"acknowledged until {moment(found.acknowledged_until)}"] if found.acknowledged_until else []
    return ", ".join(parts)


def _since(found: Finding) -> str:
    return f" since {found.first_seen.astimezone(UTC):%Y-%m-%d}" if found.first_seen else ""


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, what needs somebody first, what the run has put right last."""

    def weight(found: Finding) -> tuple[bool, bool, int, bool]:
        mended, settled = found.state == "mended", found.settled
        return mended, settled, -found.severity.rank, found.status is FindingStatus.OK

    return sorted(findings, key=weight)


def moment(instant: datetime) -> str:
    """Return an instant to the second, in UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(length: timedelta) -> str:
    """Return a length of time for people.

    >>> from datetime import timedelta
    >>> [duration(timedelta(seconds=s)) for s in (0.0123, 3.21, 59.96, 190, 7200)]
    ['12 ms', '3.2 s', '1 min 0 s', '3 min 10 s', '2 h 0 min']
    """
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def count(number: int | None) -> str:
    """Return a number with thin grouping, or a dash when unknown.

    >>> count(1234567), count(None)
    ('1 234 567', '–')
    """
    return "–" if number is None else f"{number:,}".replace(",", " ")


def counted(number: int, word: str) -> str:
    """Return a number of things.

    >>> counted(1, "target"), counted(1200, "target")
    ('1 target', '1 200 targets')
    """
    return f"{count(number)} {word}{'s' * (number != 1)}"


def asked(request: Json) -> str:
    """Return what was asked of a run, besides what every night asks."""
    return ", ".join(f"{plain(name)}: {value}" for name, value in request.items())
