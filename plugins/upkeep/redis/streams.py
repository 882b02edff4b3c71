"""What exists: the declared streams, their ends, their consumer groups. Changes nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any, Final

import redis

from upkeep.model import Json
from upkeep.redis import faults, server_refusals
from upkeep.redis.entries import EntryId
from upkeep.redis.session import RedisSession

LOOK_SECONDS: Final = 20.0
"""Counting the due entries of one stream takes no longer; longer, and their number is said to be unknown."""
PAGE_SECONDS: Final = 0.002
"""One page is counted in about so long: others wait for the server meanwhile."""
FIRST_PAGE: Final = 64
LARGEST_PAGE: Final = 4096
_WILD: Final = re.compile(r"(?<!\\)(?:\\\\)*[*?\[]")


def is_pattern(name: str) -> bool:
    r"""Return whether a declared name stands for many: ``*``, ``?`` and ``[``, unless ``\`` stands before them."""
    return _WILD.search(name) is not None


def literal(name: str) -> str:
    r"""Return the key that a declared name without wildcards stands for: ``a\*b`` is ``a*b``."""
    return re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)


def escaped(key: str) -> str:
    """Return how a key is declared: `literal` of it is the key again."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", key)


def is_text(name: str) -> bool:
    """Return whether a key's name is UTF-8; others could be shown to nobody."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(name: str) -> str:
    """Return a name for people; bytes that are no text are shown in hexadecimal."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def quoted(name: str) -> str:
    """Return a key as the command line of Redis takes it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def server(session: RedisSession) -> Json:
    """Return role, mode, replicas and memory policy: one row."""
    info = session.info()
    replicas = [info[f"slave{n}"] for n in range(int(info.get("connected_slaves", 0))) if f"slave{n}" in info]
    lags = [float(r["lag"]) for r in replicas if r.get("state") == "online" and "lag" in r]
    limited = int(info.get("maxmemory", 0)) > 0
    return {
        "subject": "server",
        "now": session.now(),
        "is_replica": info.get("role") != "master",
        "mode": str(info.get("redis_mode", "unknown")),
        "replication_lag_seconds": max(lags, default=None),
        "longest_transaction_seconds": 0.0,  # there are none that stay open: MULTI … EXEC is one step
        "version_tested": session.tested,
        "refuses": None,
        "evicts": str(info.get("maxmemory_policy", "noeviction")) if limited else "noeviction",
    }


def declared(session: RedisSession, patterns: Iterable[str]) -> list[Json]:
    """Return a row for each key that a declared name stands for; an exact name goes before wildcards.

    A name that stands for none gives a row too, with ``kind`` ``none``.
    """
    patterns = list(patterns)
    exact = {literal(p): p for p in patterns if not is_pattern(p)}
    found: dict[str, str] = dict(exact)
    for pattern in filter(is_pattern, patterns):
        names = session.names(pattern)
        for name in names:
            found.setdefault(name, pattern)
        if not names:
            found.setdefault(pattern, pattern)
    return [_row(session, name, pattern) for name, pattern in found.items()]


def _row(session: RedisSession, name: str, pattern: str) -> Json:
    row: Json = {"name": shown(name), "pattern": pattern, "kind": "unreadable", "denied": None}
    if not is_text(name):
        return row
    try:
        # asked first: XINFO STREAM of another type is an error like many others
        row["kind"] = str(session.command("TYPE", name))
        return row | describe(session, name) if row["kind"] == "stream" else row
    except redis.exceptions.NoPermissionError as error:
        return row | {"kind": "denied", "denied": faults.describe(error)}
    except redis.exceptions.ResponseError as error:
        if server_refusals.of(error) is not None:
            raise  # not this key's fault
        if session.command("EXISTS", name) == 0:  # it went away between two looks
            return row | {"kind": "none"}
        return row | {"kind": "denied", "denied": faults.describe(error)}


def describe(session: RedisSession, name: str) -> Json:
    """Return a stream's length, ends and groups, and how long the key itself lives."""
    client: Any = session.client
    info = client.xinfo_stream(name)
    groups = []
    for group in client.xinfo_groups(name):
        # XINFO GROUPS tells how many are pending, not from which entry on
        pending = client.xpending(name, group["name"])
        groups.append(
            {
                "name": shown(group["name"]),
                "read_to": group["last-delivered-id"],
                "pending": int(pending["pending"]),
                "lowest_pending": pending["min"] if pending["pending"] else None,
                # not from `lag`, which may be empty once entries were deleted within the stream (XINFO GROUPS)
                "unread_from": _first_after(session, name, group["last-delivered-id"]),
            }
        )
    # a key with an expiry goes as a whole, young entries too
    lives = int(client.pttl(name))
    return {
        "length": int(info["length"]),
        "added": int(info.get("entries-added", 0)),  # 0: not known, as before 7
        "first": info["first-entry"][0] if info["first-entry"] else None,
        "last": info["last-entry"][0] if info["last-entry"] else None,
        "groups": groups,
        "lives_ms": lives if lives >= 0 else None,
    }


def _first_after(session: RedisSession, name: str, entry: str) -> str | None:
    page = session.look("count_entries", name, f"({entry}", "+", 1)
    return page[1] or None


def may_trim(session: RedisSession, name: str) -> bool:
    """Return whether our user may delete entries: by deleting those below the lowest id, of which there are none."""
    try:
        session.change("trim_stream", name, "0-1", 1, 0, "", "")
    except redis.exceptions.NoPermissionError:
        return False
    return True


def count(session: RedisSession, name: str, low: str, bound: EntryId) -> int | None:
    """Count entries from ``low`` (an id, or ``-``) to below ``bound``, page by page; ``None``: it took too long."""
    total: int = 0
    size, since = FIRST_PAGE, low
    deadline = time.monotonic() + LOOK_SECONDS
    while time.monotonic() < deadline:
        started = time.monotonic()
        found, last = session.look("count_entries", name, since, f"({bound}", size)
        took = time.monotonic() - started
        total += found
        if found < size:
            return total
        since = f"({last}"
        # large entries make a page slow, and the server does nothing else meanwhile
        size = max(1, min(size * 2 if took < PAGE_SECONDS else size // 2, LARGEST_PAGE))
    return None
