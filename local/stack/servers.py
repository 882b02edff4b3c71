"""The stack's database servers: the same classes as in tests, on remembered ports and passwords."""

import os

from local.servers import MongoServer, PostgresServer, RedisServer, Server, TidbServer
from local.stack.state import State
from upkeep import settings

# A laptop's stack: small, but with what maintenance looks at (statistics, slow statements).
POSTGRES_SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_level": "logical",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "log_min_duration_statement": "5s",
}
REDIS_SETTINGS = {"maxmemory": "512mb"}
TIDB_DATABASE = "app"


def external_tidb() -> str | None:
    """Return the address of a TiDB to use instead of building one: ``tidb://user:password@host:4000/database``."""
    return os.environ.get("UPKEEP_TIDB_URI")


def stack_servers(state: State) -> dict[str, Server]:
    """Return the stack's servers by program name, none of them started by this."""
    ports, passwords, home = state.ports, state.secrets, settings.state_dir()
    servers: list[Server] = [
        PostgresServer(
            home / "postgres", port=ports["postgres"], password=passwords["postgres"], settings=POSTGRES_SETTINGS
        ),
        RedisServer(home / "redis", port=ports["redis"], password=passwords["redis"], settings=REDIS_SETTINGS),
        MongoServer(home / "mongo", port=ports["mongo"], password=passwords["mongo"]),
    ]
    if not external_tidb():
        servers.append(
            TidbServer(
                home / "tidb",
                port=ports["tidb"],
                password=passwords["tidb"],
                status_port=ports["tidb_status"],
                database=TIDB_DATABASE,
            )
        )
    return {server.name: server for server in servers}
