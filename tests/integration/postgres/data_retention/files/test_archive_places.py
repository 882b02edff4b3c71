"""Whose a place is, and what is left where nobody looks: two databases, renamed tables, other locations, promotions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from local.servers import PostgresServer
from tests.harness.archives import of_another_history, policy, restored, said
from tests.harness.jobs import Runs
from tests.harness.postgres import AT, count, retention, session, target
from tests.harness.servers import fresh_database
from upkeep.stores.shelf import OWNER, Shelf
from upkeep.stores.store import Store

FOLDER = "public/logs"
NEVER = datetime(1, 1, 1, tzinfo=UTC)


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def other(postgres_server: PostgresServer) -> Iterator[str]:
    """Another database."""
    with fresh_database(postgres_server, "other") as uri:
        yield uri


def logs(db: psycopg.Connection[Any], first: int = 1, name: str = "logs") -> None:
    db.execute(f"create table if not exists {name} (id bigint, at timestamptz, msg text)")
    db.execute(f"insert into {name} select n, '2024-01-01', 'x' from generate_series({first}, {first + 9}) n")
    db.execute(f"analyze {name}")


def run(database: str, into: Path, book: Runs | None = None, name: str = "public.logs") -> Any:
    what = target({name: policy(into)})
    with session(database) as opened:
        return (book or retention(what)).today(what).run(opened, AT)


def files(into: Path) -> list[Path]:
    return sorted((into / FOLDER).glob("*.parquet"))


@pytest.mark.parametrize("marked", [True, False])
def test_two_databases_do_not_mix(
    db: psycopg.Connection[Any], database: str, other: str, tmp_path: Path, *, marked: bool
) -> None:
    logs(db)
    assert run(database, tmp_path).statuses == ["done"]
    if not marked:  # written before folders had an owner
        (tmp_path / FOLDER / OWNER).unlink()
    with psycopg.connect(other, autocommit=True) as theirs:
        logs(theirs)
        logs(theirs, name="mine")
        done = run(other, tmp_path)
        assert done.statuses == []
        assert "two databases must not mix theirs" in str(said(done))
        assert count(theirs, "logs") == 10
        assert len(files(tmp_path)) == 1
        assert run(other, tmp_path, name="public.mine").statuses == ["done"]  # another table: nothing mixes
        assert count(theirs, "mine") == 0
    logs(db, 11)
    assert run(database, tmp_path).statuses == ["done"]
    assert len(files(tmp_path)) == 2


def test_a_folder_that_changes_hands_in_between(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that begin at once in a store that cannot tell: the last owner stays, the other one moves no row."""
    logs(db)
    claim = Shelf.claim

    def overwritten(self: Shelf) -> None:
        claim(self)
        (tmp_path / FOLDER / OWNER).write_text('{"identity": "postgres:1:1"}')

    monkeypatch.setattr(Shelf, "claim", overwritten)
    done = run(database, tmp_path)
    assert done.statuses == ["failed"]
    assert "holds the rows of postgres:1:1" in str(said(done))
    assert count(db, "logs") == 10
    assert files(tmp_path) == []


def test_an_owner_that_nobody_can_read(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    logs(db)
    run(database, tmp_path)
    logs(db, 11)
    owner = tmp_path / FOLDER / OWNER
    about = owner.read_text()
    owner.write_text(about[:20])
    assert "does not name legibly" in str(said(run(database, tmp_path)))
    owner.write_text("")  # a kill left it empty
    assert run(database, tmp_path).statuses == ["done"]
    assert json.loads(owner.read_text())["identity"] == json.loads(about)["identity"]


class OldFiles(MemoryFileSystem):
    """A store that cannot create a file only where there is none."""

    def pipe_file(self, path: str, value: bytes, **options: Any) -> Any:
        if options.get("mode") == "create":
            raise NotImplementedError
        return super().pipe_file(path, value, **options)


@pytest.mark.parametrize("kind", [MemoryFileSystem, OldFiles])
def test_only_the_first_mark_stays_where_a_store_can_tell(kind: type[MemoryFileSystem]) -> None:
    store = Store("memory-like", kind(), "/bucket/first")
    try:
        store.put_first("a", b"1")
        store.put_first("a", b"2")
        assert store.get("a") == (b"1" if kind is MemoryFileSystem else b"2")
    finally:
        MemoryFileSystem().rm("/bucket", recursive=True)


class KilledError(BaseException):
    """Stands for kill -9."""


def killed(database: str, into: Path, book: Runs, patched: pytest.MonkeyPatch) -> None:
    """Run until the first transaction is committed, and no further."""

    def die(*_: object) -> None:
        raise KilledError

    with patched.context() as inner:
        inner.setattr("upkeep.stores.shelf.Shelf.decide", die)
        with pytest.raises(KilledError):
            run(database, into, book)


@pytest.mark.parametrize("how", ["renamed", "elsewhere"])
def test_what_nobody_settles_is_named(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    logs(db)
    into = tmp_path / "archive"
    book = retention(target({"public.logs": policy(into)}))
    killed(database, into, book, monkeypatch)
    assert count(db, "logs") == 0
    now, name = into, "public.logs"
    if how == "renamed":
        db.execute("alter table logs rename to journal")
        name = "public.journal"
    else:
        now = tmp_path / "archive2"
    done = run(database, now, book, name)
    finding = done.finding("archive_stray")
    assert (finding.severity, finding.evidence["notes"]) == ("WARNING", 1)
    assert f"--from-location {into} " in str(finding.remedy)
    with session(database) as opened:
        what = target({name: policy(now)})
        settled = restored(opened, what, "public.logs", until=NEVER, into=name, location=str(into))
    assert settled.kinds == ["settle_files"]
    assert settled.statuses == ["done"], said(settled)
    assert "archive_stray" not in run(database, now, book, name).checks
    assert len(list((into / FOLDER / "_manifests").iterdir())) == 1
    with session(database) as opened:
        restored(opened, what, "public.logs", into=name, location=str(into))
    assert count(db, name) == 10


def test_a_location_of_before_that_is_gone_hinders_nothing(
    db: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    book = retention(target({"public.logs": policy(tmp_path / "gone")}))
    book.notes.append({"archive_location": str(tmp_path / "gone"), "location_id": "1"})
    logs(db)
    assert run(database, tmp_path / "archive", book).statuses == ["done"]


def test_a_promotion_is_named_until_the_next_file(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    logs(db)
    run(database, tmp_path)
    (manifest,) = (tmp_path / FOLDER / "_manifests").iterdir()
    manifest.write_text(manifest.read_text().replace('"timeline": "0', '"timeline": "F'))
    logs(db, 11)
    first = run(database, tmp_path)
    assert first.statuses == ["done"]
    assert "on timeline F" in first.finding("archive_history").summary
    assert "archive_history" not in run(database, tmp_path).checks


def test_a_disk_put_back_is_named_until_the_next_file(
    db: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    """The server went on on the same timeline: rows of the last files may be in the table again."""
    logs(db)
    run(database, tmp_path)
    assert "archive_history" not in run(database, tmp_path).checks
    (manifest,) = (tmp_path / FOLDER / "_manifests").iterdir()
    of_another_history(manifest)
    logs(db, 11)
    first = run(database, tmp_path)
    assert first.statuses == ["done"]
    assert "in another history" in first.finding("archive_history").summary
    assert "archive_history" not in run(database, tmp_path).checks
