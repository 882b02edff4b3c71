"""What can happen to a backup while it is taken and proven: nothing half is published, and nothing is left of it."""

from __future__ import annotations

import importlib
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.servers import PostgresServer
from tests.harness import scratching
from tests.harness.copying import Copying, words
from tests.harness.scratching import gone, running
from tests.harness.servers import fresh_database
from upkeep import programs
from upkeep.errors import CancelledError, ProgramError
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.verify import Verdict
from upkeep.jobs.contract import go_on
from upkeep.jobs.errors import LockNotObtainedError, OverloadedError
from upkeep.postgres.backup import archive

SLOW = """
    create function slow(int) returns int immutable language plpgsql as
        'begin perform pg_catalog.pg_sleep(0.3); return $1; end';
    create table slow as select i as id from generate_series(1, 2) i;
    create index on slow (slow(id));
"""
"""A restore takes its time, so that it can be met at work."""


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> Iterator[str]:
    with fresh_database(postgres_server, "troubled") as uri:
        with psycopg.connect(uri, autocommit=True) as db:
            db.execute("create table rows as select i as id, md5(i::text) as text from generate_series(1, 20000) i")
            db.execute("create table held (id int)")
            db.execute(SLOW)
        yield uri


@pytest.fixture
def copying(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copying:
    monkeypatch.setattr(programs, "CHECK_SECONDS", 0.02)
    return Copying("postgres", source, tmp_path / "backups")


@dataclass
class Stage:
    """Does something once, when the work has come so far."""

    wanted: str
    do: Callable[[], None]
    ready: Callable[[], bool] = lambda: True
    held: psycopg.Connection | None = None
    """Keeps the dump from its end: locks a table just before it begins."""
    said: list[str] = field(default_factory=list)
    done: bool = False

    def tell(self, text: str) -> None:
        if text == "dumping" and self.held is not None:
            self.held.execute("lock table held in access exclusive mode")
        self.said.append(text)

    def checkpoint(self, _message: str = "", *, rows: int = 0) -> None:
        if not self.done and self.wanted in self.said and self.ready():
            self.done = True
            self.do()

    @property
    def bench(self) -> Bench:
        return Bench(self.checkpoint, self.tell, 60)


def cancel() -> None:
    raise CancelledError("the run was asked to stop")


def test_cancelled_killed_or_without_its_locks_nothing_is_published(
    copying: Copying, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, seen = str(copying.into), list[str]()

    def look() -> None:
        seen.extend(word for p in running("pg_dump", mark) for word in p.info["cmdline"])
        cancel()

    def there() -> bool:
        return bool(running("pg_dump", mark))

    with psycopg.connect(source) as held, pytest.raises(CancelledError):
        replace(copying, bench=Stage("dumping", look, there, held).bench).take()
    assert gone(mark)
    assert any(word.startswith("--snapshot=") for word in seen)
    secret = source.split(":")[2].partition("@")[0]
    assert not [word for word in seen if secret in word or "postgresql://" in word], "a password is in no argument"

    def kill() -> None:
        for process in running("pg_dump", mark):
            process.kill()

    with psycopg.connect(source) as held, pytest.raises(ProgramError, match="pg_dump was ended by signal 9"):
        replace(copying, bench=Stage("dumping", kill, there, held).bench).take()
    monkeypatch.setattr(importlib.import_module("upkeep.postgres.backup.take"), "LOCK_WAIT_MS", 300)
    with psycopg.connect(source) as held, pytest.raises(LockNotObtainedError, match="did not get its locks"):
        replace(copying, bench=Stage("", cancel, there, held).bench).take()
    assert copying.left() == []


def test_a_full_destination_is_told(copying: Copying) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    stage = Stage("dumping", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1])))
    stage.said.append("dumping")
    stage.checkpoint()
    try:
        with pytest.raises(OverloadedError, match="the destination is full"):
            copying.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert copying.left() == []


def test_what_a_killed_run_left_the_next_one_removes(copying: Copying) -> None:
    copying.killed_at({"dumping": 0, "restoring it into a server of its own": 1}, "compared", later=True)


def test_a_scratch_server_that_is_killed_says_nothing_of_the_backup(copying: Copying) -> None:
    found = copying.take()

    def kill() -> None:
        for process in running("postgres", scratching.mark("postgres")):
            process.kill()

    def prove(name: str, do: Callable[[], None]) -> Verdict:
        stage = Stage("restoring it into a server of its own", do, lambda: bool(running(name, str(copying.into))))
        return replace(copying, bench=stage.bench).verify(found)

    verdict = prove("pg_restore", kill)
    assert {f.check for f in verdict.findings} == {"backup_unverified"}, words(verdict)
    bench = Bench(go_on, lambda text: kill() if text.startswith("comparing what is there") else None, 60)
    verdict = replace(copying, bench=bench).verify(found)
    assert {f.check for f in verdict.findings} == {"backup_unverified"}, words(verdict)
    with pytest.raises(CancelledError):
        prove("pg_restore", cancel)
    assert copying.left() == [found.place]


def test_what_may_not_be_read_is_named_before(copying: Copying, source: str) -> None:
    with psycopg.connect(source, autocommit=True) as db:
        db.execute("create role reader login password 'reads'")
        db.execute("grant usage on schema public to reader; grant select on rows, slow to reader")
        try:
            secret = source.split("://")[1].partition("@")[0]
            refusals: Any = Copying("postgres", source.replace(secret, "reader:reads"), copying.into).survey().refusals
            assert [why for why, _ in refusals] == ["reader may not read public.held"]
            db.execute("grant select on held to reader")
            db.execute("alter table rows enable row level security")
            refusals = Copying("postgres", source.replace(secret, "reader:reads"), copying.into).survey().refusals
            assert [why for why, _ in refusals] == ["row-level security hides rows of public.rows from reader"]
        finally:
            db.execute("alter table rows disable row level security")
            db.execute("drop owned by reader; drop role reader")


def test_an_empty_database(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with fresh_database(postgres_server, "empty") as uri:
        copying = Copying("postgres", uri, tmp_path / "backups")
        verdict = copying.verify(copying.take())
        assert (verdict.level, words(verdict)) == ("restored", [])


def test_a_database_that_is_not_utf_8(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latin = "encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'"
    with fresh_database(postgres_server, "latin", template="template0", more=latin) as uri:
        with psycopg.connect(uri, autocommit=True) as db:
            db.execute('create sequence "größe"; create sequence plain')
            db.execute("create table maße as select 'groß'::text as wie; select setval('\"größe\"', 42)")
        copying = Copying("postgres", uri, tmp_path / "backups")
        found = copying.take()
        stands = {thing.name: thing.structures for thing in found.manifest.objects if thing.kind == archive.SEQUENCE}
        assert stands['public."größe"'] == ("stands at 42, which was given out",)
        verdict = copying.verify(found)
        assert (verdict.level, words(verdict)) == ("compared", [])

        # what cannot be read back is told, and costs no backup; what is damaged is no mistake of ours
        monkeypatch.setitem(archive._CODECS, "latin1", "no such codec")
        found = copying.take()
        assert found.manifest.lacks[-1] == "proof of 2 sequences: they are in it, and cannot be read back"
        assert [thing for thing in found.manifest.objects if thing.kind == archive.SEQUENCE] == []
        monkeypatch.setattr(archive, "_count", lambda _: int("cut off"))
        with pytest.raises(ProgramError, match="what pg_dump wrote is not whole: the rows of public"):
            copying.take()
