"""What is still there although it should be gone: counted, told, and told apart from what is stuck. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from upkeep.jobs.data_retention.cutoff import moment
from upkeep.model import Finding, FindingStatus, Json, Severity
from upkeep.model.value import digest

MOST: Final = 10_000
"""Overdue rows are counted up to one more than that."""
SECONDS: Final = 10
"""Counting those of one table takes no longer; longer, and their number is said to be unknown."""
SHOWN: Final = 20
"""Of so many, the ones overdue longest, it is remembered which they were."""
OVERDUE: Final = "ttl_overdue"
STALLED: Final = "ttl_stalled"


@dataclass(frozen=True, slots=True)
class Overdue:
    """What was counted of one table, collection or stream.

    Attributes
    ----------
    rows
        Up to one more than `MOST`; ``None``: not known, ``why`` says the reason.
    tolerance
        Seconds that a row may be there after its time.
    ids
        Digests of the ids of at most `SHOWN` of them, those overdue longest.
    what
        What is counted.
    more
        Further evidence.
    denied
        Whether ``why`` is that our user may not look.
    """

    subject: str
    rows: int | None
    tolerance: float
    why: str = ""
    ids: Sequence[str] = ()
    what: str = "rows"
    more: Mapping[str, Any] | None = None
    denied: bool = False

    @property
    def amount(self) -> str:
        """How many, in words."""
        rows = self.rows or 0
        what = self.what.removesuffix("s") if rows == 1 else self.what
        return f"more than {MOST:,} {what}" if rows > MOST else f"{rows:,} {what}"

    @property
    def evidence(self) -> Json:
        """What the look remembers."""
        known = {"overdue": self.rows, "tolerance_seconds": round(self.tolerance), **(self.more or {})}
        return {**known, "ids": list(self.ids)} if self.ids else known


def identified(*parts: Any) -> str:
    """Return what an id is remembered by: of the id itself nothing leaves the database."""
    return digest(*map(str, parts))[:16]


def earlier(looks: Iterable[Mapping[str, Any]], checks: Collection[str]) -> list[Json]:
    """Return the frame of earlier looks: one row for each check and subject of theirs that this job compares with."""
    return [
        {"at": moment(look["at"]).isoformat(), "check": check, "subject": subject, "evidence": evidence}
        for look in looks
        for check, subjects in look["measured"].items()
        if check in checks
        for subject, evidence in subjects.items()
    ]


def seen_before(
    frame: Iterable[Mapping[str, Any]], check: str, subject: str, ids: Iterable[str], until: datetime
) -> datetime | None:
    """Return when some of the same ids were first seen in a look that is no younger than ``until``."""
    wanted = set(ids)
    moments = [
        moment(row["at"])
        for row in frame
        if row["check"] == check and row["subject"] == subject and wanted & set(row["evidence"].get("ids", ()))
    ]
    old = [at for at in moments if at <= until]
    return min(old) if old else None


def findings(found: Overdue, frame: Iterable[Mapping[str, Any]], now: datetime, remedy: str) -> Iterator[Finding]:
    """Yield what is overdue, and that it is stuck when some of it was overdue already so long ago that it must be gone.

    Parameters
    ----------
    frame
        Of earlier looks: `earlier`.
    """
    if found.rows is None:
        text = f"how many {found.what} are overdue is not known: {found.why}"
        status = FindingStatus.INSUFFICIENT_EVIDENCE
        if found.denied:
            status, remedy = FindingStatus.NOT_AVAILABLE, "let our user read it: `upkeep check` says by which right"
        for check in (OVERDUE, STALLED):
            severity = Severity.WARNING if check == OVERDUE else Severity.INFO
            yield Finding.of(check, found.subject, severity, text, remedy, evidence=found.evidence, status=status)
        return
    if not found.rows:
        text = f"none of its {found.what} is there {_long(found.tolerance)} after its time"
        yield Finding.of(OVERDUE, found.subject, Severity.INFO, text, evidence=found.evidence, status=FindingStatus.OK)
        return
    verb = "is" if found.rows == 1 else "are"
    text = f"{found.amount} {verb} still there, more than {_long(found.tolerance)} after the time"
    yield Finding.of(OVERDUE, found.subject, Severity.ERROR, text, remedy, evidence=found.evidence)
    since = seen_before(frame, OVERDUE, found.subject, found.ids, now - timedelta(seconds=found.tolerance))
    if since is not None:
        text = (
            f"some of the same {found.what} have been overdue since {since:%Y-%m-%d %H:%M} UTC at least: "
            "they are stuck, not late"
        )
        yield Finding.of(STALLED, found.subject, Severity.ERROR, text, remedy, evidence={"since": since.isoformat()})


def _long(seconds: float) -> str:
    """Return a length of time in words."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next(((size, unit) for size, unit in units if seconds >= 2 * size), units[-1])
    amount = round(seconds / size)
    return f"{amount:,} {unit}{'s' if amount != 1 else ''}"
