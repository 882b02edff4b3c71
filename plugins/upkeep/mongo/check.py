"""What `upkeep check` says of a MongoDB target: topology, and privileges on the collections in care."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from upkeep.fleet import Target
from upkeep.model import Finding, Severity
from upkeep.mongo import catalog, server_refusals
from upkeep.mongo.catalog import ARCHIVES, CREATES, RETAINS, SHAPES
from upkeep.mongo.session import MongoSession

FEW: Final = 2
"""So many collections (a source and its archive) are told one by one, with what each lacks."""


def check(session: MongoSession, target: Target) -> Iterator[Finding]:
    """Yield what stands in the way of work on a target."""
    if session.topology != "replica_set":
        yield _topology(session, target)
    granted = catalog.privileges(session)
    wanted = _wanted(target)
    lacking = {
        name: missing
        for name, actions in wanted.items()
        if (missing := sorted(a for a in actions if not catalog.allowed(granted, session.database.name, name, a)))
    }
    if len(wanted) > FEW and lacking.keys() == wanted.keys():  # a reader: said once
        yield _missing(session, target.name, sorted({action for missing in lacking.values() for action in missing}))
    else:
        yield from (_missing(session, name, missing) for name, missing in lacking.items())
    refusal = server_refusals.of_server(session, target, wanted, granted)
    if refusal is not None:
        yield refusal.finding(target.name)


def _wanted(target: Target) -> dict[str, set[str]]:
    """Return what our user must be allowed to do, by collection."""
    wanted: dict[str, set[str]] = {}
    for name, policy in target.collections.items():
        actions = wanted.setdefault(name, set())
        if policy.declares(SHAPES):
            actions |= set(CREATES)
        if policy.retain is not None:
            actions |= {"collMod"} if policy.timeseries else set(RETAINS)
            if policy.retain.into:
                wanted.setdefault(policy.retain.into, set()).update(ARCHIVES)
    return wanted


def _topology(session: MongoSession, target: Target) -> Finding:
    if session.topology == "sharded":
        text = "a router of a sharded cluster: Upkeep works on replica sets"
        return Finding.of("topology", target.name, Severity.ERROR, text, "give each shard's replica set as a target")
    text = "a standalone server: no majority writes, no transactions, so nothing is archived"
    return Finding.of("topology", target.name, Severity.WARNING, text, "run it as a replica set, if of one member")


def _missing(session: MongoSession, collection: str, actions: list[str]) -> Finding:
    text = f"our user may not {', '.join(actions)}"
    remedy = f"grant the role readWrite (and dbAdmin for collMod) on {session.database.name}, or these actions"
    return Finding.of("privileges", collection, Severity.ERROR, text, remedy, evidence={"missing": actions})
