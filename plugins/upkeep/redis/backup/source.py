"""Taking a backup: the server sends its snapshot as it would to a replica, and goes on answering meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import redis

from upkeep import programs
from upkeep.engines import Address
from upkeep.errors import NotAvailableError, ProgramError
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs.backup.copier import Order, Survey, Taken
from upkeep.jobs.backup.manifest import Contents
from upkeep.jobs.backup.verify import DamagedError
from upkeep.jobs.contract import Ask
from upkeep.redis.backup import rdb
from upkeep.redis.backup.relay import relay
from upkeep.redis.connection import DEFAULT_PORT, wanted
from upkeep.redis.session import RedisSession

CLIENT: Final = "redis-cli"
LACKS: Final = (
    "users and their rights (ACL), the server's configuration, modules",
    "what was written after the snapshot",
)
FUNCTIONS: Final = "functions"
_NEAR: Final = 1024 * 1024
"""So many bytes behind its primary a replica is as good as that."""


def survey(ask: Ask[RedisSession]) -> Survey:
    """Look at the server, its replicas and the tools."""
    info = ask.session.info()
    policy = BackupPolicy.of(ask.target)
    source = _source(ask.session, info, policy.source if policy else "primary")
    where = source.place(DEFAULT_PORT) if source else "the server"
    return Survey(
        bytes=int(info.get("used_memory_dataset", info.get("used_memory", 0))),
        database="all databases",
        command=f"{CLIENT} --rdb {rdb.FILE} (from {where})",
        lock="nothing: the server writes its snapshot in a process of its own, which needs memory for what changes",
        refusals=tuple(_refusals(ask.session, info)),
        lacks=LACKS,
    )


def _refusals(session: RedisSession, info: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if info.get("redis_mode") != "standalone":
        yield (
            f"it runs as {info.get('redis_mode')}: one node has a part of the keys at the most",
            "point the connection at a single primary; back a cluster up node by node with its own tools",
        )
    for name, find in ((CLIENT, partial(programs.find, CLIENT)), (rdb.CHECKER, partial(rdb.checker, _major(session)))):
        try:
            find()
        except NotAvailableError as error:
            yield str(error), f"install {name} of the server's version, or name its folder in UPKEEP_TOOLS"
    user = session.address.user or "default"
    for command in (("REPLCONF", "capa", "eof"), ("SYNC",)):
        try:
            said = session.command("ACL", "DRYRUN", user, *command)
        except redis.RedisError:  # it may not ask: then the tool finds out
            continue
        if said not in ("OK", b"OK"):
            yield f"our user may not run {command[0]}", f"ACL SETUSER {user} +sync +psync +replconf +acl|dryrun"


def take(order: Order[RedisSession]) -> Taken:
    """Have the snapshot sent, and read the whole file once: what it holds is what it says."""
    session, bench = order.work.session, order.bench
    before = functions(session.client)
    info = session.info()
    source = _source(session, info, order.policy.source) or session.address
    path = order.place / rdb.FILE
    program = programs.find(CLIENT)
    with _way(source) as where:
        bench.run([str(program), *where, "--rdb", str(path)], environment=_secret(source)).fine()
    path.chmod(0o600)
    try:
        content = rdb.read(path, bench, _major(session))
    except DamagedError as error:
        raise ProgramError(f"what the server sent is not whole: it {error}") from None
    objects = [Contents(name=f"db{n}", kind="database", rows=keys) for n, keys in sorted(content.keys.items())]
    same = before is not None and before == functions(session.client)
    if same and before:
        objects.append(Contents(name=FUNCTIONS, kind="function libraries", structures=before))
    return Taken(
        snapshot_at=datetime.fromtimestamp(int(content.fields["ctime"]), UTC),
        tool=f"{CLIENT} --rdb",
        tool_version=programs.version(program),
        server_version=session.version,
        database="all databases",
        position={
            "replication_id": content.fields.get("repl-id"),
            "offset": content.fields.get("repl-offset"),
            "from": source.place(DEFAULT_PORT),
        },
        objects=tuple(objects),
        needs={"major": _major(session), "memory": int(content.fields.get("used-mem", 0))},
        lacks=(*LACKS, *(() if same else ("proof of its functions: they are in it, and could not be compared",))),
    )


def functions(client: redis.Redis) -> tuple[str, ...] | None:
    """Return the libraries of functions, each with the digest of its code; ``None``: they may not be read."""
    try:
        found: Any = client.function_list(withcode=True)
    except redis.RedisError as error:
        return () if "unknown command" in str(error).lower() else None  # before 7 there are none
    return tuple(sorted(map(_library, found)))


def _library(entry: list[Any]) -> str:
    said = [word.encode(errors="surrogateescape") if isinstance(word, str) else word for word in entry]
    known = {said[n]: said[n + 1] for n in range(0, len(said), 2)}
    code = hashlib.sha256(known[b"library_code"]).hexdigest()[:16]
    return f"{known[b'library_name'].decode(errors='replace')} ({known[b'engine'].decode()}, {code})"


def _source(session: RedisSession, info: dict[str, Any], wanted: str) -> Address | None:
    """Return a replica that is reachable and has what its primary has; ``None``: there is none, or none is wanted."""
    if wanted != "replica_if_any":
        return None
    for n in range(int(info.get("connected_slaves", 0))):
        replica = info.get(f"slave{n}", {})
        if replica.get("state") != "online":
            continue
        address = replace(session.address, host=str(replica["ip"]), port=int(replica["port"]))
        try:
            other = RedisSession(address, "upkeep-backup")
        except (redis.RedisError, ValueError):
            continue
        found = other.info()
        other.close()
        behind = int(info.get("master_repl_offset", 0)) - int(found.get("slave_repl_offset", 0))
        same = found.get("master_replid") == info.get("master_replid") and found.get("role") == "slave"
        if same and found.get("master_link_status") == "up" and behind <= _NEAR:
            return address
    return None


@contextmanager
def _way(address: Address) -> Iterator[list[str]]:
    """Give the options that lead the tool to a server, for as long as the block lasts."""
    user, how = ["--user", address.user] if address.user else [], wanted(address)
    if how is not None:
        with relay(address, how) as path:
            yield ["-s", str(path), *user]
    elif address.local:
        yield ["-s", address.host, *user]
    else:
        yield ["-h", address.host or "localhost", "-p", str(address.port or DEFAULT_PORT), *user]


def _secret(address: Address) -> dict[str, str]:
    return {"REDISCLI_AUTH": address.password} if address.password or address.user else {}


def _major(session: RedisSession) -> int:
    return session.numbers[0] if session.numbers else 0
