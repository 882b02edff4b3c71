"""Health of a MongoDB deployment, by what it tells of itself: its status, its set's, its oplog's ends, its disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pymongo.errors import OperationFailure

from upkeep.fleet import Target
from upkeep.jobs import checks, health_check
from upkeep.jobs.contract import Ask, Job
from upkeep.jobs.health_check import documents
from upkeep.jobs.health_check.documents import Missing
from upkeep.model import Finding, Json, Observation
from upkeep.mongo import faults
from upkeep.mongo.health_check import measures
from upkeep.mongo.session import MongoSession

ROLE: Final = "clusterMonitor"
LOOK_MS: Final = 1_000
"""None of it takes longer, even on a server that is busy."""
_LEFT_OUT: Final = ("metrics", "locks", "tcmalloc", "network", "shardingStatistics", "security")
_PARTS: Final = {"opLatencies": {"histograms": True}, **dict.fromkeys(_LEFT_OUT, 0)}
"""Of a server's status: what takes long and no check looks at is left out."""
_ALONE: Final = {
    "standalone": Missing("it is a server of its own, no replica set", minds=False),
    "sharded": Missing("a router knows nothing of the members: make each shard's replica set a target of its own"),
}
"""Why there is nothing to ask about a set."""


def observe(ask: Ask[MongoSession]) -> Observation:
    """Measure; each document is read once, within a second; no collection of users is looked at."""
    session = ask.session
    server = _read("serverStatus", lambda: _command(session, "serverStatus", **_PARTS))
    # a member that has no set, or was put out of it, is not one that was meant to stand alone
    alone = None if session.hello.get("isreplicaset") else _ALONE.get(session.topology)
    told = {
        "server": server,
        "cache": _cache(server),
        "status": alone or _read("replSetGetStatus", lambda: _command(session, "replSetGetStatus")),
        "config": alone or _read("replSetGetConfig", lambda: _command(session, "replSetGetConfig")["config"]),
        "oplog": alone or _read("local.oplog.rs", lambda: _oplog(session)),
        # of a small database: what is asked for is the disk, and all collections are sized on the way
        "disk": _read("dbStats", lambda: _command(session, "dbStats")),
        "backup": {"seconds": next((b.artefact.take_seconds for b in ask.memory.backups), None)},
    }
    return documents.observe(ask, told, measures.MEASURES)


def _command(session: MongoSession, command: str, **options: Any) -> Json:
    options = {"maxTimeMS": LOOK_MS, "codec_options": session.client.codec_options, **options}
    return dict(session.client.admin.command(command, **options))


def _oplog(session: MongoSession) -> Json:
    """Return the ends of the oplog, what it holds, and how much it may hold."""
    local = session.client.local
    stats = local.command("collStats", "oplog.rs", maxTimeMS=LOOK_MS)
    ends = [local["oplog.rs"].find_one({}, ["ts"], sort=[("$natural", way)], max_time_ms=LOOK_MS) for way in (1, -1)]
    return {"first": ends[0] or {}, "last": ends[1] or {}, "stats": stats}


def _cache(server: Any) -> Any:
    """Return whether there is a cache to look at; a router, and an engine in memory, have none."""
    if isinstance(server, Missing) or "wiredTiger" in server:
        return {}
    return Missing("this server has no WiredTiger cache", minds=False)


def _read(command: str, read: Callable[[], Any]) -> Any:
    """Return what a command says, or why it says nothing. Raises `PyMongoError` when the connection is lost."""
    try:
        return read()
    except OperationFailure as error:
        if faults.is_lost(error):
            raise
        if faults.code(error) in faults.UNAUTHORIZED:
            return Missing(f"our user may not ask {command}: grant it the role {ROLE} on admin")
        return Missing(f"the server does not answer {command}: {faults.describe(error)}")


def blind(target: Target, error: Exception, looks: Sequence[Json]) -> Sequence[Finding]:
    """Return what it means that a target could not be looked at: without a primary, its members still answer."""
    known, name = health_check.wanted(target), "replica_state"
    if not isinstance(error, faults.NoPrimaryError) or name not in known:
        return health_check.blind(target, error, looks)
    row = measures.no_primary(looks[0].get("measured", {}).get(name, {}) if looks else {})
    return [checks.judge_alone(row, known[name])]


JOB: Final[Job[MongoSession]] = Job(
    observe=observe, decide=health_check.decide, blind=blind, remembers=health_check.REMEMBERS
)
