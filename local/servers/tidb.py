"""TiDB: a real server, one node on its embedded store."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pymysql

from local.obtain import tidb
from local.process import free_port, give_to_account
from local.servers.base import Server


class TidbServer(Server):
    """One TiDB server with a password; see `start_tidb`."""

    name: ClassVar[str] = "tidb"

    def __init__(self, directory: Path, *, port: int, password: str, status_port: int, database: str = "test") -> None:
        super().__init__(directory, port=port, password=password)
        self.status_port = status_port
        self.database = database

    @property
    def user(self) -> str:
        """The superuser."""
        return "root"

    def uri(self, database: str = "") -> str:
        """Return a ``tidb://`` URI of ``database``, password included."""
        return f"tidb://{self.user}:{quote(self.password, safe='')}@{self.host}:{self.port}/{quote(database)}"

    def prepare(self) -> None:
        """Write the configuration: everything below our directory, nothing sent anywhere."""
        conf = self.directory / "tidb.toml"
        # Run by the server at its very first start, so that there is no moment without a password.
        first = self.directory / "first-start.sql"
        first.write_text(
            f"alter user 'root'@'%' identified by '{self.password}';\n"
            f"create database if not exists `{self.database}`;\n"
        )
        give_to_account(first)
        conf.write_text(
            f'temp-dir = "{self.directory}/temp"\n'
            f'socket = "{self.directory}/tidb.sock"\n'
            f'initialize-sql-file = "{first}"\n'
            f'[log]\nlevel = "warn"\nslow-query-file = "{self.directory}/slow.log"\n'
        )
        give_to_account(conf)

    def command(self) -> Sequence[str | Path]:
        """Return the server in the foreground."""
        return [
            *(tidb.obtain(), "-config", self.directory / "tidb.toml"),
            *("-store", "unistore", "-path", self.directory / "data"),
            *("-host", self.host, "-P", str(self.port)),
            *("-status-host", self.host, "-status", str(self.status_port)),
        ]

    def environment(self) -> dict[str, str] | None:
        """Return our environment with a home that the servers' account may write."""
        return {**os.environ, "HOME": str(self.directory)}

    def probe(self) -> None:
        """Log in and out."""
        pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, connect_timeout=5
        ).close()


def start_tidb(directory: Path) -> TidbServer:
    """Start a TiDB server on a free port and return it, building it first if need be (8 to 12 minutes, once).

    Raises
    ------
    LocalError
        When it cannot be built or does not start.
    """
    server = TidbServer(directory, port=free_port(), password=secrets.token_urlsafe(18), status_port=free_port())
    server.start()
    return server
