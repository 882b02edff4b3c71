"""What each check makes of what a Redis server tells of itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from upkeep.jobs.checks import Seen
from upkeep.jobs.health_check.documents import BlindError, Measure, Missing, Told
from upkeep.model import SERVER, Json

LEARNED: Final = 12
"""So many looks it takes to know how many keys are usually evicted: an hour."""
_SLOWLY: Final = 0.05
"""The weight of one look in what is usual: a change for good is usual after some two hours."""
_FEW: Final = 10.0
"""Evictions a minute that are not worth a word, however unusual."""
SLOW_US: Final = 10_000
"""A command that keeps all others waiting for so long is slow; what the server logs besides is not counted."""
FORK_US: Final = 1_000_000
DAY: Final = 86_400
_DOWN: Final = 60
_PING: Final = 10
"""A primary without writes is heard of every so many seconds, unless it is told otherwise."""
REMEMBERED: Final = 7 * DAY
"""So long a replica that went away is missed: then it is taken for one that was taken out."""
_MIB: Final = 2**20


def _persistence(told: Told) -> Iterator[Seen]:
    info, config = told["info"], told.maybe("config") or {}
    logs, snapshots = bool(info["aof_enabled"]), config.get("save") != ""
    # a snapshot that somebody asked for and that failed is no trouble of a server that makes none itself
    snapshot = snapshots and info["rdb_last_bgsave_status"] != "ok"
    append = logs and info["aof_last_write_status"] != "ok"
    rewrite = logs and info["aof_last_bgrewrite_status"] != "ok"
    stopped = append or (snapshot and config.get("stop-writes-on-bgsave-error") == "yes")
    broken = [
        word for word, so in (("snapshot", snapshot), ("append-only file", append), ("its rewrite", rewrite)) if so
    ]
    state = "on disk" if logs or config.get("save") else "off, as configured"
    if not (broken or logs or info["loading"]) and isinstance(told["config"], Missing):
        raise BlindError(told["config"])  # whether it is on at all is not known
    if broken:
        state = "failing, and writes are refused" if stopped else "failing"
    elif info["loading"]:
        state = "loading"
    evidence = {"broken": ", ".join(broken), "unsaved": info["rdb_changes_since_last_save"], "log": logs}
    yield Seen(check="persistence", state=state, evidence=evidence)


def _memory(told: Told) -> Iterator[Seen]:
    info = told["info"]
    limit, policy, of = info["maxmemory"], info["maxmemory_policy"], "maxmemory"
    used = info["used_memory"] - (info.get("mem_not_counted_for_evict", 0) if limit else 0)
    by_design = bool(limit) and policy.startswith("allkeys-")
    if by_design:
        of = f"maxmemory, where {policy} evicts: full by design"
    elif not limit:
        limit, of = info["total_system_memory"], "the host's memory: maxmemory is not set"
    evidence = {"used": used / _MIB, "limit": limit / _MIB, "of": of}
    share = 100 * used / limit
    yield Seen(
        check="memory_used",
        value=None if by_design else share,
        state="full by design" if by_design else "",
        evidence=evidence | ({"share": share} if by_design else {}),
    )


def _evictions(told: Told) -> Iterator[Seen]:
    """Compare with what is usual, which is carried from look to look; a write refused for want of memory counts."""
    info, before = told["info"], told.before("evictions").get(SERVER, {})
    counters = {"evicted": info["evicted_keys"], "refused": info.get("errorstat_OOM", {}).get("count", 0)}
    grown = told.grown("evictions", counters)
    usual, learned = float(before.get("usual", 0)), int(before.get("learned", 0))
    evidence: Json = {**counters, "at": told.at, "usual": usual, "learned": learned}
    if grown is None:
        yield Seen(check="evictions", evidence=evidence)
        return
    rate = 60 * grown["evicted"] / grown["seconds"]
    weight = max(_SLOWLY, 1 / (learned + 1))
    evidence |= {"a_minute": rate, "usual": usual + weight * (rate - usual), "learned": learned + 1}
    evidence["newly_refused"] = int(grown["refused"])
    known = learned >= LEARNED or rate < _FEW
    unknown = {} if known else {"why": "it takes an hour of looks to know how many evictions are usual"}
    yield Seen(
        check="evictions",
        value=rate / max(usual, _FEW) if known else None,
        state="writes refused" if grown["refused"] else "",
        evidence=evidence | unknown,
    )


def _replicas(info: Json) -> dict[str, Json]:
    """Return the replicas that are connected, by address. A dump (``redis-cli --rdb``) is one without a port."""
    rows = [row for name, row in info.items() if re.fullmatch(r"slave\d+", name) and isinstance(row, Mapping)]
    return {f"{row['ip']}:{row['port']}": dict(row) for row in rows if int(row.get("port", 0))}


def _replica_state(told: Told) -> Iterator[Seen]:
    info, now = told["info"], _replicas(told["info"])
    for name, row in now.items():
        state = row["state"] if row["state"] == "online" else "being copied to"
        yield Seen(check="replica_state", subject=name, state=state, evidence={"of": info["role"]})
    # by what it was then: after a failover, the replicas of a primary that is none any more are another's
    then = {n: e for n, e in told.before("replica_state").items() if e.get("of") == info["role"]}
    missed = {n: {"of": info["role"], "since": e.get("since", told.at)} for n, e in then.items() if n not in now}
    if len(now) < len(then):
        for name, evidence in missed.items():
            if told.at - evidence["since"] < REMEMBERED:
                yield Seen(check="replica_state", subject=name, state="gone", evidence=evidence)
    if info["role"] != "master":
        yield _primary(told, info)


def _primary(told: Told, info: Json) -> Seen:
    """Return how the link of a replica to its primary is."""
    name = f"primary {info['master_host']}:{info['master_port']}"
    if info["master_link_status"] == "up":
        return Seen(check="replica_state", subject=name, state="online")
    # since it was never up, the server does not tell since when it is down
    since = min(
        told.before("replica_state").get(name, {}).get("down_since", told.at),
        told.at - max(info.get("master_link_down_since_seconds", 0), 0),
    )
    state = "not connected for more than a minute" if told.at - since >= _DOWN else "not connected"
    if info.get("master_sync_in_progress") and state == "not connected":
        state = "copying"
    return Seen(check="replica_state", subject=name, state=state, evidence={"down_since": since})


def _lag(told: Told) -> Iterator[Seen]:
    info, config = told["info"], told.maybe("config") or {}
    for name, row in _replicas(info).items():
        if row["state"] == "online":
            behind = info["master_repl_offset"] - row["offset"]
            yield Seen(check="replication_lag", subject=name, value=row["lag"], evidence={"bytes": behind})
    if info["role"] != "master" and info["master_link_status"] == "up":
        silent = info["master_last_io_seconds_ago"]
        # nothing is behind while nothing is due
        value = max(silent - int(config.get("repl-ping-replica-period", _PING)), 0)
        name = f"primary {info['master_host']}:{info['master_port']}"
        yield Seen(check="replication_lag", subject=name, value=value, evidence={"silent": silent})


def _connections(told: Told) -> Iterator[Seen]:
    info = told["info"]
    # the limit is of all of them; subscribers and blocked clients are clients
    used = info["connected_clients"] + info["connected_slaves"] + info.get("cluster_connections", 0)
    counters = {"rejected": info["rejected_connections"]}
    grown = told.grown("connections_used", counters)
    turned = int(grown["rejected"]) if grown else 0
    evidence = {"used": used, "limit": info["maxclients"], "turned_away": turned, **counters, "at": told.at}
    state = "clients turned away" if turned else ""
    yield Seen(check="connections_used", value=100 * used / info["maxclients"], state=state, evidence=evidence)


def _latency(told: Told) -> Iterator[Seen]:
    info, before = told["info"], told.before("latency")
    yield _slow(told, before.get("commands", {}))
    then = before.get("fork", {})
    forks = info["total_forks"]
    since = then["since"] if then.get("forks") == forks else told.at
    slow = info["latest_fork_usec"] >= FORK_US and told.at - since < DAY
    what = f"the last fork stopped the server for {info['latest_fork_usec'] / 1e6:.1f} seconds"
    evidence = {"what": what if forks else "the server has not forked yet", "forks": forks, "since": since}
    yield Seen(check="latency", subject="fork", state="slow" if slow else "fine", evidence=evidence)


def _slow(told: Told, before: Json) -> Seen:
    """Return how many commands a minute were slow, Upkeep's own left out."""
    off = int(told["config"]["slowlog-log-slower-than"]) < 0
    entries = [(int(e[0]), int(e[2]), str(e[5]) if len(e) > 5 else "") for e in told["slowlog"]]  # noqa: PLR2004
    newest = max((number for number, _, _ in entries), default=before.get("newest", -1))
    evidence = {"newest": newest, "at": told.at}
    seconds = told.at - before.get("at", told.at)
    if off or "newest" not in before or newest < before["newest"] or seconds <= 0:
        why = "the slow log is off (slowlog-log-slower-than)" if off else "it begins to count"
        return Seen(check="latency", subject="commands", evidence=evidence | {"why": why})
    strangers = [taken for n, taken, name in entries if n > before["newest"] and not name.startswith("upkeep")]
    rate = 60 * sum(taken >= SLOW_US for taken in strangers) / seconds
    what = f"{rate:,.0f} commands a minute took longer than 10 ms"
    return Seen(check="latency", subject="commands", value=rate, evidence=evidence | {"what": what})


def _cluster(told: Told) -> Iterator[Seen]:
    cluster = told["cluster"]
    if cluster:
        names = ("cluster_slots_assigned", "cluster_slots_fail", "cluster_known_nodes")
        evidence = {name.removeprefix("cluster_"): int(cluster[name]) for name in names}
        yield Seen(check="cluster_state", state=cluster["cluster_state"], evidence=evidence)


MEASURES: Final[Mapping[str, Measure]] = {
    "persistence": (("info",), _persistence),
    "memory_used": (("info",), _memory),
    "evictions": (("info",), _evictions),
    "replica_state": (("info",), _replica_state),
    "replication_lag": (("info",), _lag),
    "connections_used": (("info",), _connections),
    "latency": (("info", "config", "slowlog"), _latency),
    "cluster_state": (("cluster",), _cluster),
    "disk_used": (("disk",), lambda _: ()),
}
