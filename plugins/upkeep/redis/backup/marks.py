"""Marks of a restored server: of streams whose entries may only go with a backup, hour by hour."""

from __future__ import annotations

from dataclasses import replace

from upkeep.engines import Address
from upkeep.fleet import Target
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.marks import Marks, reach
from upkeep.model.intervals import shift
from upkeep.redis import marking, streams
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession


def marks(address: Address, manifest: Manifest, target: Target, bench: Bench) -> Marks:
    """Return what each such stream held: how many were ever added, and the hours that may become due."""
    wanted = list(target.declared(["retain"]))
    if all(reach(target.streams[pattern].retain) is None for pattern in wanted):
        return {}
    database = manifest.identity.rpartition(":")[2]
    session = RedisSession(replace(address, database=database), "upkeep verify")
    try:
        found = {}
        for row in streams.declared(session, wanted):
            retain = target.streams[row["pattern"]].retain
            ahead = reach(retain)
            if row["kind"] == "stream" and ahead is not None:
                until = EntryId.first_at(shift(manifest.snapshot_at + ahead, retain.for_, retain.zone, -1))
                held = marking.hours(session, row["name"], until, bench.checkpoint)
                found[row["name"]] = {"added": row["added"], "hours": {str(at): str(mark) for at, mark in held}}
        return found
    finally:
        session.close()
