"""The lives of findings: new, standing since, mended by a run, gone, acknowledged until.

What a run sees of a target is held against what was open before. A finding ends only when a look that could see it did
not: whatever could not be looked at, for want of a right, of a connection, of a table that something else hides, stays
open. Which runs touch lives at all, `upkeep.run.settling` knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from upkeep.model import SERVER, Finding, FindingStatus, Issue, IssueEvent, Json, Severity, Transition, fingerprint

if TYPE_CHECKING:
    from upkeep.ledger import Ledger

EVERYTHING: Final = "*"
"""Stands for all checks in `Look.unseen`."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a run saw of one target.

    Attributes
    ----------
    found
        What stands now, what could not be looked at included.
    before
        What stood before the run changed something; the same as ``found`` where it changed nothing.
    done
        Subjects on which it did something.
    unseen
        What could not be looked at besides what ``found`` says: names of checks, fingerprints, or `EVERYTHING`.
    whole
        Whether it looked at all of the target's job as of now; if not, it only mends what it did something on.
    """

    run_id: str
    target: str
    job: str
    found: Sequence[Finding]
    before: Sequence[Finding] = ()
    done: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    whole: bool = True

    def prints(self, findings: Sequence[Finding]) -> dict[str, Finding]:
        """Return what has a life, by fingerprint; of several that share one the gravest that was really seen.

        What never can be seen of a server (its free disk space) is no trouble that comes and goes.
        """
        order = sorted(findings, key=lambda f: (f.status is FindingStatus.FINDING, f.severity.rank))
        alive = (f for f in order if f.status is not FindingStatus.OK and not _never_seen(f))
        return {fingerprint(self.target, self.job, f): f for f in alive}


@dataclass(frozen=True, slots=True)
class Lives:
    """What a look did to the lives of findings.

    Attributes
    ----------
    issues
        Where everything stands since, by fingerprint: what is open, and what ended by this look.
    now
        The ledger's clock.
    transitions
        What happened; empty when all stands as it stood.
    kept
        Fingerprints of what is open and could not be looked at.
    mended
        Fingerprints of what the run saw before its changes and not after them, where it did something.
    """

    issues: Mapping[str, Issue]
    now: datetime
    transitions: tuple[Transition, ...] = ()
    kept: frozenset[str] = frozenset()
    mended: frozenset[str] = frozenset()


def live(ledger: Ledger, look: Look) -> Lives:
    """Hold what was seen against what was open, and write what happened to it; nothing happened: nothing is written."""
    prints = [*look.prints(look.found), *look.prints(look.before)]
    lives = judge(look, *ledger.known_issues(look.target, look.job, prints))
    if not lives.transitions:
        return lives
    with ledger.lives(look.target, look.job, prints) as (known, now):  # once more: nobody else is at it now
        lives = judge(look, known, now)
        ledger.change_issues(lives.transitions)
    return lives


def compare(ledger: Ledger, look: Look) -> Lives:
    """Return where what was seen stands, as `live` does, for a run that touches no life: nothing is written."""
    prints = [*look.prints(look.found), *look.prints(look.before)]
    known, now = ledger.known_issues(look.target, look.job, prints)
    return Lives(known, now, mended=judge(look, known, now).mended)


def coverage(look: Look, lives: Lives) -> tuple[frozenset[str], frozenset[str]]:
    """Return what the ledger is told of a look: the checks that saw something, and what could not be looked at."""
    seen = frozenset(f.check for f in look.found if f.status is FindingStatus.FINDING)
    blind = look.prints([f for f in look.found if f.unseen])
    # a run that touches no life may be the first to see something: nothing is hidden that was never seen
    hidden = {key for key in blind if (issue := lives.issues.get(key)) is not None and not issue.unseen}
    return seen, look.unseen | lives.kept | hidden


def judge(look: Look, known: Mapping[str, Issue], now: datetime) -> Lives:
    """Return what happens to the findings of a target and job by a look. Pure.

    Parameters
    ----------
    known
        What is open, and what is known of the fingerprints that the look names.
    """
    doubt = _Doubt(look, look.prints(look.found), look.prints(look.before), known, now)
    happened: list[Transition] = []
    standing = {
        key: issue
        for key, issue in known.items()
        if issue.open and key not in doubt.found and (look.whole or doubt.mended(key, issue.subject))
    }
    for key, finding in (doubt.found if look.whole else {}).items():
        happened += _seen(look, key, finding, known.get(key), now)
    for key, finding in (doubt.before if look.whole else {}).items():
        issue = known.get(key)
        if key in doubt.found or (issue is not None and (issue.open or issue.gone_run == look.run_id)):
            continue
        if finding.subject in look.done or doubt.of(key, finding.check, finding.subject):  # it came within this run
            happened += _seen(look, key, finding, issue, now)
            standing[key] = happened[-1].issue
    kept = frozenset(key for key, issue in standing.items() if doubt.of(key, issue.check, issue.subject))
    for key, issue in standing.items():
        if key not in kept:
            event = IssueEvent.MENDED if doubt.mended(key, issue.subject) else IssueEvent.GONE
            ended = issue.model_copy(update={"gone_at": now, "gone_by": event.value, "gone_run": look.run_id})
            happened.append(Transition(event=event, issue=ended, at=now, run_id=look.run_id))
    mended = frozenset(
        key
        for key, finding in doubt.before.items()
        if key not in doubt.found
        and doubt.mended(key, finding.subject)
        and not doubt.of(key, finding.check, finding.subject)
    )
    since = {**known, **{t.issue.fingerprint: t.issue for t in happened}}
    return Lives(since, now, tuple(happened), kept, mended)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Whether what is not found may be there all the same, because nobody could look."""

    look: Look
    found: Mapping[str, Finding]
    before: Mapping[str, Finding]
    known: Mapping[str, Issue]
    now: datetime

    def mended(self, key: str, subject: str) -> bool:
        """Return whether the run has put right what it saw before and sees no more: it did something there."""
        return key in self.before and subject in self.look.done

    def of(self, key: str, check: str, subject: str) -> bool:
        """Return whether the look leaves open that this still stands."""
        if self.look.unseen & {EVERYTHING, check, key}:
            return True
        about = {subject, self.look.target, SERVER}
        return any(
            self._unseen(f, check) or self._hides(other, f, key) for other, f in self._now_seen() if f.subject in about
        )

    def _now_seen(self) -> list[tuple[str, Finding]]:
        """Return what stands now, also what shares its fingerprint with something graver."""
        look = self.look
        return [(fingerprint(look.target, look.job, f), f) for f in look.found if f.status is not FindingStatus.OK]

    @staticmethod
    def _unseen(finding: Finding, check: str) -> bool:
        return finding.unseen and (finding.check == check or not _never_seen(finding))

    def _hides(self, other: str, finding: Finding, key: str) -> bool:
        """Return whether a grave finding may keep this check from looking: one that came after it.

        A table that is not there has no rows in its default partition. What stood together before does not hide one
        another.
        """
        if finding.unseen or finding.severity.rank < Severity.ERROR.rank or {other, key} <= self.before.keys():
            return False
        return self._since(other) > self._since(key)

    def _since(self, key: str) -> tuple[datetime, bool]:
        issue = self.known.get(key)
        return (issue.first_seen if issue is not None and issue.open else self.now, key not in self.before)


