"""Which indexes nothing uses: by counters that did not move through all looks of many days. Pure.

A look knows what the one before had measured, and since when that had not moved: so the newest look carries the whole
chain. Counters that began anew in between (a restart, a reset, another node) break it: the evidence begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from upkeep.fleet.values import elapsed
from upkeep.jobs.index_analysis.indexes import Index
from upkeep.model import Finding, FindingStatus, Json, Severity
from upkeep.model.intervals import Duration

UNUSED: Final = "index_unused"
EVIDENCE: Final = "evidence of use"
"""Subject of the word on what is not known yet: no index can be called so, and it hides no index's finding."""


@dataclass(frozen=True, slots=True)
class Use:
    """How often an index was used, as all nodes together count it.

    Attributes
    ----------
    counters
        What changes whenever some node's counters begin anew.
    since
        Since when the server itself says that it counts for this index, where it says so.
    """

    scans: int
    counters: str
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known of use: by subject, for those whose counters could be read; and what the look before measured."""

    used: Mapping[str, Use]
    earlier: Iterable[Mapping[str, Any]]


def rows(earlier: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the newest look measured, as a frame: subject → evidence in, a row for each out."""
    kept = ("scans", "since", "counters", "proven")
    return [{"subject": name, **{key: said.get(key) for key in kept}} for name, said in earlier.items()]


def judge(
    indexes: Sequence[Index],
    counted: Counted,
    at: datetime,
    after: Duration,
    remedies: Mapping[str, str],
) -> Iterator[Finding]:
    """Yield what is known of the use of each index that may go, healthy ones too; and when more will be known.

    Parameters
    ----------
    remedies
        Subject → what to do with an index that nobody uses.
    """
    before = {row["subject"]: row for row in counted.earlier}
    waiting: list[datetime] = []
    for index in indexes:
        use = counted.used.get(index.subject)
        if use is None or index.bound or not index.serves or not index.watched:
            continue
        evidence = _carried_on(use, before.get(index.subject), at)
        since = datetime.fromisoformat(evidence["since"])
        if at - since >= elapsed(after):
            evidence |= {"proven": True, "bytes": index.bytes}
            text = f"nothing has used it since {since:%Y-%m-%d}, on any node; every write keeps it up to date"
            yield Finding.of(UNUSED, index.subject, Severity.WARNING, text, remedies[index.subject], evidence=evidence)
            continue
        if since < at:
            waiting.append(since)
        if evidence["proven"]:
            text = "it was not used for long; the counters have begun anew since, and so does the evidence"
            yield _said(index, evidence, text, FindingStatus.INSUFFICIENT_EVIDENCE)
        else:
            yield _said(index, evidence, "its use is counted", FindingStatus.OK)
    if waiting:
        yield _not_yet(waiting, after)


def _carried_on(use: Use, before: Mapping[str, Any] | None, at: datetime) -> Json:
    """Return the evidence of today: since when the counter has not moved, as far as the chain is unbroken."""
    now = at.isoformat()
    since, proven = use.since if use.since is not None and not use.scans else now, False
    if before is not None and before["since"] is not None and before["scans"] is not None:
        whole = before["counters"] == use.counters and before["scans"] == use.scans
        since = min(since, before["since"], key=datetime.fromisoformat) if whole else since
        # idle through the break too, as far as anybody can tell: nobody may say by that that it is used
        proven = bool(before["proven"]) and (whole or not use.scans)
    return {"scans": use.scans, "since": since, "counters": use.counters, "proven": proven}


def _said(index: Index, evidence: Json, text: str, status: FindingStatus) -> Finding:
    return Finding.of(UNUSED, index.subject, Severity.INFO, text, evidence=evidence, status=status)


def _not_yet(waiting: Sequence[datetime], after: Duration) -> Finding:
    first, last = (moment + elapsed(after) for moment in (min(waiting), max(waiting)))
    known = f"{first:%Y-%m-%d}" if first.date() == last.date() else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    one = len(waiting) == 1
    text = (
        f"{len(waiting)} {'index has' if one else 'indexes have'} not been used since {'it is' if one else 'they are'} "
        f"watched; that nobody needs {'it' if one else 'them'} can be said after {after} without a break: {known}"
    )
    evidence = {"indexes": len(waiting), "from": first.isoformat(), "until": last.isoformat()}
    return Finding.of(
        UNUSED,
        EVIDENCE,
        Severity.INFO,
        text,
        evidence=evidence,
        status=FindingStatus.INSUFFICIENT_EVIDENCE,
    )
