"""A small database, and a backup that the ledger knows and nobody finds."""

from __future__ import annotations

import psycopg

from tests.harness.copying import contract_case


def make(db: psycopg.Connection) -> None:
    db.execute("create table orders (id bigint primary key, at timestamptz default now())")
    db.execute("insert into orders select generate_series(1, 100)")


CASE = contract_case("postgres", make)
