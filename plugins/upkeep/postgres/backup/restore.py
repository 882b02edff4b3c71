"""Restoring into a database of somebody's, and how to do it by hand."""

from __future__ import annotations

from pathlib import Path

from upkeep.engines import Address
from upkeep.errors import ConfigurationError
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import DATA, Manifest
from upkeep.postgres import names
from upkeep.postgres.backup import tools
from upkeep.postgres.backup.take import JOBS
from upkeep.postgres.session import PostgresSession


def restore(place: Path, manifest: Manifest, address: Address, bench: Bench) -> None:
    """Restore a backup into an empty database.

    Raises
    ------
    ConfigurationError
        The database is not empty, or its server lacks what the backup needs.
    """
    session = PostgresSession.connect(address, application="restore")
    try:
        _look(session, manifest)
        address = session.address
    finally:
        session.close()
    command = [
        *(str(tools.restorer(manifest.needs["dumped_by"])), tools.database(address.database), f"--jobs={JOBS}"),
        *("--no-password", "--no-tablespaces", str(place)),
    ]
    environment = tools.environment(address, "upkeep restore")
    output = bench.run(command, environment=environment, clean=tools.clean, tell=bench.tell)
    if not tools.harmless(output):
        output.fine()


def _look(session: PostgresSession, manifest: Manifest) -> None:
    needs = manifest.needs
    there = [row["found"] for row in session.rows("backup/own_objects")]
    if there:
        raise ConfigurationError(
            f"the database is not empty: it has {', '.join(there[:3])}; restore into a new one (create database …)"
        )
    if session.major < needs["major"]:
        raise ConfigurationError(
            f"the backup is of version {needs['major']}, the server of version {session.major}: restore it into one of "
            f"version {needs['major']} or newer"
        )
    extensions = [row["name"] for row in session.rows("backup/available", {"extensions": [*needs["extensions"]]})]
    if extensions:
        raise ConfigurationError(f"the server has not the extensions {', '.join(extensions)}: install them first")
    roles = [row["name"] for row in session.rows("backup/missing_roles", {"roles": needs["roles"]})]
    if roles:
        made = "; ".join(f"create role {names.quote(role)}" for role in roles)
        raise ConfigurationError(f"the backup names roles that the server has not: {made}; then restore again")


def instructions(manifest: Manifest) -> str:
    """Return how to restore it with PostgreSQL's own tools."""
    needs = manifest.needs
    roles = "".join(f"   create role {names.quote(role)};\n" for role in needs["roles"] if not role.startswith("pg_"))
    extensions = ", ".join(f"{name} {version}" for name, version in needs["extensions"].items()) or "none"
    lacks = "".join(f"   - {what}\n" for what in manifest.lacks)
    locale = needs["locale"]
    return f"""\
Backup of PostgreSQL database {manifest.database}, {manifest.snapshot_at:%Y-%m-%d %H:%M:%S} UTC
Made by {manifest.tool_version}

Restored by PostgreSQL's own tools, in this directory; pg_restore of version {needs["dumped_by"]} or newer.

1. A server of version {needs["major"]} or newer, with these extensions installed: {extensions}.
2. The roles that own or may do something (with their passwords and rights, which are not in here), in psql:
{roles}
3. An empty database with the same locale:
   createdb --template=template0 --encoding={locale["encoding"]} --lc-collate='{locale["collate"]}' \\
            --lc-ctype='{locale["ctype"]}' restored
4. pg_restore --dbname=restored --jobs={JOBS} --no-tablespaces {DATA}
5. psql --dbname=restored --command='vacuum (analyze)'

A single table: pg_restore --dbname=restored --schema=public --table=NAME {DATA}
Everything that is in here: pg_restore --list {DATA}

Not in here:
{lacks}"""
