"""Archives in files when things go wrong: full disks, missing folders, others at work, memory of old transactions."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import psycopg
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from local.servers import PostgresServer, temporary_directory
from local.servers.postgres import free_port
from tests.harness.archives import policy, restored, said
from tests.harness.postgres import AT, count, retention, session, target
from tests.harness.servers import start_postgres
from upkeep.errors import ConfigurationError, OverLimitError
from upkeep.jobs.data_retention.pace import Pace
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.data_retention.files.archive import FileArchive
from upkeep.stores import parquet
from upkeep.stores.draft import StoreError
from upkeep.stores.local import LocalStore
from upkeep.stores.opening import open_store, opener

CUT_OFF = "at < timestamptz '2024-05-16 12:00+00'"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def logs(db: psycopg.Connection[Any], rows: int = 1000, name: str = "logs") -> None:
    db.execute(f"create table {name} (id bigint primary key, at timestamptz, msg text)")
    db.execute(
        f"insert into {name} select n, timestamptz '2024-06-15 12:00+00' - n * interval '1 hour', md5(n::text) "
        f"from generate_series(1, {rows}) n"
    )
    db.execute(f"create index on {name} (at)")
    db.execute(f"analyze {name}")


def run(database: str, into: Path | str, **other: Any) -> Any:
    with session(database) as opened:
        return retention(target({"public.logs": policy(into)})).run(opened, AT, **other)


def counting(into: Path) -> list[int]:
    """Return the ids in the files that count; no file lies there without a manifest."""
    folder = into / "public/logs"
    manifests = [json.loads(m.read_text()) for m in (folder / "_manifests").glob("*.json")]
    assert {m["file"] for m in manifests} == {f.stem for f in folder.glob("*.parquet")}
    assert not list((folder / "_undecided").glob("*"))
    return sorted(i for m in manifests for i in pq.read_table(folder / f"{m['file']}.parquet")["id"].to_pylist())


def everything(db: psycopg.Connection[Any], into: Path) -> list[int]:
    return sorted([r[0] for r in db.execute("select id from logs").fetchall()] + counting(into))


def test_a_full_disk(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=100))
    monkeypatch.setattr(Pace, "learn", lambda *_: None)
    logs(db)
    run(database, tmp_path / "warm")  # what Python caches on disk is there already
    db.execute(
        "insert into logs select * from (select n + 2000, timestamptz '2024-01-01' + n * interval '1 minute', "
        "repeat(md5(n::text), 40) from generate_series(1, 3000) n) s"
    )
    db.execute("analyze logs")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        done = run(database, tmp_path / "archive")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert done.statuses == ["failed"]
    assert "the store is full" in str(done.outcomes[0].message), said(done)
    assert counting(tmp_path / "archive") == []
    whole = everything(db, tmp_path / "archive")
    assert run(database, tmp_path / "archive").statuses == ["done"]
    assert everything(db, tmp_path / "archive") == whole
    assert count(db, "logs", CUT_OFF) == 0


def test_no_file_takes_more_than_was_approved(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may hold more rows than a batch between tables: so it is counted from further away."""
    monkeypatch.setattr("upkeep.postgres.data_retention.batches.LARGEST", 10)
    logs(db)
    what = target({"public.logs": policy(tmp_path)})
    book = retention(what)
    with session(database) as opened:
        observation = book.observe(opened, AT)
        action, *_ = JOB.plan(observation, what).actions
        work = book.work(opened, action, observation, most=100)
        with pytest.raises(OverLimitError, match="plan again"):
            JOB.apply(work)
    assert counting(tmp_path) == []
    assert count(db, "logs") == 1000


