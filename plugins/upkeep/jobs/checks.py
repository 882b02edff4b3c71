"""Judging what a job that looks has measured: thresholds, samples, and what could not be looked at. Pure.

A value raises a finding when two of the last three samples reach its threshold, and ends it when three in a row lie
below nine tenths of it; a state is raised at once. A look that could not see is no sample: it neither raises nor ends.
What was seen of a check is the evidence of its findings, healthy ones included, which the ledger keeps with each look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import Field

from upkeep.checkfiles import Check
from upkeep.model import SERVER, Finding, FindingStatus, Json, Observation, Severity
from upkeep.model.value import Value

SAMPLES: Final = 3
CLEAR: Final = 0.9
_LEVEL: Final = "level"
"""What a look has raised stands in its evidence under this name."""


class Seen(Value):
    """What a check measured of one subject.

    Attributes
    ----------
    subject
        What it is about, and outlives a run; never a process id.
    value
        What is compared with the thresholds; ``None``: nothing to compare yet (a first sample, a counter that began
        anew).
    state
        A word that `Check.states` may raise; of a check that has both, the graver one counts.
    evidence
        What else was seen: fills the summary, and is kept.
    """

    check: str
    subject: str = SERVER
    value: float | None = None
    state: str = ""
    evidence: Json = Field(default_factory=dict)


class Looked(Value):
    """That a check looked, or why it could not.

    Attributes
    ----------
    why
        Why it could not look; empty: it did.
    failed
        Whether it should have been able to.
    minds
        Whether somebody should know that it could not look: else it never can on such a server, and nobody needs to.
    """

    check: str
    why: str = ""
    failed: bool = False
    minds: bool = True


def frames(
    seen: Iterable[Seen], looked: Iterable[Looked], earlier: Sequence[Json] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return what was seen as the frames of an observation, for `judge`.

    Parameters
    ----------
    earlier
        The last looks, newest first (`upkeep.model.Memory.looks`).
    """
    return {
        "seen": [row.model_dump() for row in seen],
        "looked": [row.model_dump() for row in looked],
        "earlier": [dict(look) for look in earlier],
    }


def of_row(check: str, row: Mapping[str, Any]) -> Seen:
    """Return a statement's row as what was seen: ``subject``, ``value``, ``state``, and the rest as evidence."""
    rest = {name: value for name, value in row.items() if name not in ("subject", "value", "state")}
    value = row.get("value")
    subject, state = str(row.get("subject") or SERVER), str(row.get("state") or "")
    return Seen(check=check, subject=subject, value=None if value is None else float(value), state=state, evidence=rest)


def judge(observation: Observation, checks: Mapping[str, Check]) -> list[Finding]:
    """Return the findings of all checks, healthy ones too.

    Parameters
    ----------
    checks
        By name, with the thresholds that the owner wants.
    """
    looked = [Looked.model_validate(row) for row in observation.frames["looked"]]
    seen = [Seen.model_validate(row) for row in observation.frames["seen"]]
    earlier = observation.frames["earlier"]
    found: list[Finding] = []
    for look in looked:
        check = checks[look.check]
        if look.why:
            found.append(_blind(look, check))
            continue
        rows = [row for row in seen if row.check == look.check]
        samples = [then["measured"][look.check] for then in earlier if look.check in then.get("measured", {})]
        found += [_judged(row, check, [s.get(row.subject) for s in samples]) for row in rows]
        gone = [*_vanished(look.check, check, {row.subject for row in rows}, samples)]
        found += gone
        if not (rows or gone):
            nothing = Seen(check=look.check, evidence={"subjects": 0})
            found.append(_finding(nothing, check, None, f"{check.about}: nothing to tell"))
    return found


def judge_alone(row: Seen, check: Check) -> Finding:
    """Return what one thing comes to by this look alone."""
    return _judged(row, check.model_copy(update={"sampled": False}), ())


def difference(
    earlier: Sequence[Json], check: str, now: Mapping[str, float], subject: str = SERVER
) -> dict[str, float] | None:
    """Return by how much counters have grown since the last look, with its ``seconds``.

    Parameters
    ----------
    now
        Counters, and ``at``: the server's clock in seconds, with which the evidence of a check carries them.

    Returns
    -------
    dict or None
        ``None``: there is no earlier look, or a counter has begun anew.
    """
    for look in earlier:
        then = look.get("measured", {}).get(check, {}).get(subject, {})
        if not then:
            continue
        if any(not isinstance(then.get(name), int | float) or then[name] > value for name, value in now.items()):
            return None
        grown = {name: value - then[name] for name, value in now.items() if name != "at"}
        seconds = now["at"] - then["at"]
        return {**grown, "seconds": seconds} if seconds > 0 else None
    return None


