"""What an archive table would refuse or lose is found before the first row moves, in its partitions too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.harness import least
from tests.harness.jobs import Run
from tests.harness.postgres import AT, months, only, retention, session, target

ARCHIVE = "retain: {by: at, for: 30 days, requires: nothing, then: archive, into: public.kept, precision: row}"
WHOLE = "retain: {by: at, for: 30 days, requires: nothing, then: archive, into: public.kept}"
COLUMNS = "id bigint generated always as identity primary key, at timestamptz not null, code text, n int"
COPY = "create table kept (like logs including all)"
PARTITIONED = (
    "create table kept (id bigint, at timestamptz not null, code text, n int) partition by range (at); "
    "create {} table kept_1 partition of kept for values from ('2024-01-01') to ('2025-01-01'){}"
)
CI = "create collation if not exists ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def logs(db: psycopg.Connection[Any], columns: str = COLUMNS) -> None:
    db.execute(f"create table logs ({columns})")
    db.execute("create index on logs (at)")
    db.execute(
        "insert into logs (at, code, n) select timestamptz '2024-01-01' + n * interval '1 day', 'c' || n, n "
        "from generate_series(1, 40) n"
    )
    db.execute("analyze logs")


def run(database: str, policy: str = ARCHIVE) -> Run:
    with session(database) as opened:
        return retention(target({"public.logs": policy})).run(opened, AT)


def refused(db: psycopg.Connection[Any], database: str, check: str = "archive_drift") -> list[str]:
    """Return why nothing of ``logs`` may move, with the remedies; and see that nothing did."""
    before = db.execute("select count(*) from logs").fetchone()
    done = run(database)
    assert done.outcomes == []
    assert all(a.blocked for a in done.plan.actions)
    assert db.execute("select count(*) from logs").fetchone() == before
    return [f"{f.severity.value}: {f.summary}; {f.remedy}" for f in done.plan.findings if f.check == check]


def moved(db: psycopg.Connection[Any], database: str, policy: str = ARCHIVE) -> int:
    done = run(database, policy)
    assert set(done.statuses) == {"done"}, (done.plan.findings, done.outcomes)
    found = db.execute("select count(*) from kept").fetchone()
    assert found is not None
    return int(found[0])


DRIFT = {
    "a unique key": (f"{COPY}; alter table kept add constraint one_code unique (code)", "one_code (code)"),
    "a unique index": (f"{COPY}; create unique index one_n on kept (n)", "one_n (n)"),
    "a unique expression": (f"{COPY}; create unique index low on kept (lower(code))", "low (lower(code))"),
    "a partial unique index": (f"{COPY}; create unique index few on kept (n) where n > 3", "few (n) where (n > 3)"),
    "nulls not distinct": (f"{COPY}; create unique index d on kept (n) nulls not distinct", "d (n) nulls not distinct"),
    "an exclusion": (
        f"{COPY}; alter table kept add constraint apart exclude using gist (tstzrange(at, at, '[]') with &&)",
        "exclusion constraint apart",
    ),
    "a check": (f"{COPY}; alter table kept add constraint small check (n < 30)", "drop constraint small"),
    "a foreign key": (
        f"create table k (c text primary key); {COPY}; alter table kept add foreign key (code) references k",
        "drop constraint kept_code_fkey",
    ),
    "unlogged": (f"{COPY}; alter table kept set unlogged", "alter table public.kept set logged"),
    "an unlogged leaf": (PARTITIONED.format("unlogged", ""), "alter table public.kept_1 set logged"),
    "an unlogged parent": (
        PARTITIONED.format("", "").replace("create table kept (", "create unlogged table kept ("),
        "make public.kept anew without unlogged",
    ),
    "an unlogged leaf below a leaf": (
        PARTITIONED.format("", " partition by hash (id); create unlogged table kept_1_0 partition of kept_1 "
        "for values with (modulus 1, remainder 0)"),
        "alter table public.kept_1_0 set logged",
    ),
    "a foreign leaf": (
        "create extension postgres_fdw; create server s foreign data wrapper postgres_fdw; "
        + PARTITIONED.format("foreign", " server s"),
        "public.kept_1 is a foreign table",
    ),
    "a key of a leaf": (
        PARTITIONED.format("", "") + "; create unique index leafy on kept_1 (n)",
        "public.kept_1 has the unique key leafy",
    ),
    "a check of a leaf": (
        PARTITIONED.format("", "") + "; alter table kept_1 add constraint c check (n < 9)",
        "alter table public.kept_1 drop constraint c",
    ),
    "not null of a leaf": (
        PARTITIONED.format("", "") + "; alter table kept_1 alter n set not null",
        "alter table public.kept_1 alter column n drop not null",
    ),
}  # fmt: skip


ONLY = {"nulls not distinct": (15,), "an unlogged parent": (0, 17)}


@pytest.mark.parametrize("case", DRIFT)
def test_what_would_refuse_or_lose_rows(db: psycopg.Connection[Any], database: str, case: str) -> None:
    if case in ONLY:
        only(db, *ONLY[case])
    logs(db)
    change, words = DRIFT[case]
    for statement in change.split("; "):
        db.execute(statement)
    (why,) = refused(db, database)
    assert why.startswith("ERROR"), why
    assert words in why
    assert "delete" not in why


@pytest.mark.parametrize(
    "change",
    [
        "create trigger t before insert on kept_1 for each row execute function f()",
        "alter table kept_1 enable row level security; alter table kept_1 force row level security",
    ],
)
def test_a_leaf_of_the_archive_that_reacts(db: psycopg.Connection[Any], database: str, change: str) -> None:
    logs(db)
    db.execute("create function f() returns trigger language plpgsql as 'begin return null; end'")
    for statement in f"{PARTITIONED.format('', '')}; {change}".split("; "):
        db.execute(statement)
    if "trigger" in change:
        assert "would fire t" in refused(db, database, "archive")[0]
    else:
        assert "row-level security of public.kept applies to our role" in refused(db, database, "archive")[0]
        with least.past_policies(db):
            assert moved(db, database) == 40


def test_another_collation_of_the_key(db: psycopg.Connection[Any], database: str) -> None:
    db.execute(CI)
    logs(db, "id text primary key default gen_random_uuid(), at timestamptz not null, code text, n int")
    db.execute("insert into logs values ('a', '2024-01-03'), ('A', '2024-01-03')")
    db.execute("create table kept (id text collate ci primary key, at timestamptz not null, code text, n int)")
    (why,) = refused(db, database)
    assert "kept_pkey (id)" in why
    assert "collation ci takes different texts for equal" in why


def test_a_type_that_takes_different_texts_for_equal(db: psycopg.Connection[Any], database: str) -> None:
    db.execute("create extension if not exists citext")
    logs(db, "id text primary key default gen_random_uuid(), at timestamptz not null, code text, n int")
    db.execute("create table kept (id citext primary key, at timestamptz not null, code text, n int)")
    assert "citext" in refused(db, database)[0]


FITS = {
    "all of it copied": COPY,
    "no key at all": "create table kept (like logs)",
    "a wider key": "create table kept (like logs, unique (id, code))",
    "a wider type": "create table kept (id numeric primary key, at timestamptz not null, code text, n bigint)",
    "another collation": 'create table kept (id bigint primary key, at timestamptz, code text collate "C", n int)',
    "a key of its own": "create table kept (like logs, own bigint generated always as identity primary key)",
    "the same unique index": "create unique index on logs (n); create table kept (like logs including all)",
    "part of the same unique index": "create unique index on logs (n); create table kept (like logs); "
    "create unique index on kept (n) where n > 5",
    "the same check": "alter table logs add constraint c check (n < 100); create table kept (like logs including all)",
    "a check of the bounds on a leaf": PARTITIONED.format("", "")
    + "; alter table kept_1 add check (at >= '2024-01-01' and at < '2024-03-01')",
    "another access method": "create access method heap2 type table handler heap_tableam_handler; "
    "create table kept (id bigint, at timestamptz not null, code text, n int) using heap2",
    "a detached leaf": PARTITIONED.format("", "") + "; create unlogged table kept_2 partition of kept "
    "for values from ('2025-01-01') to ('2025-02-01'); alter table kept detach partition kept_2",
}  # fmt: skip


@pytest.mark.parametrize("case", FITS)
def test_what_fits_goes_through(db: psycopg.Connection[Any], database: str, case: str) -> None:
    logs(db)
    for statement in FITS[case].split("; "):
        db.execute(statement)
    try:
        assert moved(db, database) == 40
    finally:
        if "heap2" in FITS[case]:
            db.execute("drop table kept; drop access method heap2")


def test_a_detached_leaf_leaves_a_gap(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    for statement in (PARTITIONED.format("", "") + "; alter table kept detach partition kept_1").split("; "):
        db.execute(statement)
    assert "no partition of public.kept takes rows of 2024-01-" in refused(db, database, "archive")[0]


def test_a_key_that_lacks_only_the_partition_key_is_said(db: psycopg.Connection[Any], database: str) -> None:
    months(db, 1, 6)
    db.execute("create table kept (id bigint primary key, at timestamptz, msg text)")
    done = run(database, WHOLE)
    assert set(done.statuses) == {"done"}, (done.plan.findings, done.outcomes)
    assert done.finding("archive_key").severity.value == "INFO"
    assert "kept_pkey (id)" in done.finding("archive_key").summary


def test_an_unlogged_table_goes_into_no_unlogged_archive(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    db.execute("alter table logs set unlogged")
    db.execute(COPY)
    assert moved(db, database) == 40
    db.execute("insert into logs (at) values ('2024-01-01')")
    db.execute("alter table kept set unlogged")
    assert "set logged" in refused(db, database)[0]
