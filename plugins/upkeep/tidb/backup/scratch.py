"""Restoring: into a server of its own for the proof, into an empty database of somebody's when it is needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import pymysql

from upkeep import programs, scratch
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, NotAvailableError, ProgramError
from upkeep.jobs.backup.copier import Bench, unavailable
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.backup.verify import DamagedError
from upkeep.jobs.errors import ActionError
from upkeep.tidb import sql
from upkeep.tidb.backup import files, source
from upkeep.tidb.connection import Connection, connect
from upkeep.tidb.names import Name
from upkeep.tidb.session import TiDBSession

SERVER: Final = "tidb-server"
THREADS: Final = 3
_TIMES: Final = 6
_ROOM: Final = 1 << 29
"""Bytes that a scratch server takes for each byte of the files, and at least."""
_CONFIG: Final = """host = "127.0.0.1"
port = 0
socket = "{path}/socket"
temp-dir = "{path}/temp"
new_collations_enabled_on_first_bootstrap = {collation}
initialize-sql-file = "{first}"
[status]
report-status = false
[log]
level = "error"
slow-query-file = "{path}/slow.log"
"""
_FIRST: Final = """alter user 'root'@'%' identified by '{password}';
set global tidb_ttl_job_enable = off;
set global tidb_enable_auto_analyze = off;
"""


def count(place: Path, _manifest: Manifest, bench: Bench) -> dict[str, int]:
    """Read all files, and count the rows of each table in them."""
    try:
        found = files.rows(place, bench.checkpoint)
    except OSError as error:
        raise DamagedError(f"cannot be read: {error.strerror}") from error
    return {str(Name(_manifest.database, table)): rows for table, rows in found.items()}


@contextmanager
def restored(place: Path, manifest: Manifest, bench: Bench) -> Iterator[Address]:
    """Load the files into a server of its own, in which nothing goes by itself."""
    program = _program(manifest)
    with scratch.place("tidb", reserve=_reserve(place)) as room:
        password = secrets.token_urlsafe(24)
        first = room.write("first.sql", _FIRST.format(password=password))
        collation = str(manifest.needs["new_collation"]).lower()
        config = room.write("tidb.toml", _CONFIG.format(path=room.path, first=first, collation=collation))
        command: list[str | Path] = [
            program,
            "-config",
            config,
            "-store",
            "unistore",
            "-path",
            room.path / "data",
            "-P",
            "0",
        ]
        address = Address("scratch", f"{room.path}/socket", None, "root", "", password, {}, "tidb")
        with room.server(command, ready=lambda: _answers(address), checkpoint=bench.checkpoint):
            into = Address("scratch", address.host, None, "root", manifest.database, password, {}, "tidb")
            with connect(address).cursor() as cursor:
                cursor.execute(
                    sql.fill("create database if not exists {name}", name=sql.identifier(into.database)).text
                )
            try:
                load(place, into, bench)
            except ProgramError as error:
                _blame(address, error)
            yield into


def missing(place: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what this machine lacks of what a server of its own needs."""
    yield from unavailable(lambda: _program(manifest), lambda: scratch.look_for_room(_reserve(place)))


def _reserve(place: Path) -> int:
    return _TIMES * sum(path.stat().st_size for path in place.iterdir()) + _ROOM


def _program(manifest: Manifest) -> Path:
    program = programs.find(SERVER)
    version = programs.version(program, "-V").rpartition(":")[2].strip()
    if programs.major_of(version) != manifest.needs["major"]:
        raise NotAvailableError(f"{program} is of version {version}, the backup of {manifest.server_version}")
    return program


def _blame(address: Address, error: ProgramError) -> NoReturn:
    """Say what a load that failed means: that the backup is damaged, if the server is still there."""
    try:
        _answers(address)
    except (OSError, pymysql.MySQLError):
        raise NotAvailableError(f"the scratch server {SERVER} ended before the proof did") from error
    raise DamagedError(str(error)) from error


def _answers(address: Address) -> None:
    connect(address).close()