def _blind(look: Looked, check: Check) -> Finding:
    """Return that a check could not look."""
    status = FindingStatus.FAILED if look.failed else FindingStatus.NOT_AVAILABLE
    severity = Severity.WARNING if look.minds else Severity.INFO
    return Finding.of(look.check, SERVER, severity, f"{check.about}: not looked at: {look.why}", status=status)


def _judged(row: Seen, check: Check, samples: Sequence[Json | None]) -> Finding:
    """Return what a subject's value or state comes to."""
    why = row.evidence.get("why")
    if row.value is None and not row.state:
        why = why or "there is no earlier sample to compare with"
        text, unseen = f"{check.about}: not judged yet: {why}", FindingStatus.INSUFFICIENT_EVIDENCE
        return Finding.of(row.check, row.subject, Severity.INFO, text, evidence=row.evidence, status=unseen)
    lasting = _level(row.value, check, samples) if row.value is not None else None
    by_state = check.states.get(row.state)
    worst = max((s for s in (by_state, lasting) if s is not None), key=lambda s: s.rank, default=None)
    text = f"{check.about}: {why}" if row.value is None and why else _words(check.summary, row, check)
    if worst is None and row.value is not None and check.level(row.value):
        worst, text = Severity.INFO, f"{text}; seen for the first time, raised when the next look sees it too"
    return _finding(row, check, worst, text, lasting)


def _level(value: float, check: Check, samples: Sequence[Json | None]) -> Severity | None:
    """Return what a value raises, together with the samples before it."""
    now = check.level(value)
    if not check.sampled:
        return now
    before = [check.level(v) for v in map(_value, samples[: SAMPLES - 1]) if v is not None]
    ranks = sorted((s.rank for s in (now, *before) if s is not None), reverse=True)
    lasting = list(Severity)[ranks[1]] if len(ranks) > 1 else None
    held = _held(value, check, samples)
    return max((s for s in (lasting, held) if s is not None), key=lambda s: s.rank, default=None)


def _held(value: float | None, check: Check, samples: Sequence[Json | None]) -> Severity | None:
    """Return what was raised and is not clear of its threshold for three looks yet."""
    newest = samples[0] if samples else None
    if not newest or _LEVEL not in newest:
        return None
    raised = Severity(newest[_LEVEL])
    last = [value, *map(_value, samples[: SAMPLES - 1])]
    near = [level for v in last if v is not None and (level := check.level(v, CLEAR))]
    if len(last) < SAMPLES:
        return raised
    return min(raised, max(near, key=lambda s: s.rank), key=lambda s: s.rank) if near else None


def _vanished(name: str, check: Check, now: set[str], samples: Sequence[Json]) -> Iterator[Finding]:
    """Yield what was raised and is no longer there; it takes as long to end as a value that fell."""
    for subject, sample in samples[0].items() if samples else ():
        held = None if subject in now else _held(None, check, [then.get(subject) for then in samples])
        if held is not None:
            kept = {key: value for key, value in sample.items() if key not in ("value", "state")}
            row = Seen(check=name, subject=subject, evidence=kept)
            yield _finding(row, check, held, f"{check.about}: not there now; ended after three such looks", held)


def _value(sample: Json | None) -> float | None:
    value = (sample or {}).get("value")
    return float(value) if isinstance(value, int | float) else None


def _finding(row: Seen, check: Check, severity: Severity | None, text: str, lasting: Severity | None = None) -> Finding:
    evidence = {**row.evidence}
    evidence |= {"value": row.value} if row.value is not None else {}
    evidence |= {"state": row.state} if row.state else {}
    evidence |= {_LEVEL: lasting.value} if lasting else {}
    remedy = _words(check.remedy, row, check) if severity else None
    status = FindingStatus.FINDING if severity else FindingStatus.OK
    return Finding.of(row.check, row.subject, severity or Severity.INFO, text, remedy, evidence=evidence, status=status)


def _words(text: str, row: Seen, check: Check) -> str:
    """Return a text of the check, its braces filled by what was seen."""
    words = {name: f"{value:,.0f}" if isinstance(value, float) else value for name, value in row.evidence.items()}
    words |= {"subject": row.subject, "state": row.state}
    words["value"] = check.words(row.value) if row.value is not None else "unknown"
    return text.format_map(words)