def test_a_disk_that_fills_while_rows_come(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    """Another thread writes the file then: what it meets stops the batch, and says what to do."""
    logs(db)
    db.execute(
        "insert into logs select n + 2000, timestamptz '2024-01-01' + n * interval '1 second', "
        "(select string_agg(md5((n * 100 + i)::text), '') from generate_series(1, 100) i) "
        "from generate_series(1, 2500) n"
    )
    db.execute("analyze logs")
    whole = sorted(r[0] for r in db.execute("select id from logs").fetchall())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        done = run(database, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert done.statuses == ["failed"]
    assert "the store is full" in str(done.outcomes[0].message), said(done)
    assert counting(tmp_path) == []
    assert everything(db, tmp_path) == whole
    assert run(database, tmp_path).statuses == ["done"]
    assert everything(db, tmp_path) == whole


def test_too_little_room_is_seen_before(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs(db)
    monkeypatch.setattr("upkeep.stores.local.LocalStore.free_bytes", lambda _: 1 << 20)
    with session(database) as opened:
        what = target({"public.logs": policy(tmp_path)})
        planned = retention(what).plan(opened, AT)
    assert planned.actions[0].blocked
    assert "MiB left" in planned.actions[0].blocked[1]


@pytest.mark.parametrize("how", ["file", "vanishes"])
def test_a_location_that_cannot_be_used(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=100))
    monkeypatch.setattr(Pace, "learn", lambda *_: None)
    logs(db)
    into = tmp_path / "archive"
    if how == "file":
        into.write_text("no folder")
        done = run(database, into)
        assert done.plan.actions[0].blocked, said(done)
        return
    kept = tmp_path / "elsewhere"
    removed = threading.Event()

    def checkpoint(_: str = "", *, rows: int = 0) -> None:
        if rows and into.exists() and not removed.is_set():
            shutil.move(into, kept)  # as an unmounted disk
            removed.set()

    done = run(database, into, checkpoint=checkpoint)
    assert removed.is_set()
    assert done.statuses == ["failed"]
    assert "unmounted or removed" in str(done.outcomes[0].message)
    assert not into.exists()
    shutil.move(kept, into)
    assert run(database, into).statuses == ["done"]
    assert everything(db, into) == list(range(1, 1001))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another account")
def test_a_folder_that_is_not_ours(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    logs(db)
    os.chmod(tmp_path, 0o755)  # noqa: PTH101, S103
    os.seteuid(65534)
    try:
        done = run(database, tmp_path / "archive")
    finally:
        os.seteuid(0)
    assert done.plan.actions[0].blocked
    assert "right to write there" in done.plan.actions[0].blocked[1]


@pytest.mark.parametrize("what", ["digest", "lost", "count"])
def test_what_is_read_back_must_be_what_was_sent(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    logs(db)
    if what == "digest":  # a writer that changes a value on its way
        decode = parquet.decode
        monkeypatch.setattr(
            parquet, "decode", lambda c, w: decode(c, w.take(list(range(len(w)))[::-1]) if c.name == "msg" else w)
        )
    elif what == "lost":  # a store that loses the end of a file
        publish = LocalStore.publish

        def cut(self: LocalStore, draft: Any, name: str) -> None:
            publish(self, draft, name)
            path = self._folder / name
            path.write_bytes(path.read_bytes()[:-9])

        monkeypatch.setattr(LocalStore, "publish", cut)
    else:
        table = parquet.Writer._table
        monkeypatch.setattr(parquet.Writer, "_table", lambda self, block: table(self, block).slice(1))
    done = run(database, tmp_path)
    assert done.statuses == ["failed"], said(done)
    assert done.outcomes[0].reason_code == "conservation_violated"
    assert count(db, "logs") == 1000
    assert counting(tmp_path) == []


def test_rows_that_others_change_meanwhile(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=40))
    monkeypatch.setattr(Pace, "learn", lambda *_: None)
    logs(db)
    stop = threading.Event()

    def others() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            number = 0
            while not stop.is_set():
                number = number % 1000 + 7
                connection.execute("update logs set msg = 'new' where id = %s", [number])
                connection.execute("update logs set at = '2024-06-14' where id = %s", [number + 1])

    thread = threading.Thread(target=others)
    thread.start()
    try:
        done = run(database, tmp_path)
    finally:
        stop.set()
        thread.join()
    assert set(done.statuses) <= {"done"}, said(done)
    assert run(database, tmp_path).statuses in (["done"], [])
    assert everything(db, tmp_path) == list(range(1, 1001))
    assert count(db, "logs", CUT_OFF) == 0


def test_two_runs_at_once(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    """Without the lease (which keeps them apart) no row is lost or doubled either."""
    logs(db, 3000)
    threads = [threading.Thread(target=run, args=(database, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(database, tmp_path)
    assert everything(db, tmp_path) == list(range(1, 3001))


def undecided(into: Path, **changed: object) -> Path:
    """Make the one file undecided, as a kill after its transaction leaves it; return its note."""
    folder = into / "public/logs"
    (manifest,) = (folder / "_manifests").iterdir()
    moved = folder / "_undecided" / manifest.name
    moved.write_text(json.dumps(json.loads(manifest.read_text()) | changed))
    manifest.unlink()
    return moved


HISTORIES: dict[str, dict[str, object]] = {
    "frozen long ago": {},
    "an id that was not given yet": {"transaction": str(2**40)},
    "another timeline": {"timeline": "0000002A"},
    "a WAL place that is still to come": {"place": "FFFF/0"},
    "a note of before histories were written": {"place": None, "timeline": None, "started": None},
}


@pytest.mark.parametrize("case", list(HISTORIES))
def test_a_transaction_that_nobody_can_know(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    logs(db)
    run(database, tmp_path)
    note = undecided(tmp_path, **HISTORIES[case])
    before = note.read_text()
    if case == "frozen long ago":
        monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.end_of", lambda *_: None)
    done = run(database, tmp_path)
    assert done.kinds == ["settle_files"]
    assert done.statuses == ["failed"]
    assert "cannot know what became" in str(done.outcomes[0].message)
    assert note.read_text() == before
    assert len(list((tmp_path / "public/logs").glob("*.parquet"))) == 1
    assert not list((tmp_path / "public/logs/_manifests").iterdir())


def test_an_aborted_transaction_of_another_start_removes_nothing(
    db: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    """A copy of the server went on past the noted place: what it calls aborted is its own transaction."""
    logs(db)
    run(database, tmp_path)
    with psycopg.connect(database) as other:
        theirs = other.execute("select pg_current_xact_id()::text").fetchone()
        other.rollback()
    assert theirs
    note = undecided(tmp_path, transaction=theirs[0], started="2020-01-01 00:00:00.000000", witness=None)
    assert run(database, tmp_path).statuses == ["failed"]
    assert len(list((tmp_path / "public/logs").glob("*.parquet"))) == 1
    about = json.loads(note.read_text())
    with session(database) as opened:
        note.write_text(json.dumps(about | {"started": opened.instance}))
    assert run(database, tmp_path).statuses == ["done"]
    assert counting(tmp_path) == []


@pytest.mark.parametrize("witness", [None, "other"])
@pytest.mark.parametrize("end", ["committed", "aborted"])
def test_a_copy_of_the_disk_decides_nothing(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, end: str, witness: str | None
) -> None:
    """It goes on on the same timeline: under the noted id it has a transaction of its own, however that ended."""
    logs(db)
    run(database, tmp_path)
    with psycopg.connect(database) as other:
        theirs = other.execute("select pg_current_xact_id()::text").fetchone()
        other.commit() if end == "committed" else other.rollback()
    assert theirs
    if witness is not None:
        witness = f"{theirs[0]}:{int(end != 'committed')}"
    note = undecided(tmp_path, transaction=theirs[0], started="2020-01-01 00:00:00.000000", witness=witness)
    before = note.read_text()
    assert run(database, tmp_path).statuses == ["failed"]
    assert note.read_text() == before
    assert not list((tmp_path / "public/logs/_manifests").iterdir())
    assert len(list((tmp_path / "public/logs").glob("*.parquet"))) == 1


def test_what_counts_is_decided(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    """A kill between the two notes of a decision leaves both; the server may have forgotten, or be promoted since."""
    logs(db)
    run(database, tmp_path)
    (manifest,) = (tmp_path / "public/logs/_manifests").iterdir()
    text, there = manifest.read_text(), counting(tmp_path)
    note = undecided(tmp_path, timeline="0000002A")
    manifest.write_text(text)
    assert run(database, tmp_path).statuses == ["done"]
    assert not note.exists()
    assert len(list((tmp_path / "public/logs").glob("*.parquet"))) == 1
    assert counting(tmp_path) == there


def test_drafts_of_others_stay(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    logs(db)
    run(database, tmp_path)
    folder = tmp_path / "public/logs"
    (manifest,) = (folder / "_manifests").iterdir()
    sign = manifest.name.split("-")[1]
    fresh, old = folder / f"_undecided/{sign}-aa.00000000.tmp", folder / f"_undecided/{sign}-bb.00000000.tmp"
    for draft in (fresh, old):
        draft.write_text("of a copy of this server")
    os.utime(old, (0, 0))
    assert run(database, tmp_path).statuses == ["done"]
    assert fresh.exists()
    assert not old.exists()
    assert run(database, tmp_path).kinds == []


def test_a_copy_of_the_server_touches_nothing(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Production was killed after its COMMIT; a copy of it, of before, comes to the same location."""

    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    settings = {"shared_buffers": "16MB", "autovacuum": "off", "fsync": "off"}
    homes = [temporary_directory(), temporary_directory()]
    servers: list[PostgresServer] = []
    into = tmp_path / "archive"
    try:
        first = start_postgres(homes[0], settings=settings)
        servers.append(first)
        with psycopg.connect(first.uri(), autocommit=True) as own:
            logs(own)
        first.stop()
        copy = PostgresServer(homes[1], port=free_port(), password=first.password, settings=settings)
        copy.login = first.login
        subprocess.run(["cp", "-a", str(first.data), str(copy.directory)], check=True)
        servers.append(copy)
        first.start()
        copy.start()
        with session(first.uri()) as one, session(copy.uri()) as two:
            assert one.identity == two.identity
            assert one.instance != two.instance
        with monkeypatch.context() as patched:
            patched.setattr("upkeep.stores.shelf.Shelf.decide", die)
            with pytest.raises(KilledError):
                run(first.uri(), into)
        (file,) = (into / "public/logs").glob("*.parquet")
        assert run(copy.uri(), into).statuses[0] == "failed"
        assert file.exists()
        with psycopg.connect(first.uri()) as own:
            left = count(own, "logs")
        assert run(first.uri(), into).statuses == ["done"]
        assert len(pq.read_table(file)) + left == 1000
    finally:
        for server in servers:
            server.stop()
        for home in homes:
            shutil.rmtree(home, ignore_errors=True)


def test_a_location_that_is_not_mounted(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    """The mount point is an empty folder, or is gone; or another disk is there: nothing moves until it is back."""
    logs(db)
    into, kept = tmp_path / "mount", tmp_path / "disk"
    into.mkdir()
    book = retention(target({"public.logs": policy(into)}))
    tried: list[int] = []

    def go() -> Any:
        db.execute("insert into logs values (%s, '2024-01-01', 'more')", [1001 + len(tried)])
        tried.append(1)
        with session(database) as opened:
            return book.run(opened, AT)

    assert go().statuses == ["done"]
    mark = (into / "_location.json").read_text()
    shutil.move(into, kept)
    for state in ("gone", "empty", "another"):
        if state == "empty":
            into.mkdir()
        elif state == "another":
            (into / "_location.json").write_text('{"location_id": "0"}')
        left = count(db, "logs")
        done = go()
        assert done.statuses == ["failed"], state
        assert "Mount it again" in str(done.outcomes[0].message)
        assert count(db, "logs") == left + 1
        assert not list(into.rglob("*.parquet"))
        assert into.exists() == (state != "gone")
    shutil.rmtree(into)
    shutil.move(kept, into)
    assert (into / "_location.json").read_text() == mark
    assert go().statuses == ["done"]
    assert everything(db, into) == list(range(1, 1006))


def test_a_location_that_changes_within_a_run(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=100))
    monkeypatch.setattr(Pace, "learn", lambda *_: None)
    logs(db)
    into, kept = tmp_path / "mount", tmp_path / "disk"

    def checkpoint(_: str = "", *, rows: int = 0) -> None:
        if rows and not kept.exists():
            shutil.move(into, kept)
            into.mkdir()

    assert run(database, into, checkpoint=checkpoint).statuses == ["failed"]
    assert not list(into.rglob("*.parquet"))
    shutil.rmtree(into)
    shutil.move(kept, into)
    assert run(database, into).statuses == ["done"]
    assert everything(db, into) == list(range(1, 1001))


def test_a_store_that_forgets_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="every archived row would be lost"):
        target({"public.logs": policy("memory://bucket/archive")})
    with pytest.raises(ConfigurationError, match="every archived row would be lost"):
        open_store("memory://bucket")


def test_an_object_store(db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.fleet.location.LOST", frozenset())
    logs(db)
    files = fsspec.filesystem("memory")
    url = "memory://bucket/archive"
    done = run(database, url)
    assert done.statuses == ["done"], said(done)
    due = done.outcomes[0].rows
    names = files.find("/bucket/archive/public/logs")
    assert sum(name.endswith(".parquet") for name in names) == 1
    assert run(database, url).kinds == []
    with session(database) as opened:
        back = restored(opened, target({"public.logs": policy(url)}), "public.logs")
    assert [o.status for o in back.outcomes] == ["done"], said(back)
    assert back.outcomes[0].rows == due
    assert count(db, "logs") == 1000
    files.rm("/bucket", recursive=True)


class Moody(MemoryFileSystem):
    """A store whose trouble is no OSError, and whose messages hold what nobody may see."""

    protocol = "moody"
    refused = "nothing"

    def _refuse(self, what: str, path: str) -> None:
        if self.refused in f"{what} {path}":
            raise RuntimeError("https://store/?X-Amz-Signature=SECRET")

    def ls(self, path: str, *args: Any, **options: Any) -> Any:
        self._refuse("ls", path)
        return super().ls(path, *args, **options)

    def pipe_file(self, path: str, value: bytes, *args: Any, **options: Any) -> Any:
        self._refuse("put", path)
        return super().pipe_file(path, value, *args, **options)

    def info(self, path: str, **options: Any) -> Any:
        self._refuse("info", path)
        return super().info(path, **options)


@pytest.mark.parametrize("refused", ["ls", "put /bucket/moody/public/logs/_manifests", "info"])
def test_a_store_with_troubles_of_its_own(db: psycopg.Connection[Any], database: str, refused: str) -> None:
    logs(db)
    files = Moody()
    before = opener.set(lambda _: (files, "/bucket/moody"))
    try:
        files.refused = refused
        done = run(database, "s3://bucket/moody")
        assert "SECRET" not in str(said(done)) + str([a.blocked for a in done.plan.actions])
        if refused in {"ls", "info"}:
            assert done.plan.actions[0].blocked
            assert count(db, "logs") == 1000
        else:
            assert done.statuses == ["failed"]
            assert done.outcomes[0].rows == 1000 - count(db, "logs") > 0  # committed: the progress is not lost
            assert "its rows are safe in it" in str(done.outcomes[0].message)
        files.refused = "nothing"
        assert set(run(database, "s3://bucket/moody").statuses) == {"done"}
        with session(database) as opened:
            back = restored(opened, target({"public.logs": policy("s3://bucket/moody")}), "public.logs")
        assert {o.status.value for o in back.outcomes} == {"done"}
        assert count(db, "logs") == 1000
        files.refused = "info"
        with pytest.raises(StoreError, match="RuntimeError"):
            open_store("s3://bucket/moody").exists("a")
    finally:
        opener.reset(before)
        MemoryFileSystem().rm("/bucket", recursive=True)


def test_a_store_that_is_not_installed(db: psycopg.Connection[Any], database: str) -> None:
    logs(db)
    for url, says in (("nosuch://b/c", "cannot be opened"), ("s3://my_connection@b/c", "inside Airflow only")):
        done = run(database, url)
        assert says in str(done.plan.actions[0].blocked), said(done)


def test_wide_rows_and_no_rows(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.MOST_BYTES", 8 << 20)
    db.execute("create table logs (id bigint, at timestamptz, msg text)")
    assert run(database, tmp_path).kinds == []
    db.execute("insert into logs select n, '2024-01-01', repeat(md5(n::text), 1000) from generate_series(1, 1500) n")
    done = run(database, tmp_path)
    assert done.statuses == ["done"], said(done)
    assert done.outcomes[0].evidence["files"] > 1
    assert everything(db, tmp_path) == list(range(1, 1501))


@pytest.mark.parametrize("indexed", [True, False])
def test_rows_so_wide_that_few_fit(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    """Bytes bound a transaction also where that makes it smaller than any batch of narrow rows."""
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.MOST_BYTES", 3 << 20)
    db.execute("create table logs (id bigint, at timestamptz, msg text)")
    db.execute("alter table logs alter msg set storage external")
    db.execute(
        "insert into logs select n, timestamptz '2024-01-01' + n * interval '1 hour', repeat(md5(n::text), 32768) "
        "from generate_series(1, 24) n"
    )
    if indexed:
        db.execute("create index on logs (at)")
    db.execute("analyze logs")
    done = run(database, tmp_path)
    assert done.statuses == ["done"], said(done)
    sizes = [m["rows"] for m in map(json.loads, (p.read_text() for p in tmp_path.rglob("_manifests/*.json")))]
    assert sum(sizes) == 24
    assert not indexed or max(sizes) <= 3
    assert everything(db, tmp_path) == list(range(1, 25))


def test_a_commit_is_durable_before_its_file_counts(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs(db)
    db.execute(f"alter role upkeep in database {db.info.dbname} set synchronous_commit = off")
    seen: list[str] = []
    keep = FileArchive._keep

    def watched(self: FileArchive, *args: Any) -> Any:
        cursor = self.session.connection.execute("show synchronous_commit")
        seen.append(cursor.fetchall()[0]["synchronous_commit"])
        return keep(self, *args)

    monkeypatch.setattr(FileArchive, "_keep", watched)
    assert run(database, tmp_path).statuses == ["done"]
    assert seen == ["local"]
