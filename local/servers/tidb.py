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

ACCESS_DENIED = 1045


class TidbServer(Server):
    """One TiDB server with a password; see `start_tidb`."""

    name: ClassVar[str] = "tidb"

    def __init__(self, directory: Path, *, port: int, password: str, status_port: int) -> None:
        super().__init__(directory, port=port, password=password)
        self.status_port = status_port

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
        conf.write_text(
            f'temp-dir = "{self.directory}/temp"\n'
            f'socket = "{self.directory}/tidb.sock"\n'
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
        """Log in and out; before the first start has set the password, without one."""
        try:
            self._connect(self.password).close()
        except pymysql.err.OperationalError as error:
            if error.args[0] != ACCESS_DENIED:
                raise
            self._connect("").close()

    def after_start(self) -> None:
        """Set the password the first time: a new TiDB lets root in without one."""
        try:
            connection = self._connect("")
        except pymysql.err.OperationalError as error:
            if error.args[0] == ACCESS_DENIED:
                return
            raise
        with connection, connection.cursor() as cursor:
            cursor.execute("alter user 'root'@'%%' identified by %s", (self.password,))

    def _connect(self, password: str) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=password, connect_timeout=5, autocommit=True
        )


def start_tidb(directory: Path) -> TidbServer:
    """Start a TiDB server on a free port and return it, building it first if need be (8 to 12 minutes, once).

    Raises
    ------
    LocalError
        When it cannot be built or does not start.
    """
    server = TidbServer(
        directory, port=free_port(), password=secrets.token_urlsafe(18), status_port=free_port()
    )
    server.start()
    return server
