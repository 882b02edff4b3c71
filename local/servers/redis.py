"""Redis: Debian's, unpacked into the cache, ``redis-server`` on PATH where there is no apt, or a version by name."""

import contextlib
import secrets
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import redis

from local.errors import LocalError
from local.obtain import debs, versions
from local.process import free_port, give_to_account, with_libraries
from local.servers.base import Server


@cache
def redis_program() -> tuple[Path, str]:
    """Return ``redis-server`` and the folders of the libraries that it needs (empty: the system's serve).

    ``UPKEEP_REDIS_VERSION`` names another version to fetch.

    Raises
    ------
    LocalError
        When it can neither be fetched nor found.
    """
    if version := versions.wanted("redis"):
        program, libraries = versions.single(versions.REDIS, version, "Redis")
        for name in ("redis-server", "redis-check-rdb"):  # one program that looks at how it was called
            with contextlib.suppress(FileExistsError):
                program.with_name(name).symlink_to(program.name)
        return program.with_name("redis-server"), libraries
    return _debians("redis-server")


def redis_tools() -> list[tuple[Path, str]]:
    """Return what backups of Redis run, each with the folders of the libraries that it needs."""
    server, libraries = redis_program()
    client, checker = (server.with_name(name) for name in ("redis-cli", "redis-check-rdb"))
    # wheels hold the server alone, and a client of any version has the snapshot sent
    return [
        (server, libraries),
        (checker, libraries),
        (client, libraries) if client.exists() else _debians(client.name),
    ]


def _debians(name: str) -> tuple[Path, str]:
    try:
        unpacked = debs.obtain("redis", ["redis-server", "redis-tools"])
    except LocalError:
        found = shutil.which(name)
        if found is None:
            raise
        return Path(found), ""
    return unpacked.root / "usr" / "bin" / name, unpacked.libraries()


class RedisServer(Server):
    """One Redis server with a password; see `start_redis`."""

    name: ClassVar[str] = "redis"

    def __init__(self, directory: Path, *, port: int, password: str, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, port=port, password=password)
        self.settings = dict(settings or {})

    @property
    def user(self) -> str:
        """Redis' built-in user."""
        return "default"

    def uri(self, database: str = "0") -> str:
        """Return a ``redis://`` URI of a database number, password included."""
        return f"redis://:{quote(self.password, safe='')}@{self.host}:{self.port}/{database or '0'}"

    def prepare(self) -> None:
        """Write the configuration; it holds the password, which an argument would show to everybody."""
        lines = [
            f"bind {self.host}",
            f"port {self.port}",
            f"dir {self.directory}",
            f"requirepass {self.password}",
            "appendonly yes",
            'save ""',  # the append-only file is the persistence
            "daemonize no",
            "set-proc-title no",  # it would write over the environment, by which a stack knows its processes
            *(f"{name} {value}" for name, value in self.settings.items()),
        ]
        conf = self.directory / "redis.conf"
        conf.write_text("\n".join(lines) + "\n")
        give_to_account(conf)

    def command(self) -> Sequence[str | Path]:
        """Return the server in the foreground."""
        return [redis_program()[0], self.directory / "redis.conf"]

    def environment(self) -> dict[str, str] | None:
        """Return the environment with the unpacked shared libraries."""
        libraries = redis_program()[1]
        return with_libraries(libraries) if libraries else None

    def probe(self) -> None:
        """Log in and ping."""
        with redis.Redis.from_url(self.uri(), socket_timeout=5) as client:
            client.ping()


def start_redis(directory: Path) -> RedisServer:
    """Start a Redis server on a free port and return it.

    Raises
    ------
    LocalError
        When it cannot be obtained or does not start.
    """
    server = RedisServer(directory, port=free_port(), password=secrets.token_urlsafe(18))
    server.start()
    return server
