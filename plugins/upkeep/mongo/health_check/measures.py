"""What each check makes of what a MongoDB server tells of itself and of its replica set. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from upkeep.jobs.checks import Seen
from upkeep.jobs.health_check.documents import Measure, Told
from upkeep.model import SERVER, Json

PRIMARY: Final = "primary"
"""Subject of what is about the set having a primary, whichever member that is."""
NO_PRIMARY: Final = "there is none"
MAYBE_ELECTING: Final = "there is none just now"
ELECTED: Final = "elected anew"
DOWN_SECONDS: Final = 300
NOISE_SECONDS: Final = 10
"""Without writes the primary writes a no-op so often: members that are less behind may well be up to date."""
CACHE_FULL: Final = 97.0
OPLOG_FULL: Final = 0.85
"""From here on the oplog loses at its end what it gets at its head; it is cut in pieces of up to a tenth."""
OUTLASTED: Final = "shorter than a backup takes"
SLOW_US: Final = 98_304
"""The bucket of the server's histogram that lies nearest to 100 ms; those above are counted too."""
SLOW_SHARE: Final = 0.01
_PRIMARY, _SECONDARY = 1, 2
_STATES: Final = {0: "starting", 5: "copying its data", 3: "not caught up", 9: "not caught up"} | dict.fromkeys(
    (_PRIMARY, _SECONDARY, 7), "well"
)
"""Of members that answer: STARTUP, STARTUP2, RECOVERING, ROLLBACK, and those that do what they are for."""


def _replica_state(told: Told) -> Iterator[Seen]:
    status, before = told["status"], told.before("replica_state")
    primary = next((m["name"] for m in status["members"] if m["state"] == _PRIMARY), None)
    yield no_primary(before) if primary is None else _elected(primary, status, before)
    for member in status["members"]:
        yield _member(told, member, before.get(member["name"], {}))


def no_primary(before: Mapping[str, Json]) -> Seen:
    """Return that nobody is the primary: maybe in an election, which takes seconds; not when the last look saw it too.

    Parameters
    ----------
    before
        What the last look left of this check.
    """
    lasts = before.get(PRIMARY, {}).get("state") in (NO_PRIMARY, MAYBE_ELECTING)
    state, since = (NO_PRIMARY, ", nor had it at the last look") if lasts else (MAYBE_ELECTING, "")
    what = f"the set has no primary{since}: nobody takes writes"
    return Seen(check="replica_state", subject=PRIMARY, state=state, evidence={"what": what})


def _elected(primary: str, status: Json, before: Mapping[str, Json]) -> Seen:
    """Return who is the primary, and whether there was an election since the last look."""
    then, term = before.get(PRIMARY, {}), int(status["term"])
    anew = "term" in then and then["term"] < term
    what = f"{primary} is the primary" + (f"; elected since the last look, after {then['member']}" if anew else "")
    evidence = {"term": term, "member": primary, "what": what}
    return Seen(check="replica_state", subject=PRIMARY, state=ELECTED if anew else "there", evidence=evidence)


def _member(told: Told, member: Json, then: Json) -> Seen:
    state, name = member["state"], member["name"]
    evidence: Json = {"what": f"{name} is {member['stateStr']}"}
    if member.get("health") == 1 and state in _STATES:
        return Seen(check="replica_state", subject=name, state=_STATES[state], evidence=evidence)
    heard = member.get("lastHeartbeatRecv")
    since = min(then.get("down_since", told.at), _seconds(heard) if _is_known(heard) else told.at)
    evidence = {"down_since": since, "what": f"{name} is not reached for {(told.at - since) / 60:.0f} minutes"}
    how = "down" if told.at - since >= DOWN_SECONDS else "not reached just now"
    return Seen(check="replica_state", subject=name, state=how, evidence=evidence)


def _lag(told: Told) -> Iterator[Seen]:
    """Yield how far the secondaries are behind, less what they are told to be."""
    delays = {m["host"]: int(m.get("secondaryDelaySecs", m.get("slaveDelay", 0))) for m in told["config"]["members"]}
    members = [m for m in told["status"]["members"] if m["state"] in (_PRIMARY, _SECONDARY) and _is_known(_written(m))]
    newest = max((_seconds(_written(m)) for m in members), default=0.0)
    for member in members:
        if member["state"] == _SECONDARY:
            delay = delays.get(member["name"], 0)
            behind = max(newest - _seconds(_written(member)) - delay, 0.0)
            evidence = {"behind": behind, "delay": delay}
            value = behind if behind > NOISE_SECONDS else 0.0
            yield Seen(check="replication_lag", subject=member["name"], value=value, evidence=evidence)


