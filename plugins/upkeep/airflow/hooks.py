"""Hooks for people's own DAGs: Airflow's hooks, which also give Upkeep's address and session.

The maintenance DAGs themselves resolve connections through `upkeep.airflow.addresses`, which imports no
driver. A session is a context manager::

    with UpkeepPostgresHook("orders").session() as session:
        session.now()
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.providers.mongo.hooks.mongo import MongoHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.providers.redis.hooks.redis import RedisHook

from upkeep import engines
from upkeep.airflow.addresses import resolve

if TYPE_CHECKING:
    from upkeep.engines import Address, Session


class _Reach:
    """What every hook of ours offers: where the server is, and a session of its engine's room."""

    engine: ClassVar[str]
    conn_name_attr: str

    def address(self) -> Address:
        """Return the address behind the hook's connection id."""
        return resolve(str(getattr(self, self.conn_name_attr)))

    def session(self, application: str = "airflow") -> AbstractContextManager[Session]:
        """Open a session of the engine's room. Raises `UnreachableError` without showing the password."""
        return engines.engine(self.engine).open(self.address(), application=application)


class UpkeepPostgresHook(_Reach, PostgresHook):
    """PostgreSQL, through psycopg 3."""

    engine = "postgres"


class UpkeepMongoHook(_Reach, MongoHook):
    """MongoDB."""

    engine = "mongo"


class UpkeepRedisHook(_Reach, RedisHook):
    """Redis."""

    engine = "redis"


class TiDBHook(_Reach, DbApiHook):
    """TiDB over its MySQL protocol, with PyMySQL: no C library is needed."""

    engine = "tidb"
    conn_name_attr = "tidb_conn_id"
    default_conn_name = "tidb_default"
    conn_type = "tidb"
    hook_name = "TiDB"
    supports_autocommit = True
    placeholder = "%s"

    def get_conn(self) -> Any:
        """Return an open connection of the driver."""
        from upkeep.tidb.connection import connect  # noqa: PLC0415 - the driver belongs to the engine's room

        return connect(self.address())

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what Airflow's connection form shows."""
        return {
            "hidden_fields": [],
            "relabeling": {"schema": "Database"},
            "placeholders": {"port": "4000", "extra": '{"ssl_ca": "/path/ca.pem", "ssl_verify_identity": true}'},
        }
