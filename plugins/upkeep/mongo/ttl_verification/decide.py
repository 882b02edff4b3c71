"""What is said of each collection: is its expiry as declared, and is anything overdue? Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from upkeep.fleet import RetainPolicy, Target
from upkeep.fleet.ttl import TtlPolicy, seconds_of
from upkeep.jobs.ttl_verification import overdue, retention
from upkeep.jobs.ttl_verification.overdue import Overdue
from upkeep.model import Finding, FindingStatus, Json, Observation, Plan, Request, Severity
from upkeep.mongo import catalog, expiry
from upkeep.mongo.ttl_verification import monitor
from upkeep.words import counted

MISSING: Final = "ttl_missing"
DIFFERS: Final = "ttl_differs"
UNDATED: Final = "undated"
_LOOK: Final = "see serverStatus().metrics.ttl and TTLMonitor in the log of the primary"


def decide(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what is found."""
    return Plan.make(observation, (), list(_findings(observation, target)))


def _findings(observation: Observation, target: Target) -> Iterator[Finding]:
    frames = observation.frames
    declared = {name: policy for name, policy in target.collections.items() if policy.declares(("ttl", "retain"))}
    rows = {row["name"]: row for row in frames["collections"]}
    counted = {row["name"]: row for row in frames["counted"]}
    archives = {p.retain.into for p in declared.values() if p.retain is not None and p.retain.into}
    expiring = [p for p in declared.values() if p.ttl is not None or p.timeseries is not None]
    if expiring:
        yield from monitor.findings(frames["monitor"][0], frames["earlier"])
    for pattern, names in catalog.by_policy(rows, declared, archives).items():
        policy = declared[pattern]
        if not names:
            yield _absent(pattern)
        for name in names:
            row, seen = rows[name], counted[name]
            if policy.ttl is not None:
                yield from _index(row, policy.ttl)
                yield from _overdue(observation, seen)
                yield from _undated(seen, policy.ttl.by)
            elif policy.retain is not None:
                yield from _retained(observation, target, row, seen, policy.retain)


def _say(
    check: str, subject: str, severity: Severity, text: str, remedy: str | None = None, **evidence: Any
) -> Finding:
    return Finding.of(check, subject, severity, text, remedy, evidence=evidence)


def _fine(check: str, subject: str, text: str, **evidence: Any) -> Finding:
    return Finding.of(check, subject, Severity.INFO, text, evidence=evidence, status=FindingStatus.OK)


def _absent(pattern: str) -> Finding:
    text = "no collection has such a name: nothing can be overdue, and nothing would expire"
    return _say(MISSING, pattern, Severity.WARNING, text, "correct the name, or create the collection with its index")


# -- TTL indexes -------------------------------------------------------------------------------------


def _index(row: Json, ttl: TtlPolicy) -> Iterator[Finding]:
    """Yield whether the TTL index is there, and exactly as declared."""
    name, wanted = row["name"], seconds_of(ttl.after)
    if row["kind"] != "collection":
        text = f"it is a {row['kind']}: it can have no TTL index"
        yield _say(MISSING, name, Severity.ERROR, text, "declare retain: for a time-series collection")
        return
    expiring = [index for index in row["indexes"] if index["expires"] is not None]
    ours = [index for index in expiring if index["keys"] in ([[ttl.by, 1]], [[ttl.by, -1]])]
    strange = [index for index in expiring if index not in ours]
    if not ours:
        yield _say(MISSING, name, Severity.ERROR, f"no TTL index on '{ttl.by}': nothing expires", _make(row, ttl))
    else:
        yield _fine(MISSING, name, f"a TTL index on '{ttl.by}' is there{' (hidden)' if ours[0]['hidden'] else ''}")
    wrong = [text for index in ours for text in _differences(index, wanted)]
    wrong += [_foreign(index) for index in strange]
    if wrong:
        found = [{"index": index["name"], "seconds": index["expires"]} for index in expiring]
        remedy = _change(name, ours[0]["name"], wanted) if ours else "drop the index, or declare its field"
        text = "; ".join(wrong)
        yield _say(DIFFERS, name, Severity.ERROR, text, remedy, declared_seconds=wanted, indexes=found)
    elif ours:
        yield _fine(DIFFERS, name, f"it expires after {wanted:,} s, as declared", declared_seconds=wanted)


