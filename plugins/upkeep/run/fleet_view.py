"""How the databases are, as the page of the fleet and `upkeep status` say it: one model for both. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from upkeep import words
from upkeep.ledger import NOT_FINISHED, ApprovalState, OpenIssue
from upkeep.model import Json, Severity
from upkeep.run import fleet_coming
from upkeep.run.fleet_cells import NEVER, Cell, cells, stamp
from upkeep.run.fleet_coming import Coming
from upkeep.run.fleet_facts import Declared, Facts
from upkeep.run.fleet_needs import Need, needs
from upkeep.run.fleet_restores import Here, Restore, restore
from upkeep.run.fleet_sentence import sentence

NEW: Final = timedelta(hours=24)
"""A finding is new so long."""
UNKNOWN_REACH: Final = "How far the partitions reach is not known: partition creation has measured nothing in two days."
MANY: Final = 20
"""Of more databases those that are well are folded."""
VERDICTS: Final[Mapping[str, words.Word]] = {
    "bad": ("needs you", "bad"),
    "incomplete": ("incomplete", "warn"),
    "unknown": ("not all known", "warn"),
    "waiting": ("waits for you", "wait"),
    "well": ("well", "good"),
}
"""How a target is, the gravest first, in a word."""


@dataclass(frozen=True, slots=True)
class TargetLine:
    """A target and the last verdicts on it.

    Attributes
    ----------
    verdict
        One of `VERDICTS`.
    cells
        By job, in the order of `FleetView.jobs`; ``None`` where it declares nothing for the job.
    notes
        What holds changes back there: who paused it, since when; that it is only observed.
    findings
        Open ones that nobody has acknowledged, by severity.
    headroom
        When its first table runs out of partitions, and which; ``None``: not known.
    restore
        Whether it could be restored right now.
    """

    name: str
    engine: str
    verdict: str
    cells: tuple[Cell | None, ...]
    notes: tuple[str, ...]
    findings: Mapping[str, int]
    pending: int
    headroom: tuple[datetime, str] | None
    restore: Restore


@dataclass(frozen=True, slots=True)
class FleetView:
    """The page of the fleet; ``minor``: findings of severity INFO."""

    at: datetime
    verdict: words.Word
    needs: tuple[Need, ...]
    jobs: tuple[str, ...]
    targets: tuple[TargetLine, ...]
    new: tuple[OpenIssue, ...]
    standing: tuple[OpenIssue, ...]
    minor: tuple[OpenIssue, ...]
    acknowledged: tuple[OpenIssue, ...]
    coming: tuple[Coming, ...]
    paused: str
    hidden: int

    @property
    def shown(self) -> list[TargetLine]:
        """The targets to be told in full, what needs somebody first, else as the fleet file has them."""
        order = list(VERDICTS)
        found = sorted(self.targets, key=lambda target: order.index(target.verdict))
        return [target for target in found if target.verdict != "well"] if len(found) > MANY else found

    @property
    def folded(self) -> list[TargetLine]:
        """The targets of which it is enough to say that they are well."""
        return [target for target in self.targets if target.verdict == "well"] if len(self.targets) > MANY else []

    @property
    def exit_status(self) -> int:
        """0 all is well, 1 something is wrong that a person must mend, 3 something is not known, or not done."""
        if any(need.kind in ("trouble", "stopped") for need in self.needs):
            return 1
        left = any(need.kind == "incomplete" for need in self.needs)
        return 3 if left or not self.targets or any(map(_open, self._cells)) else 0

    @property
    def _cells(self) -> Iterator[Cell]:
        return (cell for target in self.targets for cell in target.cells if cell is not None)

    def document(self) -> Json:
        """Return what ``status --json`` prints (DESIGN 4)."""
        return {
            "schema_version": 1,
            "at": self.at.isoformat(),
            "verdict": self.verdict[0],
            "needs": [_need(need) for need in self.needs],
            "targets": [self._target(target) for target in self.targets],
            "next": [
                {
                    "job": coming.job,
                    "at": coming.at.isoformat() if coming.at else None,
                    "targets": list(coming.targets),
                    "waiting": coming.waiting,
                }
                for coming in self.coming
            ],
        }

    def _target(self, target: TargetLine) -> Json:
        document: Json = {
            "target": target.name,
            "engine": target.engine,
            "verdict": target.verdict,
            "jobs": [_cell(cell) for cell in target.cells if cell is not None],
            "findings": dict(target.findings),
            "pending": target.pending,
        }
        if target.notes:
            document["notes"] = list(target.notes)
        document["restore"] = target.restore.document(self.at)
        if target.restore.at is not None:
            document["backup_age_seconds"] = round((self.at - target.restore.at).total_seconds())
        if target.restore.seconds is not None:
            document["restore_seconds"] = round(target.restore.seconds, 1)
        if target.headroom is not None:
            document["headroom_days"] = round((target.headroom[0] - self.at) / timedelta(days=1), 1)
        return document


def _open(cell: Cell) -> bool:
    """Return whether nothing, or nothing new, is known."""
    return cell.overdue or (cell.status in (NEVER, NOT_FINISHED) and not cell.by_hand)


def _need(need: Need) -> Json:
    document: Json = {"kind": need.kind, "title": need.title, "details": list(need.details)}
    document |= {"targets": list(need.targets), "runs": dict(need.runs)}
    return document | ({"plan_id": need.plan_id} if need.plan_id else {})


def _cell(cell: Cell) -> Json:
    return {
        "job": cell.job,
        "status": cell.status,
        "finished_at": cell.finished_at.isoformat() if cell.finished_at else None,
        "age_seconds": round(cell.age.total_seconds()) if cell.age is not None else None,
        "overdue": cell.overdue,
        "pace": cell.pace.value,
        "run_id": cell.run_id or None,
    }


def view(facts: Facts) -> FleetView:
    """Return what is known of the fleet as people read it."""
    known = cells(facts)
    wanted = tuple(needs(facts, known))
    coming = tuple(fleet_coming.coming(facts))
    open_, said = _sorted(facts), [entry for entry in facts.issues if entry.acknowledged]
    notable = [entry for entry in open_ if entry.issue.severity is not Severity.INFO]
    whole = next((pause.text for pause in facts.pauses if pause.target is None), "")
    return FleetView(
        at=facts.now,
        verdict=sentence(facts, known, wanted, coming),
        needs=wanted,
        jobs=tuple(row.name for row in facts.jobs if any(row.name in t.jobs for t in facts.targets)),
        targets=tuple(_line(facts, target, known, wanted) for target in facts.targets),
        new=tuple(entry for entry in notable if _is_new(entry, facts.now)),
        standing=tuple(entry for entry in notable if not _is_new(entry, facts.now)),
        minor=tuple(entry for entry in open_ if entry.issue.severity is Severity.INFO),
        acknowledged=tuple(said),
        coming=coming,
        paused=whole,
        hidden=facts.hidden,
    )


def _sorted(facts: Facts) -> list[OpenIssue]:
    """Return what is open and not acknowledged, the gravest first, then the newest."""
    found = [entry for entry in facts.issues if not entry.acknowledged]
    return sorted(found, key=lambda e: (-e.issue.severity.rank, facts.now - e.issue.first_seen, e.issue.target))


def _is_new(entry: OpenIssue, now: datetime) -> bool:
    return now - entry.issue.first_seen < NEW


# -- one target ---------------------------------------------------------------------------------------------------


def _line(facts: Facts, target: Declared, known: Mapping[tuple[str, str], Cell], wanted: Iterable[Need]) -> TargetLine:
    jobs = [row.name for row in facts.jobs if any(row.name in t.jobs for t in facts.targets)]
    mine = [known.get((target.name, job)) for job in jobs]
    open_ = [e.issue for e in facts.issues if e.issue.target == target.name and not e.acknowledged]
    counts = Counter(issue.severity for issue in open_)
    pending = [p for p in facts.pending if p.plan.target == target.name and p.state is not ApprovalState.GRANTED]
    kinds = {need.kind for need in wanted if target.name in need.targets}
    return TargetLine(
        name=target.name,
        engine=target.engine,
        verdict=_how_it_is(kinds, [cell for cell in mine if cell is not None]),
        cells=tuple(mine),
        notes=tuple(_notes(facts, target)),
        findings={s.value: counts[s] for s in reversed(Severity) if counts[s]},
        pending=len(pending),
        headroom=_headroom(facts, target.name),
        restore=restore(
            target.name,
            target.backup,
            [b for b in facts.backups if b.target == target.name],
            facts.now,
            facts.unseen,
            facts.here.get(target.name, Here()),
        ),
    )


def _how_it_is(kinds: set[str], mine: Sequence[Cell]) -> str:
    if kinds & {"trouble", "stopped"}:
        return "bad"
    if "incomplete" in kinds:
        return "incomplete"
    if any(map(_open, mine)):
        return "unknown"
    return "waiting" if "approval" in kinds else "well"


def _notes(facts: Facts, target: Declared) -> Iterable[str]:
    for pause in facts.pauses:
        if pause.target == target.name:
            why = f": {pause.reason}" if pause.reason else ""
            yield f"paused by {pause.actor} since {stamp(pause.paused_at)}{why}"
    if target.observed:
        changed = facts.changed.get(target.name)
        last = f"nothing was changed since {stamp(changed)}" if changed else "nothing was ever changed"
        yield f"only observed: the fleet file says mode: observe; {last}"


def _headroom(facts: Facts, target: str) -> tuple[datetime, str] | None:
    """Return when the first table of a target runs out of partitions, by what was measured last."""
    ends: list[tuple[datetime, str]] = []
    for look in facts.looks:
        if look.target == target and look.headroom:
            ends += [(end, subject) for subject, values in look.headroom.items() if (end := _end(values)) is not None]
    return min(ends, default=None)


def _end(values: Any) -> datetime | None:
    """Return the end of the last partition as a look has written it down; ``None``: it says none."""
    try:
        moment = datetime.fromisoformat(values["until"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
