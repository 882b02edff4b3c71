"""The job ``backup``, made of what an engine's room offers: everything but the copying itself is alike."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from upkeep.engines import Session
from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.fleet.values import elapsed
from upkeep.jobs.backup import decide, publish
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Bench, Copier, Order
from upkeep.jobs.backup.manifest import DATA, Manifest
from upkeep.jobs.contract import Ask, Job, Work
from upkeep.jobs.errors import ActionError, OverloadedError, RefusedError, StateChangedError
from upkeep.jobs.frames import outcome_row
from upkeep.jobs.outcomes import DoneSoFar, carry_out
from upkeep.model import Action, Artefact, Backup, Observation, Outcome, OutcomeStatus, Plan

S = TypeVar("S", bound=Session)
_FIRST: Final = 0.5
"""A first backup is taken for so large a part of the database: text that is compressed."""


def job(copier: Copier[S]) -> Job[S]:
    """Return the job on the engine that the copier is of."""
    return Job(
        observe=partial(_observe, copier),
        decide=decide.plan,
        gates=_Gates(),
        apply=partial(_apply, copier),
        undo=_undo,
        remembers=frozenset({"backups"}),
    )


def policy_of(target: Target) -> BackupPolicy:
    """Return what is declared. Raises `ConfigurationError` when Upkeep takes no backups of the target."""
    policy = BackupPolicy.of(target)
    if policy is None or policy.external:
        raise ConfigurationError(f"Upkeep takes no backups of '{target.name}'; write backup: {{into: DIRECTORY}}")
    return policy


def _observe(copier: Copier[S], ask: Ask[S]) -> Observation:
    policy = BackupPolicy.of(ask.target)
    if policy is None or policy.external:
        return ask.answer({"survey": [], "refusals": [], "backups": []})
    survey = copier.survey(ask)
    known = [_row(backup) for backup in ask.memory.backups]
    last = next((row["bytes"] for row in known if row["is_there"]), None)
    place = publish.home(policy.into or "", ask.target.name)
    free, trouble = _free(place)
    refusals = [*survey.refusals, *trouble]
    about = {
        "subject": ask.target.name,
        "identity": ask.session.identity,
        "database": survey.database,
        "tool": copier.tool,
        "command": survey.command,
        "lock": survey.lock,
        "lacks": list(survey.lacks),
        "bytes": survey.bytes,
        "free": free,
        "wanted": round(decide.ROOM * last) if last is not None else round(_FIRST * survey.bytes),
        "can_be_taken": not refusals,
        # ages of backups are of the real clock, whatever instant a run works on
        "now": ask.server.clock.isoformat(),
    }
    rows = [{"subject": ask.target.name, "why": why, "remedy": remedy} for why, remedy in refusals]
    return ask.answer({"survey": [about], "refusals": rows, "backups": known})


def _row(backup: Backup) -> dict[str, Any]:
    """Return a backup that the ledger knows, and whether it still lies there whole."""
    of = backup.artefact
    return {
        **of.model_dump(mode="json"),
        "subject": backup.target,
        "used_at": backup.used_at.isoformat() if backup.used_at else None,
        "is_there": stands(of) is not None,
    }


def stands(artefact: Artefact) -> Manifest | None:
    """Return the manifest of a backup that still lies where it was published, whole by its files' sizes."""
    place = Path(artefact.location)
    try:
        manifest, sha256 = manifests.read(place)
    except ConfigurationError:
        return None
    return manifest if sha256 == artefact.sha256 and not manifests.missing(place, manifest) else None


