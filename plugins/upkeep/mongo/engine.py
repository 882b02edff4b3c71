"""Reaching a MongoDB deployment: identity, version, topology."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pymongo
from pymongo.errors import PyMongoError

from upkeep import checks
from upkeep.errors import UnreachableError
from upkeep.plan import Finding, FindingStatus, Severity

if TYPE_CHECKING:
    from upkeep.fleet import Target
    from upkeep.jobs import Address

TESTED: Final = ("6.0",)
CONNECT_MS: Final = 5_000
_AIRFLOW_OPTIONS: Final = ("srv", "ssl", "allow_insecure")
"""Extras of Airflow's connection type that are not options of the driver."""


class MongoSession:
    """One client of a MongoDB deployment."""

    def __init__(self, client: pymongo.MongoClient[dict[str, Any]], database: str) -> None:
        self.client = client
        self.database = client[database]
        self.hello: dict[str, Any] = client.admin.command("hello")
        self._build: dict[str, Any] = client.admin.command("buildInfo")

    @property
    def identity(self) -> str:
        """The physical database: replica set name and primary, and the database's name."""
        where = self.hello.get("setName") or self.hello.get("me") or "standalone"
        return f"mongo:{where}:{self.hello.get('primary', '')}:{self.database.name}"

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self._build["version"])

    @property
    def tested(self) -> bool:
        """Whether the version is in the tested list."""
        return self.version.rpartition(".")[0] in TESTED

    def now(self) -> datetime:
        """Return the server's clock."""
        moment: datetime = self.client.admin.command("hello")["localTime"]
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def cancel(self) -> None:
        """Close the client: its running operation ends with an error."""
        self.client.close()

    def close(self) -> None:
        """Close; never raises."""
        self.client.close()


class MongoEngine:
    """Opens and checks MongoDB targets."""

    name = "mongo"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[MongoSession]:
        """Connect. Raises `UnreachableError` without showing the password."""
        options: dict[str, Any] = {k: v for k, v in address.options.items() if k not in _AIRFLOW_OPTIONS}
        client: pymongo.MongoClient[dict[str, Any]] | None = None
        try:
            client = pymongo.MongoClient(
                f"{address.host}:{address.port}" if address.port else address.host,
                username=address.user or None,
                password=address.password or None,
                appname=application,
                serverSelectionTimeoutMS=CONNECT_MS,
                connectTimeoutMS=CONNECT_MS,
                tz_aware=True,
                **options,
            )
            session = MongoSession(client, address.database or "test")
        except (PyMongoError, ValueError, TypeError) as error:
            if client is not None:
                client.close()
            reason = str(error).partition(", Timeout:")[0]
            message = (
                f"{address.connection_id}: no MongoDB at {address.host}:{address.port or 27017} for user "
                f"'{address.user or 'none'}': {reason}; check host, port, password, replicaSet and TLS"
            )
            raise UnreachableError(message) from error
        try:
            yield session
        finally:
            session.close()

    def check(self, session: MongoSession, target: Target) -> list[Finding]:
        """Return reachability, version, and whether majority writes mean anything here."""
        found = [checks.connected(target, session.version, tested=session.tested, tested_versions=", ".join(TESTED))]
        if not session.hello.get("setName"):
            found.append(
                Finding(
                    check="topology",
                    subject=target.name,
                    status=FindingStatus.FINDING,
                    severity=Severity.WARNING,
                    summary="a standalone server: no majority writes, no transactions",
                    remedy="run it as a replica set, if of one member",
                )
            )
        return found


ENGINE = MongoEngine()
