"""Whether a verified backup holds what an action would take away, as it is now.

A row is in the backup if the transaction that wrote it ended before the backup's snapshot began: its ``xmin`` is older
than the snapshot's (`Doomed.seen`). Rows go by a statement that says so itself, and what is newer stays for a later
backup; a whole table is looked through before it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import psycopg
from psycopg import sql

from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.marks import MOST_COUNTED, left_behind
from upkeep.jobs.contract import Work
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.postgres import names
from upkeep.postgres.data_retention import counting
from upkeep.postgres.data_retention.doomed import Doomed, not_newer
from upkeep.postgres.session import PostgresSession

LOOK_TIMEOUT: Final = "10min"
"""For reading a whole table that is to go."""


def uncovered(work: Work[PostgresSession]) -> str | None:
    """Return why `Work.backup` does not hold all that the action would take away."""
    backup = work.backup
    if backup is None or "xmin" not in backup.position:
        return "the backup does not say which transactions it holds"
    args = work.action.args
    whole = "oid" in args
    oids = [args["oid"]] if whole else [leaf["oid"] for leaf in args.get("leaves", ())]
    for oid in oids:
        for leaf in work.session.rows("data_retention/quality_leaves", {"oid": oid}):
            missing = _missing(backup, names.display(leaf["schema"], leaf["name"]))
            if missing is not None:
                return missing
            if whole and _has_newer(work.session, sql.Identifier(leaf["schema"], leaf["name"]), backup):
                return (
                    f"{names.display(leaf['schema'], leaf['name'])} holds rows that were written after backup "
                    f"{backup.id} of {backup.snapshot_at:%Y-%m-%d %H:%M} UTC; the next one will hold them"
                )
    return None


def seen(work: Work[PostgresSession]) -> str | None:
    """Return the oldest transaction whose rows may not go: not looked at by the owner, or not in the backup."""
    limits = [work.seen] if work.seen is not None else []
    if work.backup is not None:
        limits.append(str(work.backup.position["xmin"]))
    return min(limits, key=int, default=None)


def tell(work: Work[PostgresSession], swept: Sequence[Doomed], done: DoneSoFar) -> None:
    """Say how many rows are due and stay, because the backup does not hold them."""
    if work.backup is None:
        return
    newer, left = not_newer(str(work.backup.position["xmin"])), 0
    for doomed in swept:
        parts = (doomed.table, replace(doomed, seen=None).predicate, newer)
        late = sql.SQL("{} as t where {} and not ({})").format(*parts)
        found = counting.count(work.session, late, MOST_COUNTED - left)
        if found is None:
            done.message = "whether due rows stay that the backup does not hold could not be counted in time"
            return
        left += found
        if left >= MOST_COUNTED:
            break
    if left:
        done.message = left_behind(left, "rows", work.backup, ())
        done.evidence["rows_uncovered"] = left


def _missing(backup: Manifest, name: str) -> str | None:
    held = backup.object(name)
    if held is None:
        return f"{name} is not in backup {backup.id}: it is younger, or was called otherwise"
    return None if held.complete else f"backup {backup.id} holds only a part of {name}"


def _has_newer(session: PostgresSession, table: sql.Identifier, backup: Manifest) -> bool:
    """Return whether a table has rows that the backup has not; what could not be read to its end, has."""
    old = not_newer(str(backup.position["xmin"]))
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "2s", "statement": LOOK_TIMEOUT})
            statement = session.statement("data_retention/newer", table=table, old=old)
            return bool(session.execute(statement).fetchall()[0]["found"])
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return True
