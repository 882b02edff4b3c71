"""Verifying backups: the step after a backup was taken, and a person's wish later; nothing of the source is locked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from upkeep import engines
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs.backup import decide, marks, publish
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Bench, Copier
from upkeep.jobs.backup.job import stands
from upkeep.jobs.backup.verify import Verdict, verify
from upkeep.model import Artefact, Backup, BackupState, Outcome
from upkeep.run import lease

if TYPE_CHECKING:
    from upkeep.ledger import Ledger

WAIT_SECONDS: Final = 4 * 3600.0
"""How long a proof waits for another one of the same database."""
PROVEN: Final = frozenset({"restored", "compared"})
"""Levels that make a backup verified."""


def copier(engine: str) -> Copier[Any]:
    """Return an engine's way with backups. Raises `ConfigurationError` where there is none."""
    try:
        return cast("Copier[Any]", engines.room(engine, "backup").COPIER)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"backups of {engine} are not available") from error


def due(backups: list[Backup], policy: BackupPolicy, now: datetime) -> tuple[Backup, bool] | None:
    """Return the backup that is to be proven now, and whether it is restored for that, or only read."""
    newest = next((b for b in backups if stands(b.artefact) is not None), None)
    if newest is None or newest.artefact.state != "unverified":
        return None
    known = [
        {
            "state": b.artefact.state,
            "verified_at": b.artefact.verified_at,
            "restore_seconds": b.artefact.restore_seconds,
        }
        for b in backups
    ]
    restore = decide.verification(policy, known, now)
    if restore is None or (not restore and newest.artefact.level is not None):
        return None
    return newest, restore


def verify_due(
    ledger: Ledger, control: Address, run_id: str, target: Target, bench: Bench, *, now: Callable[[], datetime]
) -> Verdict | None:
    """Prove the target's newest backup as its policy wants, and write down what was found; ``None``: nothing is due.

    Its lease excludes other proofs of the same database and nothing else; by it others see that it is alive.
    """
    policy = BackupPolicy.of(target)
    if policy is None or policy.external:
        return None
    found = due(ledger.backups(target.name), policy, now())
    if found is None:
        return None
    backup, restore = found
    with lease.exclusive(
        control,
        backup.artefact.identity,
        name="verify",
        owner=f"{run_id} ({target.name})",
        deadline_seconds=WAIT_SECONDS,
        waiting=bench.tell,
        cancelled=bench.checkpoint,
    ):
        verdict, artefact = prove(target.engine, backup.artefact, bench, restore=restore, target=target, now=now)
    ledger.keep_backup(run_id, target.name, artefact)
    ledger.save_findings(run_id, target.name, list(verdict.findings))
    for outcome in ledger.outcomes(run_id, target.name):
        # this run has taken it: its report says how it is
        if any(made.id == artefact.id for made in outcome.artefacts):
            ledger.record(run_id, target.name, _proven(outcome, artefact, verdict))
    return verdict


def _proven(outcome: Outcome, artefact: Artefact, verdict: Verdict) -> Outcome:
    """Return the outcome of the taking with what was found out of the backup since."""
    made = tuple(artefact if one.id == artefact.id else one for one in outcome.artefacts)
    took = f" in {verdict.restore_seconds:,.1f} s" if verdict.restore_seconds is not None else ""
    said = f"differs in {verdict.wrong}" if verdict.wrong else f"{verdict.level or 'not proven'}{took}"
    return outcome.model_copy(update={"artefacts": made, "message": f"{outcome.message}; {said}"})


def prove(
    engine: str,
    artefact: Artefact,
    bench: Bench,
    *,
    restore: bool = True,
    target: Target | None = None,
    now: Callable[[], datetime],
) -> tuple[Verdict, Artefact]:
    """Prove one backup; returns what was found, and the backup as it stands since then.

    Parameters
    ----------
    target
        By whose policies it is written down what the backup may authorise.
    """
    place = Path(artefact.location)
    with publish.using(place):
        manifest, sha256 = manifests.read(place)
        if sha256 != artefact.sha256:
            raise ConfigurationError(f"{place} holds another backup than the ledger knows there")
        verdict = verify(copier(engine), place, manifest, bench, restore=restore, target=target)
        kept = artefact.marks if verdict.marks is None else marks.write(place, verdict.marks)
    state: BackupState = artefact.state
    verified_at = artefact.verified_at
    if verdict.wrong:
        state, verified_at = "failed", None
    elif verdict.level in PROVEN:
        state, verified_at = "verified", now()
    update = {
        "state": state,
        "verified_at": verified_at,
        "level": verdict.level or artefact.level,
        "restore_seconds": verdict.restore_seconds or artefact.restore_seconds,
        "differences": verdict.wrong,
        "marks": kept,
        "why": "" if verdict.level in PROVEN else "; ".join(f.summary for f in verdict.findings[:1]),
    }
    return verdict, artefact.model_copy(update=update)
