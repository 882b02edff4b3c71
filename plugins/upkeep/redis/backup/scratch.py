"""Restoring: into a server of its own for the proof, into an empty server of somebody's when it is needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import redis

from upkeep import programs, scratch
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, NotAvailableError, ProgramError
from upkeep.jobs.backup.copier import Bench, unavailable
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.backup.verify import DamagedError
from upkeep.redis.backup import rdb
from upkeep.redis.backup.source import FUNCTIONS, functions
from upkeep.redis.connection import driver_options

SERVER: Final = "redis-server"
_ROOM: Final = 0.8
"""Of the memory that is free a scratch server may take so much."""
_READS: Final = {"v=7.0.": 10, "v=7.2.": 11, "Valkey server v=8.": 11}
"""The newest format of a file that these read, where a later server of the same major version writes a newer one."""
_BATCH: Final = 100
_LOAD_SECONDS: Final = 4 * 3600.0
_SETTINGS: Final = """port 0
unixsocket {path}/socket
unixsocketperm 700
requirepass {password}
dir {path}
dbfilename {file}
save ""
appendonly no
databases {databases}
replicaof 127.0.0.1 1
daemonize no
set-proc-title no
"""
"""A replica whose primary never answers: only such a server keeps keys whose time to live is over, and takes no change
from anybody. Port 1 of this machine is where nobody listens."""


def count(place: Path, manifest: Manifest, bench: Bench) -> dict[str, int]:
    """Read the file as the server would, and count the keys of each database."""
    content = rdb.read(place / rdb.FILE, bench, int(manifest.needs["major"]))
    return {f"db{n}": keys for n, keys in content.keys.items()}


@contextmanager
def restored(place: Path, manifest: Manifest, bench: Bench) -> Iterator[Address]:
    """Have a server of its own load the file."""
    source = place / rdb.FILE
    program = _program(source, manifest)
    _look_for_memory(manifest)
    with scratch.place("redis", reserve=source.stat().st_size) as room:
        with source.open("rb") as given, (room.path / rdb.FILE).open("wb") as copy:
            while piece := given.read(1 << 22):
                copy.write(piece)
                bench.checkpoint()
        room.own(room.path / rdb.FILE)
        password = secrets.token_urlsafe(24)
        highest = max((int(thing.name[2:]) for thing in manifest.objects if thing.kind == "database"), default=0)
        text = _SETTINGS.format(path=room.path, password=password, file=rdb.FILE, databases=max(16, highest + 1))
        address = Address("scratch", str(room.path / "socket"), None, "", "0", password, {}, "redis")
        command = [program, room.write("redis.conf", text)]
        try:
            with room.server(
                command, ready=lambda: _loaded(address), checkpoint=bench.checkpoint, seconds=_LOAD_SECONDS
            ):
                yield address
        except ProgramError as error:
            raise DamagedError(f"is not loaded by {SERVER}: {error}") from error


def missing(place: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what this machine lacks of what a server of its own needs."""
    file = place / rdb.FILE
    size = file.stat().st_size
    yield from unavailable(
        lambda: _program(file, manifest),
        lambda: rdb.checker(int(manifest.needs["major"])),  # a proof reads the file before it is restored
        lambda: _look_for_memory(manifest),
        lambda: scratch.look_for_room(size),
    )


def _program(file: Path, manifest: Manifest) -> Path:
    program = programs.find(SERVER, major=int(manifest.needs["major"]))
    said, form = programs.version(program), rdb.form(file)
    if any(version in said and form > newest for version, newest in _READS.items()):
        raise NotAvailableError(
            f"{program} reads no file of format {form}, as {manifest.server_version} writes it: install that version"
        )
    return program


def _look_for_memory(manifest: Manifest) -> None:
    memory, free = int(manifest.needs["memory"]), psutil.virtual_memory().available
    if memory > _ROOM * free:
        raise NotAvailableError(
            f"the data needs {memory >> 20:,} MiB of memory, and {free >> 20:,} MiB are free here: verify it on a "
            "machine with more (upkeep verify needs only the backup)"
        )


