"""What the tests of the TiDB room share: a database of one's own, a session on it, a fleet in one line."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pymysql

from local.servers import TidbServer
from tests.harness import jobs, rights
from upkeep.engines import Address
from upkeep.fleet import Target
from upkeep.tidb.session import TiDBSession

_numbers = itertools.count(1)


class Db:
    """A database of the test's own, with a plain connection to it."""

    def __init__(self, server: TidbServer, name: str) -> None:
        self.server, self.name = server, name
        self.uri, self.admin_uri = rights.tidb_uri(server, name), server.uri(name)
        self.connection = self.connect()

    def connect(self) -> Any:
        return pymysql.connect(
            host=self.server.host,
            port=self.server.port,
            user=self.server.user,
            password=self.server.password,
            database=self.name,
            autocommit=True,
            charset="utf8mb4",
        )

    def run(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def many(self, statement: str, values: list[Any]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(statement, values)

    def value(self, statement: str) -> Any:
        return self.run(statement)[0][0]

    def bounds(self, table: str) -> list[str]:
        rows = self.run(
            "select partition_description from information_schema.partitions where table_schema = %s and "
            "table_name = %s order by partition_ordinal_position",
            (self.name, table),
        )
        return [str(r[0]).strip("'").removesuffix(" 00:00:00") for r in rows]

    def parts(self, table: str) -> list[str]:
        rows = self.run(
            "select partition_name from information_schema.partitions where table_schema = %s and table_name = %s "
            "order by partition_ordinal_position",
            (self.name, table),
        )
        return [r[0] for r in rows]

    def tables(self) -> list[str]:
        return [r[0] for r in self.run("show tables")]


@contextmanager
def fresh(server: TidbServer) -> Iterator[Db]:
    name = f"t_{os.getpid()}_{next(_numbers)}"
    with pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
    ) as connection:
        connection.cursor().execute(f"create database {name}")
        db = Db(server, name)
        try:
            yield db
        finally:
            db.connection.close()
            connection.cursor().execute(f"drop database {name}")


def address(db: Db, **other: Any) -> Address:
    return jobs.address(db.uri, **other)


def session(db: Db) -> AbstractContextManager[TiDBSession]:
    return jobs.session("tidb", db.uri)


def target(tables: Mapping[str, str], more: str = "") -> Target:
    return jobs.declare("tidb", "tables", tables, more)
