"""A server for a proof: as the source's, reached by a socket only, and leading nowhere itself."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from upkeep import programs, scratch
from upkeep.engines import Address
from upkeep.errors import NotAvailableError, ProgramError
from upkeep.jobs.backup.copier import Bench, unavailable
from upkeep.jobs.backup.manifest import Manifest
from upkeep.jobs.backup.verify import DamagedError
from upkeep.postgres import faults
from upkeep.postgres.backup import archive, tools
from upkeep.postgres.session import statement

DATABASE: Final = "restored"
_JOBS: Final = min(4, os.cpu_count() or 1)
_PORT: Final = 5432
_MARGIN: Final = 1.3
_BESIDE: Final = 256 << 20
"""What an empty cluster and its WAL take."""
_SETTINGS: Final = {
    # Nobody comes in but by the socket, which lies in a closed directory; nothing goes out or starts by itself.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "archive_mode": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "autovacuum": "off",
    # Of a crash nothing would be kept anyway.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    # Shared memory in files of its own directory: a killed server leaves nothing elsewhere.
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "20",
    "max_locks_per_transaction": "1024",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}
_SIGNALLED: Final = 128
_OF_HERE: Final = (
    *("No space left", "quota exceeded", "out of memory", "server closed the connection", "terminating connection"),
    *("connection to server", "the database system is", "no connection to the server"),
)
"""Trouble of this machine, not of the backup."""
_PROVIDERS: Final = {"i": ("icu", "icu_locale"), "b": ("builtin", "builtin_locale")}


@contextmanager
def restored(place: Path, manifest: Manifest, bench: Bench) -> Iterator[Address]:
    """Restore a backup into a server of its own, and give its address.

    Raises
    ------
    NotAvailableError
        No such server can be had here: its version, an extension, its locale or the room for it is missing.
    DamagedError
        It cannot be restored without errors.
    """
    needs = manifest.needs
    postgres = programs.find("postgres", major=needs["major"])
    initdb = programs.find("initdb", major=needs["major"])
    with scratch.place("postgres", reserve=_reserve(needs)) as room:
        address = _initialised(initdb, room, bench)
        command: list[str | Path] = [postgres, "-D", room.path / "data", *_options(room.path, needs["major"])]
        with room.server(
            command, ready=lambda: _connect(address).close(), checkpoint=bench.checkpoint, stop=signal.SIGINT
        ):
            _prepare(address, needs)
            into = replace(address, database=DATABASE)
            _restore(place, manifest, into, bench)
            yield into


def missing(_place: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what this machine lacks of what a server of its own needs."""
    needs = manifest.needs
    yield from unavailable(
        lambda: programs.find("initdb", major=needs["major"]),
        lambda: tools.restorer(needs["dumped_by"]),
        lambda: scratch.look_for_room(_reserve(needs)),
        lambda: _look_for_extensions(needs),
    )


def _reserve(needs: dict[str, Any]) -> int:
    return round(int(needs["bytes"]) * _MARGIN) + _BESIDE


def _look_for_extensions(needs: dict[str, Any]) -> None:
    """Look for the files of the extensions beside the server's program.

    Raises
    ------
    NotAvailableError
        One is not there, or the program is not.
    ProgramError
        They could not be looked at.
    """
    major = needs["major"]
    asked = programs.find("postgres", major=major).with_name("pg_config")
    if not needs["extensions"]:
        return
    try:
        folder = Path(programs.version(asked, "--sharedir")) / "extension"
    except (OSError, NotAvailableError) as error:
        raise ProgramError(f"extensions were not looked at: {error}") from None
    absent = [name for name in needs["extensions"] if not (folder / f"{name}.control").exists()]
    if absent:
        raise NotAvailableError(
            f"not installed for the PostgreSQL {major} of this machine: extension {', '.join(absent)}"
        )


