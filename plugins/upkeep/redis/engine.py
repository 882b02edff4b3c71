"""Reaching and checking a Redis server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from upkeep import tls
from upkeep.engines import Address, connected
from upkeep.errors import UnreachableError
from upkeep.fleet import Target
from upkeep.jobs.errors import NoConnectionError
from upkeep.model import Finding
from upkeep.redis.check import check
from upkeep.redis.connection import DEFAULT_PORT, WORDS, explained
from upkeep.redis.session import NEEDS, TESTED_VERSIONS, RedisSession


class RedisEngine:
    """Opens and checks Redis targets."""

    name = "redis"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[RedisSession]:
        """Connect. Raises `UnreachableError` without showing the password, `ConfigurationError` when it is too old."""
        try:
            session = RedisSession(address, application)
        except (redis.RedisError, ValueError) as error:
            place = address.place(DEFAULT_PORT)
            if trouble := tls.trouble(explained(address, tls.said(error)), place, address.connection_id, WORDS):
                raise UnreachableError(trouble) from None
            remedy = "check host, port, password and TLS of the connection"
            if isinstance(error, redis.exceptions.NoPermissionError):
                remedy = f"grant our user what it needs: ACL SETUSER … {NEEDS}"
            elif "protected mode" in str(error):
                remedy = "give the server a password (requirepass, or an ACL user), and the connection the same"
            message = (
                f"{address.connection_id}: no Redis at {place} for user "
                f"'{address.user or 'default'}': {error}; {remedy}"
            )
            full = "max number of clients" in str(error)
            raise (NoConnectionError if full else UnreachableError)(message) from error
        try:
            session.refuse_old_version()
            yield session
        finally:
            session.close()

    def check(self, session: RedisSession, target: Target) -> list[Finding]:
        """Return reachability, version, role, and what our user may do."""
        reached = connected(target, session.version, tested=session.tested, tested_versions=", ".join(TESTED_VERSIONS))
        return [reached, *check(session, target)]


ENGINE = RedisEngine()
