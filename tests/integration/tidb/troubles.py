"""How each trouble is provoked on TiDB."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.harness import troubles
from tests.harness.contract import Place
from tests.harness.tidb import Db
from tests.harness.troubles import Scene, Way
from upkeep.tidb.data_retention import batches
from upkeep.tidb.sql import Sql

DELETE: Final = "tables: {events: {retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}}}"
ARCHIVE: Final = DELETE.replace("then: delete", "then: archive, into: kept")
WHOLE: Final = "tables: {months: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}}"
USER: Final = f"limited_{os.getpid()}"
OLD: Final = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(days=60)


def make(db: Db) -> None:
    for table in ("events", "kept"):
        db.run(f"create table {table} (id bigint primary key, at datetime not null, msg varchar(20), key (at))")
    db.many("insert into events values (%s, %s, 'row')", [(n, OLD + timedelta(minutes=n)) for n in range(30)])


def make_months(db: Db) -> None:
    parts = "partition p0 values less than ('2024-02-01'), partition p1 values less than ('2100-01-01')"
    db.run(f"create table months (id bigint, at datetime, key (at)) partition by range columns (at) ({parts})")
    db.run("insert into months values (1, '2024-01-10')")


@contextmanager
def limited(place: Place) -> Iterator[str]:
    """Log in as a user with the rights that deleting takes."""
    db: Db = place.db
    db.run(f"create user {USER} identified by '{USER}'")
    try:
        db.run(f"grant select, insert, delete on `{db.name}`.* to {USER}")
        db.run(f"grant select on mysql.tidb to {USER}")
        db.run(f"grant process on *.* to {USER}")
        yield f"tidb://{USER}:{USER}@{db.server.host}:{db.server.port}/{db.name}"
    finally:
        db.run(f"drop user {USER}")


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    scene.patch.setattr(batches, "TRIES", 1)
    other = scene.db.connect()
    try:
        with other.cursor() as cursor:
            cursor.execute("begin pessimistic")
            cursor.execute("update events set msg = 'held'")
            yield
    finally:
        other.close()


@contextmanager
def no_connection_left(scene: Scene) -> Iterator[None]:
    """A schema change is sent on a second connection: there is none."""
    taken = scene.db.value("select count(*) from information_schema.processlist")
    before = scene.db.value("select @@global.max_connections")
    scene.db.run(f"set global max_connections = {taken}")
    try:
        yield
    finally:
        scene.db.run(f"set global max_connections = {before}")


@contextmanager
def read_only(scene: Scene) -> Iterator[None]:
    scene.db.run("set global tidb_restricted_read_only = on")
    try:
        yield
    finally:
        scene.db.run("set global tidb_restricted_read_only = off")
        scene.db.run("set global tidb_super_read_only = off")


def kill(scene: Scene) -> None:
    session: Any = scene.work.session
    scene.db.run(f"kill tidb {session.connection_id}")


def arrive(scene: Scene) -> None:
    """A row comes into the range between the copy and the delete; from the same session, so that none waits."""
    scene.patch.setattr(batches, "TRIES", 1)
    scene.work.session.execute(Sql(f"insert into events values (1000, '{OLD:%Y-%m-%d %H:%M:%S}', 'late')"))


def says(statement: str) -> Any:
    return troubles.strike(lambda scene: scene.db.run(statement))


WAYS: Final[Mapping[str, Way | str]] = {
    "altered": Way(says("alter table events rename column at to moment"), make, DELETE),
    "gone": Way(says("drop table events"), make, DELETE),
    "locked": Way(locked, make, DELETE),
    "overloaded": Way(no_connection_left, make_months, WHOLE),
    "connection killed": Way(troubles.before("delete", kill), make, DELETE),
    "no privilege": Way(
        troubles.strike(lambda scene: scene.db.run(f"revoke delete on `{scene.db.name}`.* from {USER}")),
        make,
        DELETE,
        user=limited,
    ),
    "no writes": Way(read_only, make, DELETE, user=limited),
    "not the same rows": Way(troubles.before("delete", arrive), make, ARCHIVE),
    "cancelled": Way(troubles.strike(troubles.cancel), make, DELETE),
    "no way back": Way(lambda _: nullcontext(), make, DELETE),
}
