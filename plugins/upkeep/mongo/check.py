"""What `upkeep check` says of a MongoDB target: topology, and privileges on the collections in care."""

from __future__ import annotations

from collections.abc import Iterator

from upkeep.fleet import Target
from upkeep.model import Finding, Severity
from upkeep.mongo import catalog, rights, server_refusals
from upkeep.mongo.session import MongoSession


def check(session: MongoSession, target: Target) -> Iterator[Finding]:
    """Yield what stands in the way of work on a target."""
    if session.topology != "replica_set":
        yield _topology(session, target)
    granted = catalog.privileges(session)
    yield from rights.findings(session, target, granted)
    deleted = [name for name, policy in target.collections.items() if policy.retain is not None]
    refusal = server_refusals.of_server(session, target, deleted, granted)
    if refusal is not None:
        yield refusal.finding(target.name)


def _topology(session: MongoSession, target: Target) -> Finding:
    if session.topology == "sharded":
        text = "a router of a sharded cluster: Upkeep works on replica sets"
        return Finding.of("topology", target.name, Severity.ERROR, text, "give each shard's replica set as a target")
    text = "a standalone server: no majority writes, no transactions, so nothing is archived"
    return Finding.of("topology", target.name, Severity.WARNING, text, "run it as a replica set, if of one member")
