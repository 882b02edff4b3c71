"""What the ledger remembers that a plan needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upkeep.model.value import Json


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
    """

    detached: Mapping[str, Json] = field(default_factory=dict)
    intents: Sequence[Json] = ()
    locations: Mapping[str, str] = field(default_factory=dict)
    expiries: Mapping[str, Json] = field(default_factory=dict)
    looks: Sequence[Json] = ()
    ages: Sequence[Json] = ()
    endings: Sequence[Json] = ()
