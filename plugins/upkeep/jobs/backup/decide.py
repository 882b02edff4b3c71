"""Which backup is due, and which ones may go. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.fleet.values import elapsed
from upkeep.jobs.backup.request import BackupRequest
from upkeep.model import Action, Finding, Observation, Plan, ReasonCode, Severity

TAKE: Final = "take_backup"
EXPIRE: Final = "expire_backup"
SPACE: Final = "backup_space"
AGAIN: Final = timedelta(hours=12)
"""A backup so young is tonight's: a cleared task or a second start takes no other."""
ROOM: Final = 1.3
"""So many times the last backup's size must be free."""


def plan(observation: Observation, target: Target, request: Any) -> Plan:
    """Decide which backup is due, and which ones may go."""
    policy = BackupPolicy.of(target)
    if policy is None or policy.external:
        return Plan.make(observation, (), ())
    (about,) = observation.frames["survey"]
    kept = observation.frames["backups"]
    findings: list[Finding] = []
    actions = [*_taken(observation, target, policy, request), *_expired(observation, target, policy)]
    if about["free"] is not None and about["free"] < about["wanted"]:
        findings.append(_no_space(target, policy, about))
    findings += [_gone(row) for row in kept if not row["is_there"]]
    return Plan.make(observation, tuple(actions), tuple(findings))


def _taken(observation: Observation, target: Target, policy: BackupPolicy, request: Any) -> Iterator[Action]:
    (about,) = observation.frames["survey"]
    now, there = datetime.fromisoformat(about["now"]), [r for r in observation.frames["backups"] if r["is_there"]]
    mine = [row for row in there if row["identity"] == about["identity"]]
    newest = max((datetime.fromisoformat(row["snapshot_at"]) for row in mine), default=None)
    asked = isinstance(request, BackupRequest) and request.now
    if newest is not None and now - newest < AGAIN and not asked:
        return
    why = "none is there yet" if newest is None else f"the newest is of {newest:%Y-%m-%d %H:%M} UTC"
    blocked = None
    refusals = observation.frames["refusals"]
    if refusals:
        text = "; ".join(f"{row['why']} ({row['remedy']})" for row in refusals)
        blocked = (ReasonCode.NOT_SUPPORTED, text)
    yield Action.make(
        kind=TAKE,
        subject=target.name,
        args={"into": policy.into, "identity": about["identity"], **({"now": True} if asked else {})},
        detail=f"{about['tool']} of {about['database']} into {policy.into}",
        statements=(about["command"],),
        reason=f"{why}; {', '.join(about['lacks']) or 'nothing'} is not in it",
        destructive=False,
        precondition="no other backup of the database is being taken",
        lock=about["lock"],
        bytes=about["bytes"],
        blocked=blocked,
    )


def _expired(observation: Observation, target: Target, policy: BackupPolicy) -> Iterator[Action]:
    """Yield the taking away of what is older than it is kept, oldest first, while enough verified ones stay."""
    (about,) = observation.frames["survey"]
    now = datetime.fromisoformat(about["now"])
    there = sorted((r for r in observation.frames["backups"] if r["is_there"]), key=lambda row: str(row["snapshot_at"]))
    verified = sum(1 for row in there if row["state"] == "verified")
    limit = now - elapsed(policy.keep)
    for row in there:
        used = row["used_at"] is not None and datetime.fromisoformat(row["used_at"]) > limit
        if datetime.fromisoformat(row["snapshot_at"]) >= limit or used or row is there[-1]:
            continue
        if row["state"] == "verified":
            if verified <= policy.at_least:
                continue
            verified -= 1
        yield Action.make(
            kind=EXPIRE,
            subject=target.name,
            args={"id": row["id"], "location": row["location"], "sha256": row["sha256"]},
            detail=f"{row['id']} of {row['snapshot_at'][:16]}",
            statements=(f"rm -r {row['location']}",),
            reason=f"it is older than {policy.keep}, and {policy.at_least} verified ones stay",
            destructive=False,
            precondition="its manifest is the one that the ledger knows, and nobody uses it",
            bytes=row["bytes"],
        )


def _no_space(target: Target, policy: BackupPolicy, about: dict[str, Any]) -> Finding:
    return Finding.of(
        SPACE,
        target.name,
        Severity.ERROR,
        f"{about['free']:,} bytes are free in {policy.into}, a backup needs some {about['wanted']:,}",
        "make room, keep fewer (backup: keep, at_least), or name another directory",
        evidence={"free": about["free"], "wanted": about["wanted"], "into": policy.into},
    )


def _gone(row: dict[str, Any]) -> Finding:
    return Finding.of(
        "backup_gone",
        row["id"],
        Severity.WARNING,
        f"the backup of {row['snapshot_at'][:16]} UTC is no longer (whole) in {row['location']}",
        "look who removed it; it authorises nothing any more",
        evidence={"location": row["location"], "state": row["state"]},
    )


def verification(policy: BackupPolicy, backups: Sequence[dict[str, Any]], now: datetime) -> bool | None:
    """Return whether the newest backup is to be restored tonight (``False``: only read); ``None``: neither.

    Parameters
    ----------
    backups
        ``state``, ``verified_at``, ``restore_seconds`` of all that are known, newest first.
    """
    if policy.verify == "never":
        return None
    if policy.verify == "always":
        return True
    proven = [b for b in backups if b["verified_at"] is not None]
    slow = policy.verify == "weekly" or any((b["restore_seconds"] or 0) > _LONG for b in proven[:1])
    return not slow or not any(now - b["verified_at"] < _WEEK for b in proven)


_LONG: Final = 2 * 3600
_WEEK: Final = timedelta(days=6, hours=12)
