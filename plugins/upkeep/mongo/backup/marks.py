"""Marks of a restored database: of collections whose documents may only go with a backup, hour by hour of their age."""

from __future__ import annotations

from upkeep.engines import Address
from upkeep.fleet import Target
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.marks import Marks, reach
from upkeep.model.intervals import shift
from upkeep.mongo import catalog, marking
from upkeep.mongo.backup import scratch, source


def marks(address: Address, manifest: Manifest, target: Target, bench: Bench) -> Marks:
    """Return what each such collection held of what may become due."""
    retains = {name: policy.retain for name, policy in target.collections.items() if policy.retain is not None}
    if all(reach(retain) is None for retain in retains.values()):
        return {}
    archives = {retain.into for retain in retains.values() if retain.into}
    found = {}
    with scratch.opened(address, "upkeep verify") as session:
        for pattern, names in catalog.by_policy(session.database.list_collection_names(), retains, archives).items():
            retain, ahead = retains[pattern], reach(retains[pattern])
            for name in names:
                held = manifest.object(name)
                if ahead is None or held is None or not held.complete or held.kind != "collection":
                    continue
                bench.checkpoint()
                until = shift(manifest.snapshot_at + ahead, retain.for_, retain.zone, -1)
                older = {"find": name, "filter": {retain.by: {"$lt": until}}}
                with source.documents(session, older) as documents:
                    hours = marking.by_hour(documents, str(retain.by))
                found[name] = {"hours": {str(begin): str(mark) for begin, mark in hours.items()}}
    return found
