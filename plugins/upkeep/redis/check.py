"""What `upkeep check` says of a Redis target: role, and whether its streams can be looked at and trimmed."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from upkeep.fleet import Target
from upkeep.jobs.rights import CHECK
from upkeep.model import Finding, Json, Severity
from upkeep.redis import faults, rights, server_refusals, streams
from upkeep.redis.session import NEEDS, RedisSession


def check(session: RedisSession, target: Target) -> Iterator[Finding]:
    """Yield what stands in the way of work on a target."""
    server = streams.server(session)
    if server["is_replica"]:
        yield Finding.of(
            "role",
            target.name,
            Severity.ERROR,
            "it is a replica: it refuses changes",
            "point the connection at the primary",
        )
    if server["mode"] != "standalone":
        text = f"it runs as {server['mode']}: Upkeep works on single primaries"
        yield Finding.of(
            "role", target.name, Severity.ERROR, text, "point the connection at a primary that is no cluster's"
        )
    writes = target.mode == "enforce" and not server["is_replica"]
    try:
        found = [*rights.findings(session, target)]
        yield from found
        told = any(finding.check == CHECK for finding in found)
        for row in streams.declared(session, target.streams):
            if not (told and row["kind"] == "denied"):
                yield from _stream(session, row, writes=writes and not told)
    except redis.exceptions.NoPermissionError as error:  # SCAN, which is of no stream
        if not told:
            text = f"our user may not look for streams: {faults.describe(error)}"
            yield Finding.of(CHECK, target.name, Severity.ERROR, text, f"ACL SETUSER … {NEEDS}, and the keys")
    except redis.RedisError as error:
        refusal = server_refusals.of(error)
        if refusal is None:
            raise
        yield refusal.finding(target.name)


def _stream(session: RedisSession, row: Json, *, writes: bool) -> Iterator[Finding]:
    name, kind, remedy = row["name"], row["kind"], f"ACL SETUSER … {NEEDS}, and the key"
    if kind == "denied":
        text = f"our user may not look at it: {row['denied']}"
        yield Finding.of(CHECK, name, Severity.ERROR, text, remedy)
    elif kind == "none":
        yield Finding.of("exists", name, Severity.WARNING, "there is no such stream", "correct the name")
    elif kind != "stream":
        yield Finding.of("kind", name, Severity.ERROR, f"it is a {kind}, not a stream", "correct the name")
    elif writes and not streams.may_trim(session, name):
        yield Finding.of(CHECK, name, Severity.ERROR, "our user may not delete entries", remedy)
