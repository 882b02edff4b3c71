"""What is known of the whole fleet now, read in a few statements: what `upkeep.run.fleet_view` makes a page of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from upkeep.fleet import Fleet, Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs import rooms, spec
from upkeep.model import Backup, TargetStatus
from upkeep.run import fleet_here, settling
from upkeep.run.coverage import FLEET
from upkeep.run.fleet_restores import Here, Wanted

if TYPE_CHECKING:
    from upkeep.ledger import Ending, LastLook, Ledger, OpenIssue, Pause, PendingPlan, Trouble

BAD = frozenset({TargetStatus.FAILED, TargetStatus.UNREACHABLE, TargetStatus.UNHEALTHY, TargetStatus.PARTIAL})
"""How a target ends that somebody has to look at."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A target of the fleet file, and the jobs for which it declares something."""

    name: str
    engine: str
    observed: bool
    jobs: tuple[str, ...]
    backup: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True, slots=True)
class DagFacts:
    """What Airflow knows of a job's DAG; ``next_at``: when it runs next, ``None`` when it does not."""

    paused: bool
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the fleet.

    Attributes
    ----------
    hidden
        Jobs of which the reader may see nothing.
    ever
        When a job last began anything on a target that it has not looked at lately.
    changed
        When something was last done on targets that are only observed.
    dags
        Of each job that has one; ``None`` outside Airflow.
    links
        Plan id → where to answer.
    backups, unseen
        Those that have not expired, newest first; ids of those that are not where they were published, as far as this
        machine sees that directory.
    here
        By target, what this machine lacks for a restore.
    """

    now: datetime
    targets: tuple[Declared, ...]
    jobs: tuple[spec.JobSpec, ...]
    hidden: int = 0
    endings: tuple[Ending, ...] = ()
    looks: tuple[LastLook, ...] = ()
    ever: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    issues: tuple[OpenIssue, ...] = ()
    pending: tuple[PendingPlan, ...] = ()
    pauses: tuple[Pause, ...] = ()
    changed: Mapping[str, datetime] = field(default_factory=dict)
    dags: Mapping[str, DagFacts] | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    backups: tuple[Backup, ...] = ()
    unseen: tuple[str, ...] = ()
    here: Mapping[str, Here] = field(default_factory=dict)


KEY: Final = "backup"
"""The key of the fleet file: written as false it says that none are wanted."""


def declared(fleet: Fleet, jobs: Collection[str]) -> tuple[Declared, ...]:
    """Return the targets that declare something for one of the jobs, in the order of the file."""
    found = (
        Declared(
            name,
            target.engine,
            target.mode == "observe",
            tuple(job for job in jobs if next(rooms.policies(target, job), None) is not None),
            _wanted(target),
        )
        for name, target in fleet.targets.items()
    )
    return tuple(target for target in found if target.jobs)


def _wanted(target: Target) -> Wanted:
    policy = BackupPolicy.of(target)
    if policy is None:
        return Wanted(refused=target.refuses(KEY))
    return Wanted(declared=True, external=policy.external)


def gather(ledger: Ledger, fleet: Fleet, jobs: Collection[str]) -> Facts:
    """Read what is known.

    Parameters
    ----------
    jobs
        Those that the reader may see.
    """
    visible = [name for name in spec.JOBS if name in jobs]
    targets = declared(fleet, visible)
    names = [target.name for target in targets]
    pairs = [(target.name, job) for target in targets for job in target.jobs]
    wanted = set(pairs)
    about = wanted | {(FLEET, job) for target in targets for job in target.jobs}
    endings = ledger.endings(
        names, visible, elsewhere=settling.ELSEWHERE, present=settling.PRESENT, interval=settling.INTERVAL
    )
    looks = ledger.newest_looks(pairs)
    backups = [backup for backup in ledger.backups() if backup.target in set(names)]
    unseen, here = fleet_here.look(backups, names)
    seen = {(e.target, e.job) for e in endings if not e.approved} | {(look.target, look.job) for look in looks}
    return Facts(
        now=ledger.now(),
        targets=targets,
        jobs=tuple(spec.JOBS[name] for name in visible),
        hidden=len(spec.JOBS) - len(visible),
        endings=tuple(e for e in endings if (e.target, e.job) in wanted),
        looks=tuple(looks),
        ever=ledger.ever([pair for pair in pairs if pair not in seen]),
        troubles=tuple(ledger.troubles([(e.run_id, e.target) for e in endings if e.status in BAD or e.status is None])),
        issues=tuple(i for i in ledger.issues([*names, FLEET]) if (i.issue.target, i.issue.job) in about),
        pending=tuple(p for p in ledger.pending() if (p.plan.target, p.plan.job) in wanted),
        pauses=tuple(p for p in ledger.pauses() if p.target is None or p.target in names) if names else (),
        backups=tuple(backups),
        unseen=unseen,
        here=here,
        changed=ledger.last_changes([target.name for target in targets if target.observed]),
    )
