"""Health of a Redis server, by what it tells of itself: INFO, four settings, the slow log, CLUSTER INFO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import redis

from upkeep.jobs import health_check
from upkeep.jobs.contract import Ask, Job
from upkeep.jobs.health_check import documents
from upkeep.jobs.health_check.documents import Missing
from upkeep.model import Json, Observation
from upkeep.redis import faults
from upkeep.redis.health_check.measures import MEASURES
from upkeep.redis.session import RedisSession

RIGHTS: Final = "+info +config|get +slowlog|get +cluster|info"
"""What our user needs for it, in the words of ``ACL SETUSER``."""
_SETTINGS: Final = ("save", "stop-writes-on-bgsave-error", "repl-ping-replica-period", "slowlog-log-slower-than")
_SLOW_ENTRIES: Final = 128
"""So many the server keeps, unless it was told otherwise."""


def observe(ask: Ask[RedisSession]) -> Observation:
    """Measure; nothing is written, no key is looked at."""
    session = ask.session
    info = session.info()
    told = {
        "info": info,
        "config": _read("CONFIG GET", lambda: _settings(session)),
        # as it is: the driver's own reading fails where an argument is no text
        "slowlog": _read("SLOWLOG GET", lambda: session.command("SLOWLOG", "GET", _SLOW_ENTRIES)),
        "cluster": _read("CLUSTER INFO", lambda: _cluster(session)) if info.get("cluster_enabled") else {},
        "disk": Missing("the server does not tell how full its disk is", minds=False),
    }
    return documents.observe(ask, told, MEASURES)


def _settings(session: RedisSession) -> Json:
    """Return the settings, one by one: before 7 the server takes no more than one at a time."""
    found: Json = {}
    client: Any = session.client
    for name in _SETTINGS:
        found |= client.config_get(name)
    return found


def _cluster(session: RedisSession) -> Json:
    text = str(session.command("CLUSTER", "INFO"))
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _read(command: str, read: Callable[[], Any]) -> Any:
    """Return what a command says, or why it says nothing. Raises `redis.RedisError` when the connection is lost."""
    try:
        return read()
    except redis.exceptions.NoPermissionError:
        return Missing(f"our user may not ask {command}: ACL SETUSER … {RIGHTS}")
    except redis.exceptions.ResponseError as error:
        # a service that has taken the command away: nobody can grant it
        gone = "unknown command" in str(error).lower()
        return Missing(f"the server does not answer {command}: {faults.describe(error)}", minds=not gone)


JOB: Final[Job[RedisSession]] = Job(
    observe=observe, decide=health_check.decide, blind=health_check.blind, remembers=health_check.REMEMBERS
)