def _free(place: Path) -> tuple[int | None, list[tuple[str, str]]]:
    """Return how much room there is for a backup, and what is in the way of writing there."""
    there = next(path for path in (place, *place.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return None, [(f"{there} is no directory that this account may write into", "create it, or chown it")]
    return shutil.disk_usage(there).free, []


def _apply(copier: Copier[S], work: Work[S]) -> Outcome:
    do = partial(_take, copier, work) if work.action.kind == decide.TAKE else partial(_expire, work)
    return carry_out(work.action, do, partial(_classify, copier), note=work.note)


def _classify(copier: Copier[S], error: Exception) -> ActionError | None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OverloadedError("the destination is full: nothing was published; make room, or keep fewer backups")
    if isinstance(error, OSError):
        return RefusedError(f"the destination cannot be written: {error.strerror}")
    return copier.classify(error)


def _take(copier: Copier[S], work: Work[S], done: DoneSoFar) -> None:
    policy, name, target = policy_of(work.target), uuid.uuid4().hex[:12], work.target
    into: str = work.action.args["into"]
    if policy.into != into:
        raise StateChangedError(f"backups go into {policy.into} by now: plan again")
    identity = work.session.identity
    # By a run that was killed between the renaming and the ledger, or that was faster: nobody takes another for that,
    # and what nobody has written down would never be verified, nor expire.
    others = _unknown(work, into, identity)
    fresh = others and work.session.now() - others[0].manifest.snapshot_at < decide.AGAIN
    if fresh and not work.action.args.get("now"):
        done.artefacts = tuple(map(artefact, others))
        done.bytes, done.message = others[0].manifest.size, f"another run has published {others[0].place}"
        return
    started = time.monotonic()
    bench = Bench(work.checkpoint, work.checkpoint, elapsed(policy.longest).total_seconds())
    with publish.making(into, target.name, identity, name) as place:
        order = Order(
            work=work,
            policy=policy,
            place=place / DATA,
            bench=bench,
            compared=_compared(publish.home(into, target.name)),
        )
        taken = copier.take(order)
        seconds = time.monotonic() - started
        work.checkpoint("bringing it to the disk")
        of = (name, target.name, target.engine, identity)
        made = publish.publish(place, of, taken, copier.instructions, work.checkpoint)
    done.bytes = made.manifest.size
    done.rows = sum(thing.rows or 0 for thing in made.manifest.objects)
    done.artefacts = (artefact(made).model_copy(update={"take_seconds": seconds}), *map(artefact, others))
    done.evidence = {"objects": len(made.manifest.objects), "lacks": list(made.manifest.lacks)}
    done.message = f"published in {made.place}"


def _unknown(work: Work[S], into: str, identity: str) -> list[publish.Found]:
    """Return the published backups of the database that the plan did not know, newest first."""
    known = {row["id"] for row in work.observation.frames["backups"]}
    there = publish.found(publish.home(into, work.target.name))
    return [one for one in there if one.manifest.id not in known and one.manifest.identity == identity]


def artefact(found: publish.Found) -> Artefact:
    """Return a published backup as the ledger keeps it; nothing of it is verified yet."""
    manifest = found.manifest
    return Artefact(
        id=manifest.id,
        location=str(found.place),
        sha256=found.sha256,
        bytes=manifest.size,
        snapshot_at=manifest.snapshot_at,
        identity=manifest.identity,
        tool=manifest.tool,
    )


def _compared(home: Path) -> Mapping[str, datetime]:
    """Return when each object was compared last, by the backups that are there."""
    last: dict[str, datetime] = {}
    for one in publish.found(home):
        for thing in one.manifest.objects:
            if thing.checksum is not None:
                last.setdefault(thing.name, one.manifest.snapshot_at)
    return last


def _expire(work: Work[S], done: DoneSoFar) -> None:
    args, place = work.action.args, Path(work.action.args["location"])
    try:
        manifest, sha256 = manifests.read(place)
    except ConfigurationError as error:
        raise StateChangedError(str(error)) from None
    if (manifest.id, manifest.target, sha256) != (args["id"], work.target.name, args["sha256"]):
        raise StateChangedError(f"another backup lies in {place} by now: it is left alone")
    work.checkpoint()
    found = publish.Found(place, manifest, sha256)
    if not publish.remove(place):
        raise StateChangedError("it is being verified or restored right now; the next run tries again")
    done.bytes = manifest.size
    done.artefacts = (artefact(found).model_copy(update={"state": "expired"}),)


def _undo(work: Work[S], _outcome: Outcome) -> Outcome:
    def refuse(_done: DoneSoFar) -> None:
        raise RefusedError("a backup is not taken back: it goes when it is older than it is kept")

    return carry_out(work.action, refuse, lambda _error: None)


class _Gates:
    @staticmethod
    def before(observation: Observation, _target: Target) -> Mapping[str, list[dict[str, Any]]]:
        """Return what is known of the database, and why it could not be backed up."""
        return {"survey": observation.frames["survey"]}

    @staticmethod
    def after(
        observation: Observation, _target: Target, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return what was published, and whether it lies there whole."""
        actions = {a.id: a for a in plan.actions} if plan is not None else {}
        return {"outcomes": list(_rows(observation, actions, outcomes))}


def _rows(
    observation: Observation, actions: Mapping[str, Action], outcomes: Sequence[Outcome]
) -> Iterator[dict[str, Any]]:
    """Yield what became of each action; what is done is there, or gone, as its artefact says."""
    there = {row["id"] for row in observation.frames["backups"] if row["is_there"]}
    for outcome in outcomes:
        right = bool(outcome.artefacts) or outcome.status is not OutcomeStatus.DONE
        for made in outcome.artefacts:
            right = right and (made.id in there) == (made.state != "expired")
        yield {**outcome_row(actions.get(outcome.action_id), outcome), "as_should_be": right}