def _initialised(initdb: Path, room: scratch.Place, bench: Bench) -> Address:
    """Make a cluster; its superuser has a name that no backup has."""
    password, user = secrets.token_urlsafe(18), f"upkeep_{secrets.token_hex(6)}"
    secret = room.write("password", password)
    command = [
        *(str(initdb), "--pgdata", str(room.path / "data"), "--username", user, "--pwfile", str(secret)),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
    ]
    bench.run(command, user=room.user, cwd=room.path, environment={"HOME": str(room.path)}, clean=tools.clean).fine()
    secret.unlink()
    return Address(
        connection_id="a scratch server",
        host=str(room.path),
        port=_PORT,
        user=user,
        database="postgres",
        password=password,
    )


def _options(sockets: Path, major: int) -> list[str]:
    settings = {**_SETTINGS, "port": str(_PORT), "unix_socket_directories": str(sockets)}
    if major >= 17:  # noqa: PLR2004 - since then
        settings["event_triggers"] = "off"
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _connect(address: Address) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        dbname=address.database,
        connect_timeout=5,
        autocommit=True,
    )


def _prepare(address: Address, needs: dict[str, Any]) -> None:
    """Make what a restore needs beside the backup: extensions that can be made, roles, the database."""
    with _connect(address) as connection:
        _try_extensions(connection, needs["extensions"])
        for role in needs["roles"]:
            if not role.startswith("pg_"):
                connection.execute(statement("backup/create_role", name=sql.Identifier(role)))
        try:
            connection.execute(_create_database(needs["locale"]))
        except psycopg.Error as error:
            locale = ", ".join(str(value) for value in needs["locale"].values() if value)
            raise NotAvailableError(
                f"a database with the locale of the source ({locale}) cannot be made here: {faults.describe(error)}; "
                "install that locale on the worker"
            ) from None
    if needs["servers"]:
        with _connect(replace(address, database=DATABASE)) as connection:
            connection.execute(statement("backup/create_wrapper"))
            for name in needs["servers"]:
                connection.execute(statement("backup/create_server", name=sql.Identifier(name)))


def _try_extensions(connection: psycopg.Connection[Any], wanted: dict[str, str]) -> None:
    for name, version in wanted.items():
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(statement("backup/create_extension", name=sql.Identifier(name)))
        except psycopg.Error as error:
            raise NotAvailableError(
                f"extension {name} {version} cannot be made in a scratch server: {faults.describe(error)}; install it "
                "for the PostgreSQL of the worker"
            ) from None


def _create_database(locale: dict[str, Any]) -> sql.Composed:
    provider: sql.Composable = sql.SQL("")
    if locale["provider"] in _PROVIDERS:
        name, option = _PROVIDERS[locale["provider"]]
        text = f" locale_provider {name} {option} {{}}"
        provider = sql.SQL(text).format(sql.Literal(locale["locale"]))
    return statement(
        "backup/create_database",
        name=sql.Identifier(DATABASE),
        encoding=sql.Literal(locale["encoding"]),
        collate=sql.Literal(locale["collate"]),
        ctype=sql.Literal(locale["ctype"]),
        provider=provider,
    )


def _restore(place: Path, manifest: Manifest, address: Address, bench: Bench) -> None:
    """Restore all but what would lead out of the scratch server; each error counts."""
    dumped_by = manifest.needs["dumped_by"]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted"
        lines = archive.listing(place, dumped_by, bench, Path(folder) / "list")
        wanted.write_text("\n".join(archive.for_proof(lines)) + "\n", encoding="utf-8")
        command = [
            *(str(tools.restorer(dumped_by)), tools.database(address.database), f"--jobs={_JOBS}", "--no-password"),
            *("--no-tablespaces", f"--use-list={wanted}", str(place)),
        ]
        environment = tools.environment(address, "upkeep backup")
        output = bench.run(command, environment=environment, clean=tools.clean, tell=bench.tell)
    if output.status > _SIGNALLED or any(words in output.text for words in _OF_HERE):
        said = "; ".join(output.lines[-3:]) or f"status {output.status}"
        raise NotAvailableError(f"the restore was stopped here, which says nothing of the backup: {said}")
    if output.status and not tools.harmless(output):
        raise DamagedError(f"cannot be restored without errors: {'; '.join(output.lines[:10]) or output.status}")