def load(place: Path, into: Address, bench: Bench) -> None:
    """Run the files' statements in an empty database. Raises `ProgramError`, without a value, when one is refused."""
    with _loading(into) as connection:
        for schema in files.schemas(place):
            _run(connection, schema.path, bench)
    _rows(place, into, bench)
    views = place / files.VIEWS
    if views.exists():
        with _loading(into) as connection:
            _run(connection, views, bench)


@contextmanager
def _loading(into: Address) -> Iterator[Connection]:
    connection = connect(into, application="upkeep restore")
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.statement("backup/names").text)
        yield connection
    finally:
        connection.close()


def _run(connection: Connection, path: Path, bench: Bench) -> None:
    for statement in files.stream(path):
        bench.checkpoint()
        try:
            connection.query(statement)  # bytes, as they are in the file
        except pymysql.MySQLError as error:
            raise ProgramError(f"{path.name} is not taken: {source.said(error)}") from None


def _rows(place: Path, into: Address, bench: Bench) -> None:
    def one(path: Path, part: Bench) -> None:
        part.checkpoint()
        with _loading(into) as connection:
            _run(connection, path, part)

    bench.side_by_side(THREADS, [partial(one, path) for _, path in files.data(place)], "files are loaded")


def look(address: Address, manifest: Manifest) -> Sequence[Contents]:
    """Return what is there: rows counted, definitions in their lines, checksums where the manifest has them."""
    session = TiDBSession.connect(address, application="upkeep verify")
    try:
        return [_seen(session, row, manifest) for row in session.rows("backup/objects", {"schema": session.database})]
    finally:
        session.close()


def _seen(session: TiDBSession, row: dict[str, str], manifest: Manifest) -> Contents:
    name = Name(session.database, row["name"])
    if row["kind"] == "VIEW":
        (made,) = session.rows("backup/view", view=name.identifier)
        session.execute(sql.fill("explain select * from {view}", view=name.identifier))  # what it stands on is there
        return Contents(name=str(name), kind="view", structures=(" ".join(str(made["Create View"]).splitlines()),))
    known = manifest.object(str(name))
    if row["kind"] == "SEQUENCE":
        told = known is not None and known.structures
        stands = (f"stands at {source.stands(session, name)}",) if told else ()
        return Contents(name=str(name), kind="sequence", structures=stands)
    found = source.checksum(session, name)
    (made,) = session.rows("show_create", table=name.identifier)
    return Contents(
        name=str(name),
        rows=int(found.partition("-")[0]),
        structures=files.lines(str(made["Create Table"]), known.structures if known is not None else ()),
        checksum=found if known is not None and known.checksum is not None else None,
    )


def restore(place: Path, manifest: Manifest, address: Address, bench: Bench) -> None:
    """Load the backup into an empty database of somebody's."""
    session = TiDBSession.connect(address, application="upkeep restore")
    try:
        source.refuse_full(session)
        if session.database != manifest.database and (place / files.VIEWS).exists():
            raise ConfigurationError(
                f"the views of the backup name their database: restore into one that is called {manifest.database}"
            )
    finally:
        session.close()
    try:
        load(place, address, bench)
    except ProgramError as error:
        raise ActionError(str(error)) from error


def instructions(manifest: Manifest) -> str:
    """Return how to restore it without us."""
    return f"""The files in data/ are SQL as dumpling writes it, of TiDB {manifest.server_version}.

1. Take an empty TiDB of the same major version, and make the database:
       CREATE DATABASE `{manifest.database}`;
   Keep rows from going by themselves meanwhile:   SET GLOBAL tidb_ttl_job_enable = OFF;
2. Definitions, then rows, then views, with the database chosen (mysql -h … -P 4000 -u root -p {manifest.database}):
       set foreign_key_checks = 0, time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO',
           allow_auto_random_explicit_insert = 1;
       source each of data/*-schema*.sql (not -schema-create), then data/*.NNNNNNNNN.sql, then data/{files.VIEWS}
   Large ones: TiDB Lightning reads the same folder (backend tidb; move {files.VIEWS} out of it first).
3. Compare:   SELECT COUNT(*) for each table with "rows" in manifest.json
4. SET GLOBAL tidb_ttl_job_enable = ON;   then ANALYZE TABLE, for the planner knows nothing yet.
"""
