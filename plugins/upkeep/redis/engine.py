"""Reaching a Redis server: identity, version, role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import redis

from upkeep import checks
from upkeep.errors import UnreachableError

if TYPE_CHECKING:
    from upkeep.fleet import Target
    from upkeep.jobs import Address
    from upkeep.plan import Finding

TESTED: Final = ("7.0",)
CONNECT_SECONDS: Final = 5.0


class RedisSession:
    """One connection to a Redis server."""

    def __init__(self, client: redis.Redis, info: dict[str, Any], database: str) -> None:
        self.client = client
        self._info = info
        self._database = database

    @property
    def identity(self) -> str:
        """The physical database: the server's run id, which changes with a restart, and the database number."""
        return f"redis:{self._info.get('run_id', '?')}:{self._database}"

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self._info.get("redis_version", "unknown"))

    @property
    def tested(self) -> bool:
        """Whether the version is in the tested list."""
        return self.version.rpartition(".")[0] in TESTED

    def now(self) -> datetime:
        """Return the server's clock."""
        clock: Any = self.client.time()
        return datetime.fromtimestamp(clock[0] + clock[1] / 1e6, UTC)

    def cancel(self) -> None:
        """Redis commands are short: closing the connection is enough."""
        self.client.close()

    def close(self) -> None:
        """Close; never raises."""
        self.client.close()


class RedisEngine:
    """Opens and checks Redis targets."""

    name = "redis"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[RedisSession]:
        """Connect. Raises `UnreachableError` without showing the password."""
        client = redis.Redis(
            host=address.host,
            port=address.port or 6379,
            db=int(address.database or 0),
            username=address.user or None,
            password=address.password or None,
            ssl=address.kind == "rediss" or address.options.get("ssl") == "true",
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS,
            client_name=application.replace(" ", "-"),
            decode_responses=True,
        )
        try:
            info: Any = client.info("server")
        except redis.RedisError as error:
            client.close()
            message = (
                f"{address.connection_id}: no Redis at {address.host}:{address.port or 6379} for user "
                f"'{address.user or 'default'}': {error}; check host, port, password and TLS of the connection"
            )
            raise UnreachableError(message) from error
        session = RedisSession(client, info, address.database or "0")
        try:
            yield session
        finally:
            session.close()

    def check(self, session: RedisSession, target: Target) -> list[Finding]:
        """Return reachability and version."""
        return [checks.connected(target, session.version, tested=session.tested, tested_versions=", ".join(TESTED))]


ENGINE = RedisEngine()
