"""Health of a server: what is alike on all engines.

A room measures (`upkeep.jobs.checks`); what the ledger knows of the target is judged here, for all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

from upkeep.checkfiles import Check
from upkeep.errors import UnreachableError
from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.fleet.policies.health import HealthPolicy
from upkeep.jobs import checks, spec
from upkeep.jobs.checks import Looked, Seen
from upkeep.jobs.contract import Ask
from upkeep.jobs.errors import OverloadedError
from upkeep.model import Finding, Json, Memory, Observation, Plan, Request, TargetStatus

NAME: Final = "health_check"
REMEMBERS: Final = frozenset({"looks", "ages", "backups"})
JOB_AGE: Final = "job_age"
BACKUP_AGE: Final = "backup_age"
BACKUP_KEY: Final = "backup"
REACHABLE: Final = "reachable"
CONNECTIONS: Final = "connections_used"


def wanted(target: Target) -> dict[str, Check]:
    """Return the checks to make on a target, with the thresholds that its owner wants."""
    return (HealthPolicy.of(target) or HealthPolicy()).checks(target.engine)


def measured(target: Target) -> list[str]:
    """Return the names of the checks that a room makes itself."""
    return [name for name in wanted(target) if name not in (REACHABLE, JOB_AGE, BACKUP_AGE)]


def answer(ask: Ask[Any], seen: Iterable[Seen], looked: Iterable[Looked]) -> Observation:
    """Return what a room has measured as the observation, with what the ledger knows of the target."""
    known = wanted(ask.target)
    always = [Seen(check=REACHABLE, subject=ask.target.name, value=0), *_ages(ask.target, ask.memory)]
    always += _backup_age(ask)
    also = [Looked(check=name) for name in (REACHABLE, JOB_AGE, BACKUP_AGE)]
    all_looked = [look for look in (*also, *looked) if look.check in known]
    return ask.answer(checks.frames([*always, *seen], all_looked, ask.memory.looks))


def decide(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what is found: nothing is ever done."""
    return Plan.make(observation, (), checks.judge(observation, wanted(target)))


def blind(target: Target, error: Exception, looks: Sequence[Json]) -> list[Finding]:
    """Return what it means that a target could not be looked at: that it is unreachable, or full.

    Parameters
    ----------
    looks
        The looks before this one, newest first.
    """
    known = wanted(target)
    if not isinstance(error, UnreachableError):
        return []
    if isinstance(error, OverloadedError) and CONNECTIONS in known:  # it answers: it takes no more connections
        row = Seen(check=CONNECTIONS, value=100.0, evidence={"used": "all", "limit": "all", "turned_away": "all"})
        return [checks.judge_alone(row, known[CONNECTIONS])]
    if REACHABLE not in known:
        return []
    before = itertools.takewhile(lambda look: look["status"] == TargetStatus.UNREACHABLE.value, looks)
    times = 1 + len([*before])
    return [checks.judge_alone(Seen(check=REACHABLE, subject=target.name, value=times), known[REACHABLE])]


def _backup_age(ask: Ask[Any]) -> list[Seen]:
    """Return how old the newest backup is that counts, from its snapshot, in intervals of its verification.

    Where nothing is declared, that is said; ``backup: external`` or ``false`` says that it is meant.
    """
    policy = BackupPolicy.of(ask.target)
    if policy is None and not ask.target.refuses(BACKUP_KEY):
        text = "Upkeep takes no backups here: the fleet file has no backup: key"
        return [Seen(check=BACKUP_AGE, subject=ask.target.name, state="not declared", evidence={"ago": text})]
    if policy is None or policy.external:
        return []
    days = policy.proven_every_days
    word = "verified" if days is not None else "published"
    counted = [b for b in ask.memory.backups if days is None or b.artefact.state == "verified"]
    if counted:
        at = counted[0].artefact.snapshot_at
        seconds, ago = (
            (ask.server.clock - at).total_seconds(),
            f"the newest {word} backup is of {at:%Y-%m-%d %H:%M} UTC",
        )
    else:
        seconds = next((row["known"] or 0.0 for row in ask.memory.ages), 0.0)
        ago = f"no {word} backup is there"
    value = seconds / 86400 / (days or 1)
    ago = f"{ago}: {value:.1f} intervals of its verification"
    evidence = {"seconds": round(seconds), "backups": len(ask.memory.backups), "ago": ago}
    return [Seen(check=BACKUP_AGE, subject=ask.target.name, value=value, evidence=evidence)]


def _ages(target: Target, memory: Memory) -> list[Seen]:
    """Return how long ago each job that is declared came to its end, in intervals of its schedule."""
    known = {row["job"]: row for row in memory.ages}
    found = []
    for name, row in spec.JOBS.items():
        interval, about = row.interval, known.get(name, known.get("", {}))
        declared = target.engine in row.engines and any(target.declared(row.policy_keys))
        if name == NAME or interval is None or not declared:
            continue
        seconds = about.get("seconds") or about.get("known") or 0.0  # never: as old as the target is to us
        evidence = {"seconds": round(seconds), "interval": interval.total_seconds(), "never": not about.get("seconds")}
        ago = "has never ended" if evidence["never"] else f"last ended {seconds / 3600:.1f} hours ago"
        value = seconds / interval.total_seconds()
        found.append(Seen(check=JOB_AGE, subject=name, value=value, evidence={**evidence, "ago": ago}))
    return found
