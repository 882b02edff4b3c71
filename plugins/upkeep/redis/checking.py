"""What `upkeep check` says of a Redis target: role, and whether its streams can be looked at and trimmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upkeep.plan import Finding, FindingStatus, Severity
from upkeep.redis import streams
from upkeep.redis.session import RIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upkeep.fleet import Target
    from upkeep.plan import Json
    from upkeep.redis.session import RedisSession


def check(session: RedisSession, target: Target) -> Iterator[Finding]:
    """Yield what stands in the way of work on a target."""
    server = streams.server(session)
    if server["is_replica"]:
        yield _finding(
            "role", target.name, "it is a replica: it refuses changes", "point the connection at the primary"
        )
    if server["mode"] != "standalone":
        text = f"it runs as {server['mode']}: Upkeep works on single primaries"
        yield _finding("role", target.name, text, "point the connection at a primary that is no cluster's")
    for row in streams.declared(session, target.streams):
        yield from _stream(session, row, writes=target.mode == "enforce" and not server["is_replica"])


def _stream(session: RedisSession, row: Json, *, writes: bool) -> Iterator[Finding]:
    remedy = f"ACL SETUSER … {RIGHTS}, and the key"
    if row["kind"] == "denied":
        yield _finding("privileges", row["name"], f"our user may not look at it: {row['denied']}", remedy)
    elif row["kind"] == "none":
        yield _finding("exists", row["name"], "there is no such stream", "correct the name", severity=Severity.WARNING)
    elif row["kind"] != "stream":
        yield _finding("kind", row["name"], f"it is a {row['kind']}, not a stream", "correct the name")
    elif writes and not streams.may_trim(session, row["name"]):
        yield _finding("privileges", row["name"], "our user may not delete entries", remedy)


def _finding(check: str, subject: str, summary: str, remedy: str, *, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(
        check=check,
        subject=subject,
        status=FindingStatus.FINDING,
        severity=severity,
        summary=summary,
        remedy=remedy,
    )