def _differences(index: Json, wanted: int) -> Iterator[str]:
    name, seconds = index["name"], index["expires"]
    if not expiry.is_sane(seconds):
        yield f"index {name} has expireAfterSeconds {seconds}: some versions read that as 0 and wipe the collection"
    elif seconds != wanted:
        early = "earlier" if seconds < wanted else "later"
        yield f"index {name} expires after {seconds:,} s, {early} than the declared {wanted:,} s"
    if index["partial"] is not None:
        yield f"index {name} is partial: documents outside of its filter never expire"


def _foreign(index: Json) -> str:
    fields = ", ".join(field for field, _ in index["keys"])
    if len(index["keys"]) > 1:
        return f"index {index['name']} on {fields} has an expireAfterSeconds, which counts for one field only"
    return f"index {index['name']} deletes by another field, '{fields}', than the declared one"


def _make(row: Json, ttl: TtlPolicy) -> str:
    plain = next((i for i in row["indexes"] if i["keys"] in ([[ttl.by, 1]], [[ttl.by, -1]])), None)
    if plain is not None:
        return _change(row["name"], plain["name"], seconds_of(ttl.after))
    key, options = json.dumps({ttl.by: 1}), json.dumps({"expireAfterSeconds": seconds_of(ttl.after)})
    return f"db.getCollection({json.dumps(row['name'])}).createIndex({key}, {options})"


def _change(collection: str, index: str, seconds: int) -> str:
    changed = f"{{name: {json.dumps(index)}, expireAfterSeconds: {seconds}}}"
    return f"db.runCommand({{collMod: {json.dumps(collection)}, index: {changed}}}), after a look at what goes by it"


def _undated(seen: Json, field: str) -> Iterator[Finding]:
    count = seen["undated"]
    if count is None:
        return
    if not count:
        yield _fine(UNDATED, seen["name"], f"whatever has a '{field}' has a date there")
        return
    amount = f"more than {counted(overdue.MOST, 'document')}" if count > overdue.MOST else counted(count, "document")
    text = f"{amount} with something else than a date in '{field}', which the server never expires"
    remedy = f"give them a date, e.g. by updateMany with {{$toDate: '${field}'}}"
    yield _say(UNDATED, seen["name"], Severity.WARNING, text, remedy, documents=count)


# -- what is overdue ---------------------------------------------------------------------------------


def _overdue(observation: Observation, seen: Json, remedy: str = _LOOK, what: str = "documents") -> list[Finding]:
    found = Overdue(
        seen["name"], seen["overdue"], seen["tolerance"], seen["why"], seen["ids"], what, denied=seen["denied"]
    )
    return list(overdue.findings(found, observation.frames["earlier"], observation.server.clock, remedy))


def _retained(
    observation: Observation, target: Target, row: Json, seen: Json, policy: RetainPolicy
) -> Iterator[Finding]:
    """Yield what is wrong where Upkeep's own retention removes documents, or sets the server's expiry."""
    name, kind = row["name"], row["kind"]
    why = retention.reason(observation, target, name)
    if kind != "timeseries":
        yield from (
            retention.excused(f, why) if f.status is FindingStatus.FINDING else f
            for f in _overdue(observation, seen, retention.REMEDY)
        )
        return
    wanted, actual = expiry.wanted(policy), row["expires"]
    remedy = "the next run of retention sets it"
    if actual is None:
        found = _say(MISSING, name, Severity.ERROR, "it has no expireAfterSeconds: nothing expires", remedy)
        yield retention.excused(found, why)
    elif not expiry.is_sane(actual) or actual != wanted:
        text = f"its expireAfterSeconds is {actual}, and {wanted:,} is declared"
        found = _say(DIFFERS, name, Severity.ERROR, text, remedy, declared_seconds=wanted, seconds=actual)
        yield retention.excused(found, why)
    else:
        yield _fine(DIFFERS, name, f"it expires after {wanted:,} s, as declared", declared_seconds=wanted)
    for finding in _overdue(observation, seen, f"{_LOOK}; a time before 1970 or after 2038 stops it", "measurements"):
        raised = finding.status is FindingStatus.FINDING
        changed_at = retention.just_changed(observation, name) if raised and actual == wanted else None
        if changed_at is not None:
            yield retention.too_early(finding, changed_at)
        else:
            yield retention.excused(finding, why) if raised and actual != wanted else finding
