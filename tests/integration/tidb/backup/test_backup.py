"""A TiDB database at one snapshot: dumped, loaded into a server of its own, compared; what is wrong is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local.servers import TidbServer
from tests.harness import restorable, scratching
from tests.harness.copying import Copying, Watch, flip, words
from tests.harness.jobs import address
from tests.harness.tidb import Db, fresh
from upkeep.errors import CancelledError, ConfigurationError, ProgramError
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.verify import differences
from upkeep.jobs.contract import go_on
from upkeep.tidb.session import TiDBSession

pytestmark = pytest.mark.tidb
ODD = "odd.na`me -/%é;\n"
TABLES = """
create table plain (id bigint primary key auto_random, note text, born timestamp null, raw blob, doc json,
bits bit(9), price decimal(20, 5), ratio double, kind enum('a', 'b'), up int as (length(note)) virtual,
key by_note (note(20)), unique key by_born (born));;
create table parted (id int, at datetime not null, unique key u (id, at)) ttl = `at` + interval 1 day
partition by range columns(at)
(partition p0 values less than ('2024-01-01'), partition p1 values less than (maxvalue));;
create table empty (id int primary key comment 'it''s; `odd`');;
create table numbered (id bigint primary key auto_increment, note text);;
create table cached (id bigint key nonclustered auto_increment, note text) auto_id_cache 1 comment 'AUTO_INCREMENT=3';;
create sequence counter start with 5;;
create sequence down start with -1 increment by -1 minvalue -99 maxvalue -1 cache 10;;
create sequence unused start with 7;;
create view seen as select id, note from plain where note like '%;%'
"""


@contextmanager
def snapshots(db: Db) -> Iterator[None]:
    """Let the embedded store have snapshots: it collects nothing, and says nothing of it, as a worker would."""
    db.run("replace into mysql.tidb values ('tikv_gc_safe_point', '20200101-00:00:00 +0000', '')")
    try:
        yield
    finally:
        db.run("delete from mysql.tidb where variable_name = 'tikv_gc_safe_point'")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with fresh(tidb_server) as made, snapshots(made):
        for statement in TABLES.split(";;"):
            made.run(statement)
        made.run("create table `" + ODD.strip().replace("`", "``") + "` (`a``b` varchar(9) primary key)")
        made.run("insert into `" + ODD.strip().replace("`", "``") + "` values ('x'), (''), (' ;')")
        row = ("it's \n(a\n;\\ line),\n(", "2026-01-01 00:30:00", b"\x00\xff\n'", '{"a": ["\\n"]}', 5, "1.5", 0.1, "b")
        made.run(
            f"insert into plain (note, born, raw, doc, bits, price, ratio, kind) values ({', '.join(['%s'] * 8)})",
            row,
        )
        made.many("insert into plain (note, ratio) values (%s, %s)", [(f"n{n}", n / 7) for n in range(500)])
        for table in ("numbered", "cached"):
            made.many(f"insert into {table} (note) values (%s)", [("a",), ("b",), ("c",)])
            made.run(f"delete from {table} where note = 'c'")  # its number was given out all the same
        for sequence in ("counter", "down"):
            made.run(f"select nextval({sequence}), nextval({sequence})")
        made.run("insert into parted values (1, '2023-01-01'), (2, '2025-01-01')")  # due, all of them
        yield made


@pytest.fixture
def copying(db: Db, tmp_path: Path) -> Copying:
    return Copying("tidb", db.uri, tmp_path / "backups")


def test_it_is_restored_and_equals_the_source_at_the_snapshot(db: Db, copying: Copying) -> None:
    assert copying.survey().refusals == ()
    said: set[str] = set()

    def listen() -> None:
        for process in psutil.process_iter(["cmdline"]):
            said.update(process.info["cmdline"] or ())

    copying.bench = Bench(go_on, lambda _: listen(), 120)
    found = copying.take()
    db.run("delete from plain limit 100")  # later than the snapshot
    objects = {thing.name.partition(".")[2]: thing for thing in found.manifest.objects}
    assert {name: thing.rows for name, thing in objects.items() if thing.kind == "table"} == {
        "plain": 501,
        "parted": 2,
        "empty": 0,
        "numbered": 2,
        "cached": 2,
        "`" + ODD.strip().replace("`", "``") + "`": 3,
    }
    verdict = copying.verify(found)
    assert (verdict.level, words(verdict)) == ("compared", [])
    assert verdict.restore_seconds
    assert not [word for word in said if db.server.password in word]
    assert scratching.places("tidb") == []
    assert "tidb_ttl_job_enable" in (found.place / "RESTORE.txt").read_text()

    # what is wrong with a restored copy is named: an index, a row, a value, a partition, a view
    changes = {
        "alter table plain drop index by_note": "not there after the restore: KEY `by_note`",
        "delete from plain limit 1": "500 rows are there after the restore, 501 were dumped",
        "update parted set id = 9 where id = 1": "their checksums differ",
        "drop view seen": "the view is not there after the restore",
        "drop table empty": "the table is not there after the restore",
        "alter table numbered force auto_increment = 3": "numbered* there only after the restore: " + given(3),
        "alter table cached force auto_increment = 3": "cached* not there after the restore: " + given(4),
        "alter table plain force auto_random_base = 2": "plain* there only after the restore: " + given(2),
        "alter sequence counter restart with 5": "counter* there only after the restore: stands at 4",
    }
    with copying.restored(found) as there:
        session = TiDBSession.connect(there, application="test")
        with session._connection.cursor() as cursor:
            for statement in changes:
                cursor.execute(statement)
        named = words_of(copying, found, there)
        for statement, expected in changes.items():
            subject, _, text = expected.rpartition("*")
            assert any(subject in one and text in one for one in named), (statement, named)
        assert scratching.places("tidb")[0].stat().st_mode & 0o777 == 0o700
        session.close()


def given(number: int) -> str:
    return f"new rows get no number below {number}"


def words_of(copying: Copying, found: object, there: object) -> list[str]:
    manifest = found.manifest  # type: ignore[attr-defined]
    return [f"{f.subject}: {f.summary}" for f in differences(manifest, copying.copier.look(there, manifest))]  # type: ignore[arg-type]


def test_damage_is_found_and_nothing_half_is_left(db: Db, copying: Copying) -> None:
    copying.policy = "compare: 0 B"
    found = copying.take()
    assert {thing.checksum for thing in found.manifest.objects if thing.rows} == {None}
    (file,) = (found.place / "data").glob("*.plain.*.sql")
    whole = file.read_bytes()
    flip(file)
    assert [one for one in words(copying.verify(found)) if "has other bytes than were written" in one]
    file.write_bytes(b"\n".join(line for line in whole.split(b"\n") if b"'n7'" not in line))
    (one,) = words(copying.verify(found, copying.signed(found)))
    assert f"{db.name}.plain: " in one
    assert "500 rows are in the files, 501 were dumped" in one
    file.write_bytes(whole.replace(b"'n7',", b"'n7'; oops,"))  # as many rows, and no SQL
    (one,) = words(copying.verify(found, copying.signed(found)))
    assert "is damaged" in one
    assert "oops" not in one
    file.write_bytes(whole)
    (schema,) = (found.place / "data").glob("*.plain-schema.sql")
    kept = schema.read_text()
    schema.write_text("\n".join(line for line in kept.split("\n") if "by_note" not in line))
    (cached,) = (found.place / "data").glob("*.cached-schema.sql")
    (down,) = (found.place / "data").glob("*.down-schema-sequence.sql")
    stood = {path: path.read_text() for path in (cached, down)}
    cached.write_text(stood[cached].replace(" AUTO_INCREMENT=4", " AUTO_INCREMENT=3"))
    down.write_text(stood[down].replace(",-10)", f",{(1 << 63) - 1})"))  # as dumpling has it, who reads it unsigned
    said = words(copying.verify(found, copying.signed(found)))
    for expected in ("KEY `by_note`", given(4), "stands at -10"):
        assert any(f"not there after the restore: {expected}" in one for one in said), said

    for path, text in {schema: kept, **stood}.items():
        path.write_text(text)

    def stop() -> None:
        raise CancelledError("stop")

    for n in (1, 3, 24):  # while it is taken, read, loaded
        copying.bench = Bench(Watch(stop, n), lambda _: None, 60)
        before = sorted(copying.into.rglob("*"))
        with pytest.raises(CancelledError):
            copying.verify(copying.take() if n == 1 else found)
        assert sorted(copying.into.rglob("*")) == before
        assert scratching.places("tidb") == []
    assert threading.active_count() < 10

    def kill(text: str) -> None:
        if text.startswith("1 of "):
            for process in psutil.process_iter(["name", "cmdline"]):
                if any(scratching.mark("tidb") in word for word in process.info["cmdline"] or ()):
                    process.kill()

    copying.bench = Bench(go_on, kill, 60)  # the memory of the machine is short
    verdict = copying.verify(found)
    assert ([f.check for f in verdict.findings], verdict.level) == (["backup_unverified"], "readable"), words(verdict)
    copying.bench = Bench(go_on, lambda _: None, 60)
    db.run("create user if not exists looker identified by 'pw'")
    db.run(f"grant select on `{db.name}`.empty to looker")
    weak = Copying("tidb", db.admin_uri.replace(f"root:{db.server.password}@", "looker:pw@"), copying.into)
    with pytest.raises((ConfigurationError, ProgramError)):
        weak.take()


def test_what_a_killed_run_left_the_next_one_removes(copying: Copying) -> None:
    copying.killed_at({"": 0, "files are loaded": 1}, "compared")


def test_what_this_machine_lacks_for_a_restore_is_told(copying: Copying, tmp_path: Path) -> None:
    others = [("Release Version: v1.2.3-abc", "is of version v1.2.3-abc, the backup of ")]
    restorable.check(copying.take(), tmp_path, ["tidb-server"], others)


def test_it_goes_into_an_empty_database_only(db: Db, copying: Copying, tidb_server: TidbServer) -> None:
    db.run("drop view seen")
    found = copying.take()
    data = found.place / manifests.DATA
    with pytest.raises(ConfigurationError, match="not empty"):
        copying.copier.restore(data, found.manifest, address(db.admin_uri), copying.bench)
    with fresh(tidb_server) as other:
        copying.copier.restore(data, found.manifest, address(other.admin_uri), copying.bench)
        assert other.run("select * from plain order by id") == db.run("select * from plain order by id")
        other.run("insert into plain (note) values ('new')")
        # no number that was given out is given out again
        for table in ("numbered", "cached"):
            other.run(f"insert into {table} (note) values ('new')")
            assert other.value(f"select min(id) from {table} where note = 'new'") > 3
        drawn = [other.value(f"select nextval({sequence})") for sequence in ("counter", "down", "unused")]
        assert drawn == [1005, -11, 7]
