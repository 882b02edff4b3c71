"""Upkeep's own user on the tests' servers, made by the role file: whatever Upkeep does there, it does as that one.

The administrator's connections are the tests', to make what is looked at and to inject faults.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote
from weakref import WeakSet

import psycopg
import pymongo
import pymysql
import redis

from local.servers import MongoServer, RedisServer, TidbServer
from upkeep import rolefiles
from upkeep.mongo import rights as mongo_rights
from upkeep.redis.rights import FILES
from upkeep.rolefiles import Section
from upkeep.tidb import rights as tidb_rights

USER: Final = "upkeep"
USER_OF_MONGO: Final = "ours"
"""There the administrator is called `USER`."""
POSTGRES: Final = {
    "enforce": (USER, "sql/roles/postgres_target.sql"),
    "observe": ("upkeep_observer", "sql/roles/postgres_observer.sql"),
}
"""What the role is called in the role file."""
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


def of(engine: str, path: str, jobs: Collection[str] = ()) -> Iterator[Section]:
    """Yield the sections of a role file: what every job needs, and what these need; none: all."""
    for section in rolefiles.sections(engine, path):
        if not jobs or section.job in {rolefiles.ALWAYS, *jobs}:
            yield section


def make_redis_user(
    client: Any,
    user: str,
    password: str,
    *,
    mode: str = "enforce",
    keys: str = "~*",
    jobs: Collection[str] = (),
    named: Mapping[str, str] | None = None,
) -> None:
    """Make a user as the role file says, with other keys than those of its example.

    Parameters
    ----------
    jobs
        Those whose sections it gets; none: all.
    named
        Patterns of keys in the place of the example's; else ``keys`` are given instead of all of them.
    """
    info = client.info("server")
    major = int(str(info.get("valkey_version") or info["redis_version"]).partition(".")[0])
    for section in of("redis", FILES[mode], jobs):
        if section.holds(major):
            acl, verb, _, *words = shlex.split(section.text)
            if named is not None:
                words = [f"~{named.get(word[1:], word[1:])}" if word[0] == "~" else word for word in words]
            else:
                words = [word for word in words if word[0] != "~"]
            client.execute_command(acl, verb, user, *words)
    client.execute_command("ACL", "SETUSER", user, f">{password}", *(keys.split() if named is None else ()))


def mongo_uri(server: MongoServer, database: str = "admin") -> str:
    """Return the address of a MongoDB server for Upkeep's user, which is made at first; any database is in its care."""
    if server not in _MADE:
        with pymongo.MongoClient(server.uri()) as client:
            make_mongo_user(client.admin, USER_OF_MONGO, server.password)
        _MADE.add(server)
    return server.uri(database).replace(f"{server.user}:", f"{USER_OF_MONGO}:", 1)


def make_mongo_user(
    admin: Any,
    user: str,
    password: str,
    *,
    mode: str = "enforce",
    jobs: Collection[str] = (),
    named: Mapping[str, Sequence[str]] | None = None,
    database: str = "",
) -> None:
    """Make a role and a user as the role file says.

    Parameters
    ----------
    jobs
        Those whose sections it gets; none: all.
    named
        Collections in the place of the file's ``archive`` and ``series``; else all of the database.
    database
        What it is for; empty: every one.
    """
    for section in of("mongo", mongo_rights.FILES[mode], jobs):
        command = mongo_rights.command(section)
        privileges: list[Any] = []
        for privilege in command["privileges"]:
            resource = privilege["resource"]
            if resource.get("db") == mongo_rights.DATABASE:
                kind = resource.get("collection")
                names = (named or {}).get(kind, [""]) if kind in mongo_rights.KINDS else [kind]
                more = [{} if name is None else {"collection": name} for name in names]
                privileges += [{**privilege, "resource": {**resource, "db": database, **one}} for one in more]
            else:
                privileges.append(privilege)
        verb = next(iter(command))
        admin.command({**command, verb: user, "privileges": privileges})
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


def make_tidb_user(
    cursor: Any, user: str, password: str, database: str, *, mode: str = "enforce", jobs: Collection[str] = ()
) -> None:
    """Make a user as the role file says, for a database in the place of the file's; ``jobs``: none are all."""
    for statement in statements("tidb", tidb_rights.FILES[mode], jobs):
        text = re.sub(r"'upkeep\w*'", f"'{user}'", statement)
        cursor.execute(text.replace("app.*", f"`{database}`.*"))
    cursor.execute(f"alter user '{user}'@'%' identified by '{password}' account unlock")


def make_postgres_role(
    db: psycopg.Connection[Any],
    user: str,
    password: str,
    others: Mapping[str, str],
    *,
    mode: str = "enforce",
    jobs: Collection[str] = (),
) -> None:
    """Make a role as a role file says, with other names than the file's; ``jobs``: none are all."""
    ours, path = POSTGRES[mode]
    names = {**others, ours: user}
    for statement in statements("postgres", path, jobs):
        db.execute(cast("Any", re.sub(r"\w+", lambda match: names.get(match[0], match[0]), statement)))
    db.execute(cast("Any", f"alter role {user} password '{password}'"))


def statements(engine: str, path: str, jobs: Collection[str]) -> Iterator[str]:
    """Yield the statements of the sections of a role file in SQL."""
    for section in of(engine, path, jobs):
        yield from filter(None, map(str.strip, section.text.split(";")))
