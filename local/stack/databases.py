"""The databases and roles on the stack's PostgreSQL."""

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
            connection.execute(
                sql.SQL("{} role {} login password {}").format(
                    verb, sql.Identifier(role), sql.Literal(state.secrets[role])
                )
            )
            if database not in databases:
                connection.execute(
                    sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(role))
                )
                connection.execute(
                    sql.SQL("revoke connect on database {} from public").format(sql.Identifier(database))
                )
        connection.execute("grant pg_monitor to pipeline")  # statistics of other sessions, sizes, settings
    with psycopg.connect(server.uri("pipeline"), autocommit=True) as connection:
        connection.execute("create extension if not exists pg_stat_statements")
