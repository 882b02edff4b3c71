"""What a dump would meet: seen before one is planned, and told with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from upkeep.errors import NotAvailableError
from upkeep.jobs.backup.copier import Survey
from upkeep.jobs.contract import Ask
from upkeep.postgres import names
from upkeep.postgres.backup import tools
from upkeep.postgres.session import PostgresSession, Row

_NAMED: Final = 5
ROLES: Final = "roles and their passwords (pg_dumpall --globals-only)"


def survey(ask: Ask[PostgresSession]) -> Survey:
    """Look at the database: what a dump needs, and what it would not hold."""
    session = ask.session
    about = session.rows("backup/survey")[0]
    return Survey(
        bytes=about["bytes"],
        database=about["database"],
        command="pg_dump --format=directory --jobs=N --snapshot=…",
        lock="ACCESS SHARE on every table while it runs: reading and writing go on, DROP and ALTER wait",
        refusals=tuple(_refusals(session, about)),
        lacks=lacks(about, replica=session.is_replica),
    )


def lacks(about: Row, *, replica: bool) -> tuple[str, ...]:
    """Return what of the server a dump of one database has not."""
    found = [ROLES, "the server's configuration"]
    if about["other_databases"]:
        found.append(f"{about['other_databases']} other databases")
    if about["tablespaces"]:
        found.append(f"tablespaces ({', '.join(about['tablespaces'])})")
    if about["slots"]:
        found.append(f"{about['slots']} replication slots")
    if about["invalid_indexes"]:
        found.append(f"invalid indexes ({', '.join(about['invalid_indexes'][:_NAMED])})")
    if replica and about["unlogged"]:
        found.append(f"rows of {about['unlogged']} unlogged tables, which a replica has not")
    return tuple(found)


def _refusals(session: PostgresSession, about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        dumper = tools.dumper(session.major)
        tools.restorer(tools.major(dumper))
    except NotAvailableError as error:
        yield str(error), "the backup is taken by the worker: it needs the tools there"
    if about["tables"] > about["locks"]:
        yield (
            f"a dump locks {about['tables']:,} tables, the server has room for {about['locks']:,} locks",
            "raise max_locks_per_transaction (it takes a restart)",
        )
    unreadable = session.rows("backup/unreadable")
    hidden = [row for row in unreadable if row["why"] == "row_security"]
    closed = [row for row in unreadable if row["why"] != "row_security"]
    role = names.quote(session.role)
    if closed:
        yield (
            f"{session.role} may not read {_named(closed)}",
            f"grant pg_read_all_data to {role}; or grant usage on the schemas and select on all tables and sequences",
        )
    if hidden:
        yield f"row-level security hides rows of {_named(hidden)} from {session.role}", f"alter role {role} bypassrls"


def _named(rows: list[Row]) -> str:
    shown = ", ".join(names.display(row["schema"], row["name"]) for row in rows[:_NAMED])
    return f"{shown} and {len(rows) - _NAMED} more" if len(rows) > _NAMED else shown
