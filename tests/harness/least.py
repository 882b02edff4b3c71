"""Upkeep's own role on the tests' PostgreSQL servers, made by the role file and by nothing else.

Tests go on as a superuser, who makes tables and faults and is called as the tables' owner in the role file. Whatever
Upkeep opens at that superuser's address it opens as `ROLE`, which is a member of the owner and inherits what the owner
was granted or owns, never what is a superuser's. The cluster's first superuser, who owns the catalog, and the
databases, is somebody else: being a member of that one would hand on rights to functions that only superusers have.

The ledgers' databases belong to `LEDGER`, as its role file says; their addresses are that role's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import psycopg

from local.servers import PostgresServer
from upkeep import settings
from upkeep.engines import Address
from upkeep.postgres.session import PostgresSession

FIRST = "postgres"
OWNER = "app_owner"
ROLE = "upkeep"
LEDGER = "upkeep_control"


def role_file(name: str = "postgres_target") -> str:
    """Return what the role file says; what it replaces is called in tests as it is there."""
    return (settings.include_dir() / "sql" / "roles" / f"{name}.sql").read_text()


def give(server: PostgresServer) -> None:
    """Make the owner and Upkeep's roles on a new server, with its rights in all databases made from now on."""
    assert server.user == FIRST
    with psycopg.connect(server.uri("template1"), autocommit=True) as db:
        db.execute(cast("Any", f"create role {OWNER} login superuser password '{server.password}'"))
        db.execute(cast("Any", role_file()))
        db.execute(cast("Any", f"alter role {ROLE} password '{server.password}'"))
    with psycopg.connect(server.uri(), autocommit=True) as db:
        db.execute(cast("Any", f"grant usage, create on schema public to {ROLE}"))
        for statement in role_file("control").split(";\n"):  # one by one: none may make a database in a transaction
            db.execute(cast("Any", statement))
        db.execute(cast("Any", f"alter role {LEDGER} password '{server.password}'"))
    server.login = OWNER


def whole(uri: str) -> str:
    """Return an address for the cluster's first superuser: a restore needs more than Upkeep's role has."""
    return uri.replace(f"//{OWNER}:", f"//{FIRST}:", 1).replace(f"//{LEDGER}:", f"//{FIRST}:", 1)


def lower() -> None:
    """Let every session that Upkeep opens at a test's own address be one of `ROLE`, in this process for good."""
    connect = PostgresSession.connect

    def lowered(address: Address, *, application: str) -> PostgresSession:
        ours = replace(address, user=ROLE) if address.user == OWNER else address
        return connect(ours, application=application)

    setattr(PostgresSession, "connect", lowered)  # noqa: B010


@contextmanager
def past_policies(db: psycopg.Connection[Any]) -> Iterator[None]:
    """Let Upkeep's role read past row-level security that is forced upon owners, for as long as the block lasts."""
    db.execute(cast("Any", f"alter role {ROLE} bypassrls"))
    try:
        yield
    finally:
        db.execute(cast("Any", f"alter role {ROLE} nobypassrls"))
