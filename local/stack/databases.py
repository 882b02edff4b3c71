"""The databases and roles on the stack's PostgreSQL."""

from typing import Any

import psycopg
from psycopg import sql

from local.servers import Server
from local.stack.state import State

# role → its database. Each owns its own and cannot enter the others'; none is a superuser.
OWNERS = {"airflow": "airflow", "upkeep_control": "upkeep_control", "pipeline": "pipeline"}


def create_databases(server: Server, state: State) -> None:
    """Create roles and databases that are missing; set the passwords to the remembered ones."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        roles = {row[0] for row in connection.execute("select rolname from pg_roles")}
        databases = {row[0] for row in connection.execute("select datname from pg_database")}
        for role, database in OWNERS.items():
            verb = sql.SQL("alter" if role in roles else "create")
            statement = sql.SQL("{} role {} login password {}")
            verifier = verifier_of(connection, role, state.secrets[role])
            connection.execute(statement.format(verb, sql.Identifier(role), sql.Literal(verifier)))
            if database not in databases:
                connection.execute(
                    sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(role))
                )
                connection.execute(
                    sql.SQL("revoke connect on database {} from public").format(sql.Identifier(database))
                )
        connection.execute("grant pg_monitor to pipeline")  # statistics of other sessions, sizes, settings
        connection.execute("grant pg_read_all_stats to upkeep_control")  # the ledger is in the sample fleet too
    with psycopg.connect(server.uri("pipeline"), autocommit=True) as connection:
        connection.execute("create extension if not exists pg_stat_statements")
        # `pg_monitor` reads the statements of every role, passwords in them too: those of earlier starts are forgotten,
        # and what others send is no business of the database in care.
        connection.execute(
            "select pg_stat_statements_reset(userid, dbid, queryid) from pg_stat_statements where query ~* 'password'"
        )
        connection.execute("revoke all on pg_stat_statements, pg_stat_statements_info from public")
        connection.execute("revoke execute on function pg_stat_statements(boolean) from public")


def verifier_of(connection: "psycopg.Connection[Any]", role: str, password: str) -> str:
    """Return what the server keeps of a password: it may stand in a statement, which logs and statistics keep."""
    return connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
