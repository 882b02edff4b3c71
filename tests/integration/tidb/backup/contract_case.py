"""A database with rows and a view, and a backup that the ledger knows and nobody finds."""

from __future__ import annotations

from tests.harness.copying import contract_case
from tests.harness.tidb import Db


def make(db: Db) -> None:
    db.run("create table orders (id bigint primary key auto_random, at datetime, note varchar(50), key by_at (at))")
    db.run("insert into orders (at, note) values ('2026-01-01', 'one'), ('2026-01-02', null)")
    db.run("create view noted as select id, note from orders where note is not null")


CASE = contract_case("tidb", make)
