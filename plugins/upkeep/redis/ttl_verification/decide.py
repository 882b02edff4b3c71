"""What is said of the keys of a declared pattern. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from upkeep.fleet import Target
from upkeep.jobs.ttl_verification.overdue import seen_before
from upkeep.model import Finding, FindingStatus, Json, Observation, Plan, Request, Severity
from upkeep.redis.session import LACKS
from upkeep.redis.streams import is_pattern, quoted

WITHOUT: Final = "key_without_ttl"
DIFFERS: Final = "ttl_differs"


def decide(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what is found."""
    server = observation.frames["server"][0]
    found = [
        finding for row in observation.frames["patterns"] for finding in _pattern(row, server, observation, target)
    ]
    return Plan.make(observation, (), found)


def _pattern(row: Json, server: Json, observation: Observation, target: Target) -> Iterator[Finding]:
    if row["denied"] is not None:
        text = f"our user may not look at its keys: {row['denied']}"
        yield from _unseen(row, text, LACKS, FindingStatus.NOT_AVAILABLE, Severity.WARNING)
        return
    if server["mode"] == "cluster":
        text = "the server is one of a cluster: the keys of the other servers are not looked at"
        yield from _unseen(row, text, "declare each server as a target", FindingStatus.NOT_AVAILABLE, Severity.WARNING)
        return
    at_most = target.keys[row["name"]].ttl.at_most
    yield _without(row, observation)
    yield _late(row, str(at_most))


def _unseen(row: Json, text: str, remedy: str, status: FindingStatus, severity: Severity) -> Iterator[Finding]:
    for check in (WITHOUT, DIFFERS):
        yield Finding.of(check, row["name"], severity, text, remedy, status=status)


def _without(row: Json, observation: Observation) -> Finding:
    name, count, evidence = row["name"], row["without"], _evidence(row)
    if not count:
        return _fine(row, WITHOUT, f"each of its {row['keys']:,} keys expires")
    evidence |= {"without": count, "ids": row["ids"]}
    text = f"{count:,} of its {row['keys']:,} keys never expire"
    since = seen_before(observation.frames["earlier"], WITHOUT, name, row["ids"], observation.at)
    if since is None:
        # a program may set a key and its expiry in two steps
        text = f"{text}: seen for the first time, the next look tells whether they are new ones each time"
        status = FindingStatus.INSUFFICIENT_EVIDENCE
        return Finding.of(WITHOUT, name, Severity.INFO, text, _remedy(name), evidence=evidence, status=status)
    text = f"{text}; some of them were there without one on {since:%Y-%m-%d %H:%M} UTC already"
    return Finding.of(WITHOUT, name, Severity.ERROR, text, _remedy(name), evidence=evidence)


def _late(row: Json, at_most: str) -> Finding:
    if not row["late"]:
        return _fine(row, DIFFERS, f"none of its keys lives longer than {at_most}")
    evidence = {**_evidence(row), "late": row["late"], "longest_seconds": row["longest"]}
    text = f"{row['late']:,} of its {row['keys']:,} keys live longer than {at_most}: up to {row['longest']:,} s"
    remedy = "find the program that sets them (EXPIRE, SET … EX), or declare the longer ttl.at_most"
    return Finding.of(DIFFERS, row["name"], Severity.ERROR, text, remedy, evidence=evidence)


def _fine(row: Json, check: str, text: str) -> Finding:
    """Return that nothing is wrong, where all keys were looked at."""
    status, severity, remedy = FindingStatus.OK, Severity.INFO, None
    if row["share"] < 1:
        status, severity = FindingStatus.INSUFFICIENT_EVIDENCE, Severity.WARNING
        text = f"only about {row['share']:.0%} of the database's keys could be looked at in time; of those, {text}"
        remedy = "keep such keys in a database of their own, or look at a quieter time"
    return Finding.of(check, row["name"], severity, text, remedy, evidence=_evidence(row), status=status)


def _evidence(row: Json) -> dict[str, Any]:
    return {"keys": row["keys"], "share": row["share"]}


def _remedy(name: str) -> str:
    words: Sequence[str] = ("find the program that sets them without one (SET … EX, or EXPIRE in the same MULTI)",)
    if not is_pattern(name):
        return f"EXPIRE {quoted(name)} <seconds>; {words[0]}"
    return f"redis-cli --scan --pattern {quoted(name)} and TTL show which; {words[0]}"