def _loaded(address: Address) -> None:
    with client(address) as open_:
        found: Any = open_.info("persistence")
        if found["loading"]:
            raise redis.exceptions.BusyLoadingError("still loading")


def client(address: Address, database: int = 0) -> redis.Redis:
    """Return a client of a scratch server, whose keys and values stay bytes."""
    return redis.Redis(unix_socket_path=address.host, password=address.password, db=database)


def look(address: Address, manifest: Manifest) -> Sequence[Contents]:
    """Return how many keys each database has, and the functions where the manifest has them."""
    with client(address) as open_:
        found = _keyspace(open_)
        databases = [Contents(name=name, kind="database", rows=keys) for name, keys in found.items()]
        if manifest.object(FUNCTIONS) is None:
            return databases
        return [*databases, Contents(name=FUNCTIONS, kind="function libraries", structures=functions(open_) or ())]


def _keyspace(open_: redis.Redis) -> dict[str, int]:
    found: Any = open_.info("keyspace")
    return {str(name): int(entry["keys"]) for name, entry in found.items()}


def restore(place: Path, manifest: Manifest, address: Address, bench: Bench) -> None:
    """Load the backup into an empty server of somebody's, key by key, out of a server of its own.

    Keys whose time to live is over by now are left out, as the server itself would do.
    """
    how = driver_options(address)
    with redis.Redis(**how) as there:
        if full := _keyspace(there):
            raise ConfigurationError(
                f"{address.connection_id}: the server is not empty ({sum(full.values()):,} keys in {', '.join(full)}); "
                "a backup is restored into an empty one only"
            )
        with restored(place, manifest, bench) as scratched:
            with client(scratched) as source:
                if functions(source):  # before 7 there are none
                    code: Any = source.function_dump()
                    there.function_restore(code)
            for thing in manifest.objects:
                if thing.kind == "database":
                    with redis.Redis(**how, db=int(thing.name[2:])) as into:
                        _copy(client(scratched, int(thing.name[2:])), into, bench, thing)


def _copy(source: redis.Redis, into: redis.Redis, bench: Bench, thing: Contents) -> None:
    done, cursor = 0, 0
    with source:
        while True:
            step: Any = source.scan(cursor, count=_BATCH)
            cursor, keys = step
            bench.checkpoint()
            with source.pipeline(transaction=False) as asked:
                for key in keys:
                    asked.dump(key)
                    asked.pttl(key)
                asked.time()  # PEXPIRETIME is there since 7.0 only; asked last, no key expires too early
                *answers, (seconds, micros) = asked.execute()
                now = seconds * 1000 + micros // 1000
            with into.pipeline(transaction=False) as given:
                for key, value, left in zip(keys, answers[::2], answers[1::2], strict=True):
                    if value is not None:  # else its time was over meanwhile
                        until = now + left if left >= 0 else 0
                        given.restore(key, until, value, replace=True, absttl=until > 0)
                given.execute()
            done += len(keys)
            bench.tell(f"{thing.name}: {done:,} of {thing.rows or 0:,} keys")
            if not cursor:
                return


def instructions(manifest: Manifest) -> str:
    """Return how to restore it without us."""
    return f"""The file data/{rdb.FILE} is a snapshot of a whole Redis server, version {manifest.server_version}.

1. Check it:                redis-check-rdb data/{rdb.FILE}
2. Take an empty server of version {manifest.needs.get("major")} or later, and stop it.
3. Put the file in place:   cp data/{rdb.FILE} /var/lib/redis/dump.rdb   (CONFIG: dir, dbfilename; owner redis)
4. In its redis.conf, for this start:   appendonly no
   (with "appendonly yes" it would load its append-only file instead of the snapshot, and be empty)
5. Start it, and compare:   redis-cli INFO keyspace
6. To have the append-only file again:  redis-cli CONFIG SET appendonly yes, then write it into redis.conf.

A server that is a primary leaves out keys whose time to live is over by then.
"""
