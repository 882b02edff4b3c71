"""How each trouble is provoked on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final

import psycopg

from tests.harness import servers, troubles
from tests.harness.contract import Place
from tests.harness.troubles import Scene, Way
from upkeep.postgres.data_retention import batches, throttle

DELETE: Final = "tables: {app.logs: {retain: {by: at, for: 30 days, then: delete, requires: nothing}}}"
ARCHIVE: Final = (
    "tables: {app.logs: {retain: {by: at, for: 30 days, then: archive, into: app.kept, precision: row, "
    "requires: nothing}}}"
)
ROLE: Final = f"limited_{os.getpid()}"


def make(db: psycopg.Connection[Any]) -> None:
    db.execute("create schema app")
    for table in ("logs", "kept"):
        db.execute(f"create table app.{table} (id bigint primary key, at timestamptz not null, msg text)")
        db.execute(f"create index on app.{table} (at)")
    db.execute("insert into app.logs select n, now() - interval '24:01:00' * n, 'row' from generate_series(1, 60) n")
    db.execute("analyze")


@contextmanager
def limited(place: Place) -> Iterator[str]:
    """Log in as a role with the rights that deleting takes."""
    known = psycopg.conninfo.conninfo_to_dict(place.uri)
    place.db.execute(f"create role {ROLE} login password '{ROLE}' in role pg_read_all_stats")
    try:
        place.db.execute(f"grant usage on schema app to {ROLE}")
        place.db.execute(f"grant select, delete on app.logs to {ROLE}")
        yield f"postgresql://{ROLE}:{ROLE}@{known['host']}:{known['port']}/{known['dbname']}"
    finally:
        place.db.execute(f"drop owned by {ROLE}")
        place.db.execute(f"drop role {ROLE}")


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    scene.patch.setattr(batches, "TRIES", 1)
    scene.patch.setattr(batches, "LOCK_WAIT", "50ms")
    with psycopg.connect(scene.place.uri) as other:
        other.execute("lock table app.logs in access exclusive mode")
        yield


def archiver_behind(scene: Scene) -> None:
    """The archive command fails; two full segments are too many here, and nobody waits for them."""
    for name, value in (("MAX_SEGMENTS", 1), ("LOOK_SECONDS", 0.0), ("GIVE_UP_SECONDS", 0.0)):
        scene.patch.setattr(throttle, name, value)
    for _ in range(2):
        scene.db.execute("create table if not exists app.other (id int)")
        scene.db.execute("insert into app.other values (1)")
        scene.db.execute("select pg_switch_wal()")


def terminate(scene: Scene) -> None:
    scene.db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'upkeep' and datname = current_database()"
    )


def swallow(scene: Scene) -> None:
    """Rows arrive in the archive and are thrown away there."""
    scene.db.execute("create function app.f() returns trigger language plpgsql as 'begin return null; end'")
    scene.db.execute("create trigger t before insert on app.kept for each row execute function app.f()")


def says(statement: str) -> Any:
    return troubles.strike(lambda scene: scene.db.execute(statement))


def own(**settings: str) -> AbstractContextManager[Any]:
    return servers.alone(partial(servers.start_postgres, settings=settings))


WAYS: Final[Mapping[str, Way | str]] = {
    "altered": Way(says("alter table app.logs rename column at to moment"), make, DELETE),
    "gone": Way(says("drop table app.logs"), make, DELETE),
    "locked": Way(locked, make, DELETE),
    "overloaded": Way(
        troubles.strike(archiver_behind),
        make,
        DELETE,
        server=partial(own, archive_mode="on", archive_command="false"),
    ),
    "connection killed": Way(troubles.before("delete", terminate), make, DELETE),
    "no privilege": Way(says(f"revoke delete on app.logs from {ROLE}"), make, DELETE, user=limited),
    "no writes": (
        "a server that becomes a replica ends every session first (a lost connection), our sessions are never read "
        "only by a setting (`session_begin.sql`), and no test fills a disk"
    ),
    "not the same rows": Way(troubles.strike(swallow), make, ARCHIVE),
    "cancelled": Way(troubles.strike(troubles.cancel), make, DELETE),
    "no way back": Way(lambda _: nullcontext(), make, DELETE),
}
