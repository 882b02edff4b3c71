"""What the ledger remembers that a plan needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from upkeep.model.artefact import Artefact
from upkeep.model.value import Json


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as the ledger knows it.

    Attributes
    ----------
    used_at
        When it last authorised a deletion.
    run_id
        The run that took it.
    """

    target: str
    artefact: Artefact
    run_id: str
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger remembers that a plan needs.

    Attributes
    ----------
    detached
        Object id (as text) → the evidence recorded when Upkeep detached that partition.
    intents
        Intents without an outcome: what an earlier, killed run had begun. Newest last;
        each the action's JSON with ``run_id`` and ``intended_at``.
    locations
        Archive location → the mark that lay there when rows last went into it.
    expiries
        Collection's uuid → the expiry that Upkeep gave it last: ``kind``, ``seconds``, ``recorded_at``.
    looks
        The last looks of the same job at the target, newest first: ``at`` (ISO), ``status``, ``measured`` (check →
        subject → evidence; empty where nothing could be looked at).
    ages
        Jobs that have looked at or changed the target: ``job``, ``seconds`` since it last ended well (``None``: never),
        ``known`` since how many seconds the ledger knows the target.
    endings
        How the last runs of the jobs that this one waits for ended at the target, newest first: ``job``, ``run_id``,
        ``status``, ``error``, ``at`` (ISO), ``usual_seconds``, ``outcomes`` (rows of ``subject``, ``kind``, ``status``,
        ``reason``, ``message``), ``findings`` (of at least WARNING: ``subject``, ``summary``).
    backups
        The target's backups that have not expired, newest first, and when one last authorised a deletion.
    """

    detached: Mapping[str, Json] = field(default_factory=dict)
    intents: Sequence[Json] = ()
    locations: Mapping[str, str] = field(default_factory=dict)
    expiries: Mapping[str, Json] = field(default_factory=dict)
    looks: Sequence[Json] = ()
    ages: Sequence[Json] = ()
    endings: Sequence[Json] = ()
    backups: Sequence[Backup] = ()
