"""How each job ended last on each target, for the page of the whole fleet: a few statements, however many targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from upkeep.ledger.base import Part


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended on a target.

    Attributes
    ----------
    approved
        Whether the run carried an approved plan out: then it says nothing about the rest.
    status
        A `TargetStatus` value; ``None``: it has no end.
    run_ended
        Whether the run as a whole has ended.
    """

    target: str
    job: str
    approved: bool
    run_id: str
    status: str | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    run_ended: bool


@dataclass(frozen=True, slots=True)
class LastLook:
    """The newest look at a target; ``headroom``: what it measured of the check ``partition_headroom``, by subject."""

    target: str
    job: str
    at: datetime
    status: str
    run_id: str
    headroom: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What failed in a run on a target.

    Attributes
    ----------
    kind
        ``gate`` or ``action``.
    name
        The gate's stage; the action's kind and subject.
    reason
        An action's reason code.
    number
        Expectations that were not met.
    """

    run_id: str
    target: str
    kind: str
    name: str | None
    message: str | None
    reason: str | None
    number: int


class Overview(Part):
    """The part of the ledger that knows the newest of everything."""

    def now(self) -> datetime:
        """Return the present instant by the ledger's clock."""
        moment: datetime = self._fetch("fleet_now")[0]["now"]
        return moment

    def endings(
        self,
        targets: Sequence[str],
        jobs: Sequence[str],
        *,
        elsewhere: Iterable[str],
        present: timedelta,
        interval: timedelta,
    ) -> list[Ending]:
        """Return how each job ended last on each target in the last 40 days; two rows where an approved plan was done.

        Parameters
        ----------
        elsewhere, present, interval
            Which runs look at how a target is: `upkeep.run.settling`.
        """
        rows = self._fetch(
            "fleet_endings",
            targets=list(targets),
            jobs=list(jobs),
            elsewhere=sorted(elsewhere),
            present=present.total_seconds(),
            interval=interval.total_seconds(),
        )
        return [Ending(**row) for row in rows]

    def newest_looks(self, pairs: Sequence[tuple[str, str]]) -> list[LastLook]:
        """Return the newest look of the last two days at each target by each job, of those there are."""
        targets, jobs = [target for target, _ in pairs], [job for _, job in pairs]
        return [LastLook(**row) for row in self._fetch("fleet_looks", targets=targets, jobs=jobs)]

    def ever(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
        """Return when each job last began anything on each target, however long ago, of those that ever did."""
        if not pairs:
            return {}
        targets, jobs = sorted({target for target, _ in pairs}), sorted({job for _, job in pairs})
        return {(row["target"], row["job"]): row["at"] for row in self._fetch("fleet_ever", targets=targets, jobs=jobs)}

    def troubles(self, runs: Sequence[tuple[str, str]]) -> list[Trouble]:
        """Return what failed in these runs on these targets: pairs of run and target."""
        if not runs:
            return []
        rows = self._fetch("fleet_troubles", runs=[run for run, _ in runs], targets=[target for _, target in runs])
        return [Trouble(**row) for row in rows]

    def last_changes(self, targets: Sequence[str]) -> dict[str, datetime]:
        """Return when something was last done on each of these targets, of those where anything ever was."""
        if not targets:
            return {}
        return {row["target"]: row["at"] for row in self._fetch("fleet_changes", targets=list(targets))}
