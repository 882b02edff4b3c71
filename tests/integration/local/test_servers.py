"""The servers of the tests themselves: they answer, ask for a password, survive a kill."""

import psycopg
import pymongo
import pymysql
import pytest
import redis
from pymongo.errors import OperationFailure

from local.servers import MongoServer, PostgresServer, RedisServer, TidbServer


def test_postgres_database_is_fresh_and_empty(database: str, control_database: str) -> None:
    assert database != control_database
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from pg_class where relnamespace = 'public'::regnamespace").fetchone()
    assert row == (0,)


def test_postgres_keeps_committed_rows_through_kill(own_postgres_server: PostgresServer) -> None:
    with psycopg.connect(own_postgres_server.uri(), autocommit=True) as connection:
        connection.execute("create table kept as select generate_series(1, 1000) as n")
    own_postgres_server.kill()
    assert own_postgres_server.pid is None
    own_postgres_server.start()
    with psycopg.connect(own_postgres_server.uri()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1000,)


def test_postgres_wants_the_password(postgres_server: PostgresServer) -> None:
    uri = postgres_server.uri().replace(postgres_server.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(uri)


def test_redis_answers_and_wants_the_password(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.uri()) as client:
        assert client.ping()
    with redis.Redis(port=redis_server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_mongo_is_a_primary_and_wants_the_password(mongo_server: MongoServer) -> None:
    with pymongo.MongoClient(mongo_server.uri("infrastructure")) as client:
        assert client.admin.command("hello")["isWritablePrimary"]
        client["infrastructure"]["probe"].insert_one({"n": 1})
    with (
        pymongo.MongoClient("127.0.0.1", mongo_server.port, directConnection=True) as client,
        pytest.raises(OperationFailure),
    ):
        client["infrastructure"]["probe"].find_one()


@pytest.mark.tidb
def test_tidb_answers_and_wants_the_password(tidb_server: TidbServer) -> None:
    login = {"host": tidb_server.host, "port": tidb_server.port, "user": tidb_server.user}
    with pymysql.connect(**login, password=tidb_server.password) as connection, connection.cursor() as cursor:
        cursor.execute("select version()")
        assert "TiDB-v8.5" in cursor.fetchone()[0]
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(**login, password="")
