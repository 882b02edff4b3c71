"""Upkeep's own user on the tests' servers, made by the role file: whatever Upkeep does there, it does as that one.

The administrator's connections are the tests', to make what is looked at and to inject faults.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Final
from urllib.parse import quote
from weakref import WeakSet

import pymongo
import pymysql
import redis

from local.servers import MongoServer, RedisServer, TidbServer
from upkeep import rolefiles
from upkeep.mongo import rights as mongo_rights
from upkeep.redis.rights import FILES
from upkeep.tidb import rights as tidb_rights

USER: Final = "upkeep"
USER_OF_MONGO: Final = "ours"
"""There the administrator is called `USER`."""
TIDB_DATABASES: Final = r"t\_%"
"""Those of `tests.harness.tidb.fresh`, as GRANT names many at once."""
_MADE: Final[WeakSet[MongoServer | TidbServer]] = WeakSet()


def redis_uri(server: RedisServer, database: str = "0") -> str:
    """Return the address of a Redis server for Upkeep's user, which is made at first; all keys are in its care."""
    if f"user {USER}" not in server.settings:
        with redis.Redis.from_url(server.uri(), decode_responses=True) as client:
            make_redis_user(client, USER, server.password)
            (rules,) = (line for line in client.acl_list() if line.startswith(f"user {USER} "))
        # in the configuration: a server that was killed comes back with its users
        server.settings[f"user {USER}"] = rules.removeprefix(f"user {USER} ")
    return f"redis://{USER}:{quote(server.password, safe='')}@{server.host}:{server.port}/{database}"


def make_redis_user(client: Any, user: str, password: str, *, mode: str = "enforce", keys: str = "~*") -> None:
    """Make a user as the role file says, with other keys than those of its example."""
    info = client.info("server")
    major = int(str(info.get("valkey_version") or info["redis_version"]).partition(".")[0])
    for section in rolefiles.sections("redis", FILES[mode]):
        if section.holds(major):
            acl, verb, _, *words = shlex.split(section.text)
            client.execute_command(acl, verb, user, *(word for word in words if not word.startswith("~")))
    client.execute_command("ACL", "SETUSER", user, f">{password}", *keys.split())


def mongo_uri(server: MongoServer, database: str = "admin") -> str:
    """Return the address of a MongoDB server for Upkeep's user, which is made at first; any database is in its care."""
    if server not in _MADE:
        with pymongo.MongoClient(server.uri()) as client:
            make_mongo_user(client.admin, USER_OF_MONGO, server.password)
        _MADE.add(server)
    return server.uri(database).replace(f"{server.user}:", f"{USER_OF_MONGO}:", 1)


def make_mongo_user(admin: Any, user: str, password: str, *, mode: str = "enforce") -> None:
    """Make a role and a user as the role file says, for every database in place of one."""
    for section in rolefiles.sections("mongo", mongo_rights.FILES[mode]):
        command = mongo_rights.command(section)
        for privilege in command["privileges"]:
            if privilege["resource"].get("db") == mongo_rights.DATABASE:
                privilege["resource"]["db"] = ""
                if privilege["resource"].get("collection") in mongo_rights.KINDS:
                    privilege["resource"]["collection"] = ""
        verb = next(iter(command))
        admin.command({**command, verb: user})
    admin.command("createUser", user, pwd=password, roles=[user])


def tidb_uri(server: TidbServer, database: str) -> str:
    """Return the address of a test's database for Upkeep's user, which is made at first; all such are in its care."""
    if server not in _MADE:
        with pymysql.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
        ) as connection:
            make_tidb_user(connection.cursor(), USER, server.password, TIDB_DATABASES)
        _MADE.add(server)
    return tidb_login(server, USER, database)


def tidb_login(server: TidbServer, user: str, database: str) -> str:
    """Return the address of a TiDB database for a user of ours."""
    return f"tidb://{user}:{quote(server.password, safe='')}@{server.host}:{server.port}/{quote(database)}"


def make_tidb_user(cursor: Any, user: str, password: str, database: str, *, mode: str = "enforce") -> None:
    """Make a user as the role file says, for a database in the place of the file's."""
    for section in rolefiles.sections("tidb", tidb_rights.FILES[mode]):
        for statement in filter(None, map(str.strip, section.text.split(";"))):
            text = re.sub(r"'upkeep\w*'", f"'{user}'", statement)
            cursor.execute(text.replace("app.*", f"`{database}`.*"))
    cursor.execute(f"alter user '{user}'@'%' identified by '{password}' account unlock")
