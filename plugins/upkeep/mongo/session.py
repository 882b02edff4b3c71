"""One client of one MongoDB deployment: options, identity, clock, cancellation.

Writes are acknowledged by a majority, within `MAJORITY_MS`; without one nothing counts as done. The pool and
its time-outs follow SPEC D4, with two exceptions: no connections are kept ready (a run uses one), and there is no
socket time-out, because an index build or a range of the archive may take longer than 20 seconds. Every such
operation has a limit of its own on the server (``maxTimeMS``) or is ended by `MongoSession.cancel`, and the driver's
monitor notices a dead server in ten seconds.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, cast
from urllib.parse import quote_plus

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from upkeep.engines import Address
from upkeep.model import ENGINES, ServerFacts
from upkeep.mongo import faults, protection
from upkeep.mongo.protection import DEFAULT_PORT, is_srv

Doc: TypeAlias = dict[str, Any]

TESTED_VERSIONS: Final = ENGINES["mongo"].tested_versions
MAJORITY_MS: Final = 30_000
"""How long a majority may take to confirm a write."""
LOOK_MS: Final = 30_000
"""One look at documents (a count, a minimum) takes no longer; longer, and it is said to be unknown."""
OPTIONS: Final[dict[str, Any]] = {
    "maxPoolSize": 50,
    "minPoolSize": 0,
    "maxIdleTimeMS": 30_000,
    "waitQueueTimeoutMS": 5_000,
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 10_000,
    "retryWrites": True,
    "retryReads": True,
    "w": "majority",
    "wTimeoutMS": MAJORITY_MS,
    "tz_aware": True,
    "tzinfo": UTC,
    "datetime_conversion": DatetimeConversion.DATETIME_AUTO,
}
"""What a connection's extras may override. Dates that Python cannot hold come as numbers instead of an error."""
RAW: Final = CodecOptions(document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS)
"""Documents as the bytes that they are: what moves is not taken apart and put together again."""
_LONGEST_NAME: Final = 40
"""The server takes 128 bytes for a client's name, and a database's has up to 63."""


def client_for(address: Address, application: str) -> pymongo.MongoClient[Doc]:
    """Return a client for an address, with the options above, those of the connection and its TLS switches.

    Raises
    ------
    PyMongoError, ValueError, TypeError
        An option is wrong; nothing was sent yet.
    """
    return pymongo.MongoClient(
        [_seed(*one) for one in address.hosts] if not is_srv(address) else f"mongodb+srv://{address.host}",
        username=address.user or None,
        password=address.password or None,
        appname=application,
        **{**OPTIONS, **protection.driver_options(address)},
    )


def _seed(host: str, port: int | None) -> str:
    if host.startswith("/"):
        return quote_plus(host)  # a Unix socket
    return f"{f'[{host}]' if ':' in host else host or 'localhost'}:{port or DEFAULT_PORT}"


def client_for_member(session: MongoSession, member: str) -> pymongo.MongoClient[Doc]:
    """Return a client of one member alone (``host:port``), as the session's own: for what each counts for itself."""
    address, (host, _, port) = session.address, member.rpartition(":")
    options = {key: value for key, value in address.options.items() if key.lower() != "srv"}
    if is_srv(address):
        options.setdefault("tls", "true")  # as the driver does for such names
    alone = replace(address, host=host, port=int(port), kind="mongodb", options={**options, "directConnection": "true"})
    return client_for(alone, session.application)


