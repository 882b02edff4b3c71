"""A backup of a database with much that is odd in it is taken, proven, and each fault in it is found and named."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness import least, postgres_backup, restorable, scratching
from tests.harness.copying import Copying, flip, words
from tests.harness.jobs import address
from tests.harness.servers import fresh_database
from upkeep.errors import ConfigurationError
from upkeep.jobs.backup import publish
from upkeep.jobs.backup.manifest import DATA
from upkeep.jobs.backup.verify import differences
from upkeep.postgres.backup import COPIER

FAULTS: list[Any] = [
    "drop index odd_f",
    "alter table child drop constraint child_parent_id_parent_at_fkey",
    "delete from parent where id = 3",
    "drop view seen",
    "drop table empty",
    "select setval('counter', 1)",
    """drop sequence "we.ird ""sch"."Se'q ; %s\"""",
]


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> Iterator[str]:
    with fresh_database(postgres_server, "odd") as uri:
        postgres_backup.make(uri)
        yield uri


@pytest.fixture(scope="module")
def copying(source: str, tmp_path_factory: pytest.TempPathFactory) -> Copying:
    return Copying("postgres", source, tmp_path_factory.mktemp("backups"))


@pytest.fixture(scope="module")
def backup(copying: Copying) -> publish.Found:
    assert copying.survey().refusals == ()
    return copying.take()


@contextlib.contextmanager
def kept(path: Path) -> Iterator[Path]:
    """Give a file to be damaged, and put it back."""
    content = path.read_bytes()
    try:
        yield path
    finally:
        path.write_bytes(content)


def rows_of(found: publish.Found, name: str) -> Path:
    (file,) = [file for file, of in found.manifest.needs["data"].items() if of == name]
    return found.place / DATA / file


def no_places() -> bool:
    return not scratching.places("postgres")


@pytest.mark.versions
def test_all_that_is_odd_is_taken_restored_and_compared(copying: Copying, backup: publish.Found, source: str) -> None:
    verdict = copying.verify(backup)
    assert (verdict.level, words(verdict)) == ("compared", [])
    assert no_places()
    manifest = backup.manifest
    rows = {thing.name: thing.rows for thing in manifest.objects}
    assert (rows["public.bare"], rows["public.odd"], rows["large objects"]) == (2, 500, 2)
    assert rows["public.parent"] is None
    uncompared = {thing.name for thing in manifest.objects if thing.rows is not None and thing.checksum is None}
    assert uncompared == {"large objects"}
    with psycopg.connect(source) as db:
        horizon = db.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert horizon is not None
    assert int(manifest.position["xmin"]) <= int(horizon[0])
    assert "create role postgres" in (backup.place / publish.INSTRUCTIONS).read_text()


def test_a_damaged_file_is_named(copying: Copying, backup: publish.Found) -> None:
    with kept(rows_of(backup, "public.parent_2")) as file:
        flip(file)
        assert f"data/{file.name} has other bytes" in words(copying.verify(backup))[0]
        (said,) = words(copying.verify(backup, copying.signed(backup)))  # whatever the digests say
        assert "the rows of public.parent_2 cannot be read" in said
    with kept(rows_of(backup, "public.odd")) as file:
        lines = gzip.decompress(file.read_bytes()).split(b"\n")
        file.write_bytes(gzip.compress(b"\n".join(lines[1:])))
        (said,) = words(copying.verify(backup, copying.signed(backup)))
        assert said.startswith("public.odd: ")
        assert "499 rows are in the files, 500 were dumped" in said
        lines[0] = lines[0].replace(b"'ok", b"'ko")
        broken = b"\n".join([lines[0].replace(b"\t", b"\tsecret ", 1), *lines[1:]])
        file.write_bytes(gzip.compress(broken))
        (said,) = words(copying.verify(backup, copying.signed(backup)))
        assert "cannot be restored without errors" in said
        assert "secret" not in said
    with kept(rows_of(backup, "public.base")) as file:
        file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()).replace(b"5\ty", b"5\tz")))
        (said,) = words(copying.verify(backup, copying.signed(backup)))
        assert said.startswith("public.base: ")
        assert "as many rows are there, and not the same" in said
    with kept(backup.place / DATA / "toc.dat") as file:
        file.write_bytes(file.read_bytes()[:200])
        (said,) = words(copying.verify(backup, copying.signed(backup)))
        assert "table of contents" in said
    assert no_places()


def test_nothing_leads_out_and_what_is_not_as_it_was_is_named(copying: Copying, backup: publish.Found) -> None:
    with copying.restored(backup) as there:
        (place,) = scratching.places("postgres")
        assert place.stat().st_mode & 0o777 == 0o700
        with psycopg.connect(
            host=there.host, user=there.user, password=there.password, dbname=there.database, autocommit=True
        ) as db:

            def one(query: Any) -> Any:
                row = db.execute(query).fetchone()
                return row[0] if row else None

            assert one("show listen_addresses") == ""
            assert one("select count(*) from pg_event_trigger") == 0
            assert one("select count(*) from pg_publication") == 0
            assert one("select relispopulated from pg_class where relname = 'counted'") is False
            assert one("select count(*) from pg_authid where rolcanlogin") == 1
            with pytest.raises(psycopg.Error, match="no handler"):
                db.execute("select * from passwd")
            for fault in FAULTS:
                db.execute(fault)
        found = sorted(differences(backup.manifest, COPIER.look(there, backup.manifest)), key=lambda f: f.subject)
    assert [f.subject for f in found] == [
        *(""""we.ird ""sch"."Se'q ; %s\"""", "definitions", "definitions", "public.child"),
        *("public.counter", "public.counter", "public.empty", "public.odd", "public.parent_1"),
    ]
    said = {f.subject: f.summary for f in reversed(found)}
    assert "not there after the restore: CREATE UNIQUE INDEX odd_f" in said["public.odd"]
    assert "rows are there after the restore" in said["public.parent_1"]
    assert said["public.counter"].endswith("not there after the restore: stands at 4, which was given out")
    assert found[5].summary.endswith("there only after the restore: stands at 1, which was given out")
    assert "the sequence is not there after the restore" in found[0].summary
    assert no_places()


def test_what_this_machine_lacks_for_a_restore_is_told(backup: publish.Found, tmp_path: Path) -> None:
    tools = ["initdb", "pg_restore", "postgres"]
    others = [("a tool (PostgreSQL) 9.1.24", "of version")]
    restorable.check(backup, tmp_path, tools, others)


def test_it_goes_into_an_empty_database_only(
    copying: Copying, backup: publish.Found, postgres_server: PostgresServer, source: str
) -> None:
    with pytest.raises(ConfigurationError, match="is not empty"):
        COPIER.restore(backup.place / DATA, backup.manifest, address(source), copying.bench)
    with fresh_database(postgres_server, "restored") as made:
        uri = least.whole(made)
        COPIER.restore(backup.place / DATA, backup.manifest, address(uri), copying.bench)
        there = COPIER.look(address(uri), backup.manifest)
        assert [f for f in differences(backup.manifest, there) if f.subject != "large objects"] == []