def _written(member: Json) -> Any:
    return member.get("lastAppliedWallTime") or member.get("optimeDate")


def _oplog(told: Told) -> Iterator[Seen]:
    oplog, stats = told["oplog"], told["oplog"]["stats"]
    window = float(oplog["last"]["ts"].time - oplog["first"]["ts"].time)
    full = stats["size"] / stats["maxSize"]
    took = told["backup"]["seconds"]
    backup = f", the last backup took {took / 3600:.2f}" if took is not None else ""
    evidence: Json = {"share": 100 * full, "hours": window / 3600, "megabytes": stats["maxSize"] / 2**20}
    evidence["backup"] = backup
    if full < OPLOG_FULL:  # nothing of it is lost yet: it reaches back as far as there is anything
        yield Seen(check="oplog_window", state="not full yet", evidence=evidence)
        return
    state = OUTLASTED if took is not None and window < took else ""
    yield Seen(check="oplog_window", value=window, state=state, evidence=evidence)


def _connections(told: Told) -> Iterator[Seen]:
    found = told["server"]["connections"]
    limit = found["current"] + found["available"]  # what the process may have of files is counted in
    evidence = {"used": found["current"], "limit": limit}
    yield Seen(check="connections_used", value=100 * found["current"] / limit, evidence=evidence)


def _queue(told: Told) -> Iterator[Seen]:
    queue = told["server"]["globalLock"]["currentQueue"]
    evidence = {"readers": queue["readers"], "writers": queue["writers"]}
    yield Seen(check="queue", value=queue["total"], evidence=evidence)


def _cache(told: Told) -> Iterator[Seen]:
    cache = told["server"]["wiredTiger"]["cache"]
    limit = cache["maximum bytes configured"]
    used = 100 * cache["bytes currently in the cache"] / limit
    was = told.before("cache_dirty").get(SERVER, {}).get("used", 0.0)
    # filled to 80 % by design; a moment above that is none to wake anybody for
    state = "full" if min(used, was) >= CACHE_FULL else ""
    dirty = 100 * cache["tracked dirty bytes in the cache"] / limit
    yield Seen(check="cache_dirty", value=dirty, state=state, evidence={"used": used, "megabytes": limit / 2**20})


def _slow(told: Told) -> Iterator[Seen]:
    """Yield how many reads and writes a minute took long, where that is more than one in a hundred."""
    found = [told["server"]["opLatencies"][kind] for kind in ("reads", "writes")]
    slow = sum(bucket["count"] for kind in found for bucket in kind["histogram"] if bucket["micros"] >= SLOW_US)
    counters = {"slow": int(slow), "ops": int(sum(kind["ops"] for kind in found))}
    grown = told.grown("slow_operations", counters)
    evidence: Json = {**counters, "at": told.at}
    if grown is None:
        yield Seen(check="slow_operations", evidence=evidence)
        return
    rate, share = 60 * grown["slow"] / grown["seconds"], grown["slow"] / max(grown["ops"], 1)
    evidence |= {"a_minute": rate, "share": 100 * share}
    yield Seen(check="slow_operations", value=rate if share >= SLOW_SHARE else 0.0, evidence=evidence)


def _disk(told: Told) -> Iterator[Seen]:
    disk = told["disk"]
    used, size = float(disk["fsUsedSize"]), float(disk["fsTotalSize"])
    evidence = {"free": (size - used) / 2**30, "size": size / 2**30}
    yield Seen(check="disk_used", value=100 * used / size, evidence=evidence)


def _seconds(moment: Any) -> float:
    return float(moment.timestamp())


def _is_known(moment: Any) -> bool:
    """Return whether it is a time at all; of a member that was never heard of it is the first of 1970."""
    return isinstance(moment, datetime) and moment.timestamp() > 0


MEASURES: Final[Mapping[str, Measure]] = {
    "replica_state": (("status",), _replica_state),
    "replication_lag": (("status", "config"), _lag),
    "oplog_window": (("oplog",), _oplog),
    "connections_used": (("server",), _connections),
    "queue": (("server",), _queue),
    "cache_dirty": (("server", "cache"), _cache),
    "slow_operations": (("server",), _slow),
    "disk_used": (("disk",), _disk),
}
