"""Archives as Parquet files: exactly the rows that go are the rows that are kept, of every type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from tests.harness.postgres import AT, attached, count, exists, months, retention, session, target

CUT_OFF = "at < timestamptz '2024-05-16 12:00+00'"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def policy(into: Path, **other: str) -> str:
    given = {"by": "at", "for": "30 days", "then": "archive", "precision": "row", "requires": "nothing"} | other
    return f"retain: {{{', '.join(f'{k}: {v}' for k, v in given.items())}, into: '{into}'}}"


def run(database: str, into: Path, name: str = "public.logs", **other: str) -> Any:
    with session(database) as opened:
        return retention(target({name: policy(into, **other)})).run(opened, AT)


def logs(db: psycopg.Connection[Any], rows: int = 1000) -> None:
    db.execute("create table logs (id bigint generated always as identity primary key, at timestamptz, msg text)")
    db.execute(
        "insert into logs (at, msg) select timestamptz '2024-06-15 12:00+00' - n * interval '1 hour', 'row ' || n "
        f"from generate_series(1, {rows}) n"
    )
    db.execute("create index on logs (at)")
    db.execute("analyze logs")


def said(done: Any) -> list[Any]:
    return [f.summary for f in done.plan.findings] + [(o.reason_code, o.message) for o in done.outcomes]


def files(into: Path, folder: str = "public/logs") -> list[Path]:
    return sorted((into / folder).glob("*.parquet"))


def test_rows(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    logs(db)
    due = count(db, "logs", CUT_OFF)
    done = run(database, tmp_path)
    assert done.statuses == ["done"], said(done)
    assert count(db, "logs", CUT_OFF) == 0
    assert count(db, "logs") == 1000 - due
    (file,) = files(tmp_path)
    table = pq.read_table(file)
    assert table.num_rows == due == done.outcomes[0].rows
    evidence = done.outcomes[0].evidence
    assert evidence["hash_source"] == evidence["hash_archive"]
    assert evidence["rows_deleted"] == evidence["rows_archived"] == due
    (manifest,) = (tmp_path / "public/logs/_manifests").iterdir()
    about = json.loads(manifest.read_text())
    assert about["rows"] == due
    assert about["highest"].startswith("2024-05-16 11:00:00")
    assert list((tmp_path / "public/logs/_undecided").iterdir()) == []
    assert run(database, tmp_path).kinds == []


def test_partitions(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    months(db, 3, 6)
    done = run(database, tmp_path, precision="partition", grace="0")
    assert set(done.statuses) == {"done"}, said(done)
    assert attached(db, "logs") == ["logs_5", "logs_6"]
    assert not exists(db, "logs_3")
    assert sum(pq.read_table(f).num_rows for f in files(tmp_path)) == 20
    assert count(db, "logs") == 20


@pytest.mark.parametrize("change", ["add column note text default 'late'", "alter column id type numeric(30,4)"])
def test_columns_that_change_after_the_plan_stop_the_archive(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, change: str
) -> None:
    logs(db)
    db.execute("alter table logs alter column id drop identity")
    db.execute("alter table logs alter column id type numeric(20,2)")
    book = retention(target({"public.logs": policy(tmp_path)}))
    with session(database) as opened:
        observation = book.observe(opened, AT)
        (action,) = [a for a in book.plan(opened, AT).actions if a.kind == "archive_rows"]
        db.execute(f"alter table logs {change}")
        outcome = book.apply(opened, action, observation)
    assert (outcome.status, outcome.reason_code) == ("skipped", "state_changed"), outcome
    assert count(db, "logs") == 1000
    assert files(tmp_path) == []
