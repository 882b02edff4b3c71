"""Real servers for tests and the local stack: free port, own directory, password, ended by process id only."""

from local.process import temporary_directory
from local.servers.base import Server
from local.servers.mongo import MongoServer, start_mongo
from local.servers.postgres import PostgresServer, start_postgres
from local.servers.redis import RedisServer, start_redis
from local.servers.tidb import TidbServer, start_tidb

__all__ = [
    "MongoServer",
    "PostgresServer",
    "RedisServer",
    "Server",
    "TidbServer",
    "start_mongo",
    "start_postgres",
    "start_redis",
    "start_tidb",
    "temporary_directory",
]