def _never_seen(finding: Finding) -> bool:
    """Return whether a check says that it cannot look, and that nobody needs to mind: it hides nothing but itself."""
    return finding.unseen and finding.severity is Severity.INFO


def _seen(look: Look, key: str, finding: Finding, issue: Issue | None, now: datetime) -> list[Transition]:
    """Return what happens to a finding that stands: nothing when it stood so before."""
    said: Json = {
        "status": finding.status,
        "severity": finding.severity,
        "summary": finding.summary,
        "remedy": finding.remedy,
        "evidence": finding.evidence,
    }
    if issue is None or not issue.open:
        event = IssueEvent.NEW if issue is None else IssueEvent.RETURNED
        fresh = Issue(
            fingerprint=key,
            target=look.target,
            job=look.job,
            check=finding.check,
            subject=finding.subject,
            first_seen=now,
            first_run=look.run_id,
            **said,
        )
        return [Transition(event=event, issue=fresh, at=now, run_id=look.run_id)]
    if (finding.unseen and not issue.unseen) or (finding.status, finding.severity) == (issue.status, issue.severity):
        return []  # as it stood, or nobody could look
    worse = finding.severity.rank > issue.severity.rank or (issue.unseen and not finding.unseen)
    over = {"acknowledged_until": None, "acknowledged_by": None, "acknowledged_why": None} if worse else {}
    changed = issue.model_copy(update={**said, **over})
    return [Transition(event=IssueEvent.CHANGED, issue=changed, at=now, run_id=look.run_id)]
