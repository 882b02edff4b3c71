"""One connection to one Redis server: identity, version, clock, scripts.

Commands are never sent a second time by the driver: a reply that was lost must not count twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from upkeep import settings
from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.model import ENGINES, ServerFacts
from upkeep.redis import connection

TESTED_VERSIONS: Final = ENGINES["redis"].tested_versions
OLDEST: Final = (6, 2)
"""Streams are trimmed by id (XTRIM … MINID) since then."""
WATCHED: Final = (7, 0)
"""Since then there are scripts that the server keeps from writing (EVAL_RO)."""
VALKEY: Final = "valkey"
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 15.0
"""A server that does not answer for so long is taken for lost; our own commands take milliseconds."""
RIGHTS: Final = (
    "+select +client|setname +info +time +type +exists +pttl +scan +xinfo +xpending +xrange +xlen +xtrim +eval +eval_ro"
)
"""What our user needs for streams from Redis 7 on, in the words of ``ACL SETUSER``, besides the keys (``~logs:*``)."""
NEEDS: Final = f"{RIGHTS} (before Redis 7 +xdel in place of +eval_ro +xtrim)"
"""The same, for people; `upkeep check` knows the version and the jobs, and tells exactly what is missing."""
LACKS: Final = "upkeep check: it names the command or the key that our user lacks, and what grants it"


class RedisSession:
    """One connection to a Redis server. Raises `redis.RedisError` when there is none to be had."""

    def __init__(self, address: Address, application: str) -> None:
        self.address = address
        self.client = redis.Redis(
            **connection.driver_options(address),
            db=int(address.database or 0),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            client_name=application.replace(" ", "-"),
            decode_responses=True,
            encoding_errors="surrogateescape",  # names of keys are bytes: what is no text goes back as it came
        )
        self._database = address.database or "0"
        self._role = address.user or "default"
        try:
            self._info = self.info()
        except redis.RedisError:
            self.client.close()
            raise

    def info(self) -> dict[str, Any]:
        """Return what the server says of itself, role, memory and replicas included."""
        found: Any = self.client.info()
        return {"redis_mode": found.get("server_mode", "unknown"), **found}  # Valkey's word for it

    @property
    def identity(self) -> str:
        """The physical database: the server's run id, which changes with a restart, and the database number."""
        return f"redis:{self._info.get('run_id', '?')}:{self._database}"

    @property
    def version(self) -> str:
        """The server's version; of Valkey, which answers as the Redis that it came from, ``valkey`` and its own."""
        own = self._info.get("valkey_version")
        return f"{VALKEY} {own}" if own else str(self._info.get("redis_version", "unknown"))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers; empty where it has none."""
        return tuple(int(part) for part in self.version.rpartition(" ")[2].split(".") if part.isdigit())

    @property
    def protection(self) -> str:
        """How the connection is protected, in words."""
        return connection.protection(self.address)

    @property
    def tested(self) -> bool:
        """Whether the version is in the tested list."""
        return self.version.rpartition(".")[0] in TESTED_VERSIONS

    def refuse_old_version(self) -> None:
        """Raise `ConfigurationError` when the server is older than `OLDEST`."""
        if self.numbers < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise ConfigurationError(f"Redis {self.version} is older than {oldest}: upgrade it; nothing was looked at")

    def now(self) -> datetime:
        """Return the server's clock."""
        clock: Any = self.client.time()
        return datetime.fromtimestamp(clock[0] + clock[1] / 1e6, UTC)

    def facts(self) -> ServerFacts:
        """Return what the server is."""
        return ServerFacts(
            identity=self.identity,
            version=self.version,
            tested=self.tested,
            replica=self._info.get("role") != "master",
            role=self._role,
            clock=self.now(),
        )

    def look(self, script: str, key: str, *arguments: str | int) -> Any:
        """Run a script of ``include/redis`` that changes nothing."""
        return self.read_only(_read(script), key, *(str(a) for a in arguments))

    def read_only(self, text: str, key: str | bytes, *arguments: str) -> Any:
        """Run a script over one key that changes nothing; from 7 on the server sees to that."""
        run: Any = self.client.eval_ro if self.numbers >= WATCHED else self.client.eval
        return run(text, 1, key, *arguments)

    def change(self, script: str, key: str, *arguments: str | int) -> Any:
        """Run a script of ``include/redis`` over a stream: one atomic step."""
        if self.numbers < WATCHED:
            # In a script these servers mind neither missing replicas nor a full disk, and say other things in other
            # words: a plain command that deletes nothing is refused as it should be.
            try:
                self.command("XDEL", key, "0-0")
            except redis.exceptions.ResponseError as error:
                if not str(error).startswith("WRONGTYPE"):  # the script says that better
                    raise
        return self.client.eval(_read(script), 1, key, *(str(a) for a in arguments))

    def change_many(self, script: str, keys: Sequence[str | bytes], arguments: Sequence[bytes | int]) -> Any:
        """Run a script of ``include/redis`` over several keys: one atomic step."""
        return self.client.eval(_read(script), len(keys), *keys, *arguments)

    def command(self, *words: str | int) -> Any:
        """Send one command."""
        client: Any = self.client
        return client.execute_command(*words)

    def names(self, pattern: str) -> Sequence[str]:
        """Return the names of the streams that a pattern of the server's stands for, in small steps."""
        return sorted(set(self.client.scan_iter(match=pattern, count=1000, _type="stream")))

    def cancel(self) -> None:
        """Do nothing: a command takes milliseconds, and a connection closed in the middle of one is of no use."""

    def close(self) -> None:
        """Close; never raises."""
        self.client.close()


@cache
def _read(name: str) -> str:
    return (settings.include_dir() / "redis" / f"{name}.lua").read_text(encoding="utf-8")