class MongoSession:
    """One client of a MongoDB deployment.

    Parameters
    ----------
    address
        Where it leads; the database of the address is the target.
    application
        What the server shows as the client's name. A random word is added, by which `cancel` finds our operations,
        and the database, by which `end_leftovers` finds those of a killed run.
    """

    def __init__(self, address: Address, application: str) -> None:
        self._address = address
        database = address.database or "test"
        self._application = f"{application[:_LONGEST_NAME]} {secrets.token_hex(4)} {database}"
        self._alike = f"^{re.escape(application[:_LONGEST_NAME])} [0-9a-f]{{8}} {re.escape(database)}$"
        self.client = client_for(address, self._application)
        self.database: Database[Doc] = self.client[database]
        try:
            self.hello: Doc = self.greet()
            self._build: Doc = self.client.admin.command("buildInfo")
            self._where = self._place()
        except PyMongoError:
            self.client.close()
            raise

    @property
    def identity(self) -> str:
        """The physical database: the replica set's own id (else its name and members), and the database's name."""
        return f"mongo:{self._where}:{self.database.name}"

    def _place(self) -> str:
        if not self.hello.get("setName"):
            status = self.ask("serverStatus") or {}
            return f"{self.topology}:{status.get('host') or f'{self._address.host}:{self._address.port}'}"
        # the id that the set was given when it was made: a name and members can be those of another set, and change
        with suppress(OperationFailure):
            config = self.client.local["system.replset"].find_one({}, {"settings.replicaSetId": 1}) or {}
            return str(config["settings"]["replicaSetId"])
        config = (self.ask("replSetGetConfig") or {}).get("config", {})
        known = config.get("settings", {}).get("replicaSetId")
        return str(known or f"{self.hello['setName']}@{','.join(sorted(self.hello.get('hosts', [])))}")

    @property
    def address(self) -> Address:
        """Where it was told to connect."""
        return self._address

    @property
    def protection(self) -> str:
        """How the connection is protected, in words."""
        return protection.of(self._address)

    @property
    def application(self) -> str:
        """The client's name on the server: by it our own operations are told from others'."""
        return self._application

    @property
    def topology(self) -> str:
        """``replica_set``, ``sharded`` or ``standalone``."""
        if self.hello.get("msg") == "isdbgrid":
            return "sharded"
        return "replica_set" if self.hello.get("setName") else "standalone"

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self._build["version"])

    @property
    def tested(self) -> bool:
        """Whether the version is in the tested list."""
        return self.version.rpartition(".")[0] in TESTED_VERSIONS

    def now(self) -> datetime:
        """Return the server's clock."""
        moment: datetime = self.greet()["localTime"]
        return moment

    def facts(self) -> ServerFacts:
        """Return what the server is."""
        return ServerFacts(
            identity=self.identity,
            version=self.version,
            tested=self.tested,
            replica=not self.hello.get("isWritablePrimary", False),
            role=self._address.user,
            clock=self.now(),
        )

    def greet(self) -> Doc:
        """Return the server's greeting, with times in UTC."""
        return dict(self.client.admin.command("hello", codec_options=self.client.codec_options))

    def ask(self, command: str, **options: Any) -> Doc | None:
        """Return a command's answer on ``admin``, or ``None`` when our user may not ask or it is not known."""
        try:
            return dict(self.client.admin.command(command, codec_options=self.client.codec_options, **options))
        except OperationFailure as error:
            if faults.is_lost(error):
                raise
            return None

    def raw(self, name: str) -> Collection[RawBSONDocument]:
        """Return a collection whose documents stay bytes."""
        found: Any = self.database.get_collection(name, codec_options=RAW)
        return cast("Collection[RawBSONDocument]", found)

    def cancel(self) -> None:
        """Kill our running operations on the server, from a client of its own; then nothing more is sent.

        The run's own client may hold a lock of its pool at this moment (this is called from signal handlers).
        """
        # without the right to kill, or without a server, nothing can be stopped there: closing the client ends it
        # here
        try:
            with client_for(self._address, "upkeep cancel") as other:
                for operation in self._operations(other):
                    other.admin.command("killOp", op=operation["opid"])
        except (PyMongoError, OSError):  # the server is gone: so is the operation
            self.client.close()

    def _operations(self, client: pymongo.MongoClient[Doc]) -> list[Doc]:
        mine = {"$match": {"appName": self._application}}
        return list(client.admin.aggregate([{"$currentOp": {"allUsers": False, "localOps": True}}, mine]))

    def end_leftovers(self) -> int:
        """Abort transactions of a killed run on this database; return how many there were.

        The server keeps them, and what they hold, for a minute after their client is gone. Only for the holder of
        the lease on the database: nobody else of ours may change it, so whoever has a transaction open is dead.
        """
        pipeline: list[Doc] = [
            {"$currentOp": {"allUsers": False, "idleSessions": True, "localOps": True}},
            {
                "$match": {
                    "transaction": {"$exists": True},
                    "appName": {"$regex": self._alike, "$ne": self._application},
                }
            },
        ]
        with suppress(OperationFailure):
            found = list(self.client.admin.aggregate(pipeline))
            if found:
                # the session, not the operation: between two commands a transaction has no operation to kill
                self.client.admin.command("killSessions", [{"id": one["lsid"]["id"]} for one in found])
            return len(found)
        return 0

    def close(self) -> None:
        """Close; never raises."""
        self.client.close()
