"""`upkeep restore-archive`: archived rows come back, proven, each exactly once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tests.harness.archives import of_another_history, policy, restored, said
from tests.harness.postgres import AT, attached, count, months, retention, session, target
from tests.harness.stepping import Stepping
from upkeep.cli import main
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.jobs.contract import RestoreRequest
from upkeep.jobs.data_retention.pace import Pace
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession
from upkeep.stores.draft import StoreError
from upkeep.stores.shelf import OWNER
from upkeep.stores.store import Store

FOLDER = "public/logs"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.files.archive.pace", lambda: Pace(size=20))
    monkeypatch.setattr(Pace, "learn", lambda *_: None)


def archived(db: psycopg.Connection[Any], database: str, into: Path, rows: int = 60, key: str = "primary key") -> None:
    """Make a table with a row each hour back from 1 March, and archive all of it."""
    db.execute(f"create table logs (id int {key}, at timestamptz, msg text)")
    db.execute("create index on logs (at)")
    db.execute(
        "insert into logs select n, timestamptz '2024-03-01 00:00+00' - n * interval '1 hour', 'row ' || n "
        f"from generate_series(1, {rows}) n"
    )
    db.execute("analyze logs")
    archive(database, into)
    assert count(db, "logs") == 0


def archive(database: str, into: Path) -> None:
    with session(database) as opened:
        done = retention(target({"public.logs": policy(into)})).run(opened, AT)
    assert done.statuses == ["done"], said(done)


def back(database: str, files: Path, *span: datetime | None, **other: Any) -> Any:
    with session(database) as opened:
        return restored(opened, target({"public.logs": policy(files)}), "public.logs", *span, **other)


def ids(db: psycopg.Connection[Any], table: str = "logs") -> list[int]:
    return [row[0] for row in db.execute(f"select id from {table} order by id").fetchall()]


def at(hours: int) -> datetime:
    """Return the age of row ``hours``."""
    return datetime.fromtimestamp(datetime(2024, 3, 1, tzinfo=UTC).timestamp() - hours * 3600, UTC)


def statuses(done: Any) -> list[str]:
    return [o.status.value for o in done.outcomes]


@pytest.mark.versions
def test_all_comes_back_once(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    archived(db, database, tmp_path, key="")
    first = back(database, tmp_path)
    assert statuses(first) == ["done"] * 3, said(first)
    assert ids(db) == list(range(1, 61))
    again = back(database, tmp_path)
    assert statuses(again) == ["done"] * 3
    assert {o.message.split(": ")[1] for o in again.outcomes} == {"these rows were restored before"}
    assert ids(db) == list(range(1, 61))


def test_ranges_that_overlap(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    archived(db, database, tmp_path, key="")
    back(database, tmp_path, at(30), at(10))
    assert ids(db) == list(range(11, 31))  # from inside, to outside
    back(database, tmp_path, at(40), at(25))
    assert ids(db) == list(range(11, 41))
    back(database, tmp_path)
    assert ids(db) == list(range(1, 61))


def test_archived_again_after_a_restore(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    archived(db, database, tmp_path, key="")
    back(database, tmp_path, at(30), at(10))
    archive(database, tmp_path)
    assert ids(db) == []
    db.execute("create table copy (like logs)")
    done = back(database, tmp_path, into="public.copy")
    assert set(statuses(done)) == {"done"}, said(done)
    assert ids(db, "copy") == list(range(1, 61))
    back(database, tmp_path)
    assert ids(db) == list(range(1, 61))


def test_into_another_table_with_wider_types(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    archived(db, database, tmp_path)
    db.execute("create table wide (id bigint generated always as identity, at timestamptz, msg text, more int)")
    done = back(database, tmp_path, into="public.wide")
    assert statuses(done) == ["done"] * 3, said(done)
    assert ids(db, "wide") == list(range(1, 61))
    db.execute("create table narrow (id smallint, at timestamptz, msg text)")
    with pytest.raises(ConfigurationError, match=r"narrow\.id is smallint"):
        back(database, tmp_path, into="public.narrow")
    db.execute("create table less (id int, at timestamptz)")
    with pytest.raises(ConfigurationError, match="no column msg"):
        back(database, tmp_path, into="public.less")
    with pytest.raises(ConfigurationError, match=r"there is no table public\.nowhere"):
        back(database, tmp_path, into="public.nowhere")


def test_a_row_that_is_there_already(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    archived(db, database, tmp_path)
    db.execute("insert into logs values (5, now(), 'mine')")
    done = back(database, tmp_path)
    assert sorted(statuses(done)) == ["done", "done", "failed"]
    (failed,) = [o for o in done.outcomes if o.status == "failed"]
    assert "are in public.logs already (logs_pkey)" in str(failed.message)
    assert len(ids(db)) == 41
    db.execute("delete from logs where msg = 'mine'")
    back(database, tmp_path)
    assert ids(db) == list(range(1, 61))


@pytest.mark.parametrize("harm", ["flip", "cut", "swap", "remove", "manifest"])
def test_a_file_that_was_tampered_with(db: psycopg.Connection[Any], database: str, tmp_path: Path, harm: str) -> None:
    archived(db, database, tmp_path)
    files = sorted((tmp_path / FOLDER).glob("*.parquet"))
    data = files[0].read_bytes()
    if harm == "flip":
        files[0].write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    elif harm == "cut":
        files[0].write_bytes(data[:-20])
    elif harm == "swap":
        files[0].write_bytes(files[1].read_bytes())
    elif harm == "remove":
        files[0].unlink()
    else:
        manifest = tmp_path / FOLDER / "_manifests" / f"{files[0].stem}.json"
        about = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(about | {"rows": about["rows"] - 1}))
    done = back(database, tmp_path)
    assert sorted(statuses(done)) == ["done", "done", "failed"], said(done)
    assert len(ids(db)) == 40
    assert list((tmp_path / FOLDER / "_undecided").iterdir()) == []


def test_partitions_that_are_missing_are_named(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    months(db, 3, 6)
    what = target({"public.logs": policy(tmp_path, precision="partition", grace="0")})
    with session(database) as opened:
        retention(what).run(opened, AT)
        assert attached(db, "logs") == ["logs_5", "logs_6"]
        done = restored(opened, what, "public.logs")
        assert set(statuses(done)) == {"skipped"}
        assert "has no partition for all rows of the file" in str(done.outcomes[0].message)
        assert "create table … partition of public.logs for values from ('2024-03-01')" in str(done.outcomes[0].message)
        for month in (3, 4):
            db.execute(
                f"create table logs_{month} partition of logs "
                f"for values from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')"
            )
        done = restored(opened, what, "public.logs")
        assert set(statuses(done)) == {"done"}, said(done)
    assert count(db, "logs") == 40
    assert done.finding("due_again").severity == "INFO"


def until(opened: PostgresSession, number: int, kill: Callable[[], None], into: Path) -> list[str]:
    steps: list[str] = []

    def step(*what: object) -> None:
        steps.append(str(what[-1]))
        if len(steps) == number:
            kill()

    opened.trace = step
    before, Store.step = Store.step, step  # type: ignore[method-assign]
    try:
        restored(opened, target({"public.logs": policy(into)}), "public.logs")
    except psycopg.Error:
        pass
    finally:
        Store.step = before  # type: ignore[method-assign]
    return steps


@pytest.mark.parametrize("how", ["process", "backend"])
def test_killed_before_each_step(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, how: str, stepping: Stepping
) -> None:
    archived(db, database, tmp_path, 30, key="")
    with session(database) as opened:
        steps = until(opened, 0, lambda: None, tmp_path)
    assert len(steps) > 20
    for number in stepping.chosen("restoring files", steps):
        db.execute("truncate logs")
        for mark in (tmp_path / FOLDER / "_restored").iterdir():
            mark.unlink()
        if how == "process":
            child = os.fork()
            if child == 0:
                try:
                    with session(database) as opened:
                        until(opened, number, lambda: os.kill(os.getpid(), signal.SIGKILL), tmp_path)
                finally:
                    os._exit(3)
            assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        else:
            with session(database) as opened, psycopg.connect(database, autocommit=True) as other:
                pid = opened.backend_pid

                def kill(pid: int = pid, other: psycopg.Connection[Any] = other) -> None:
                    other.execute("select pg_terminate_backend(%s, 5000)", [pid])

                with contextlib.suppress(UnreachableError):
                    until(opened, number, kill, tmp_path)
        assert len(ids(db)) == len(set(ids(db))), number
        done = back(database, tmp_path)
        assert set(statuses(done)) == {"done"}, (number, said(done))
        assert ids(db) == list(range(1, 31)), number
        assert list((tmp_path / FOLDER / "_undecided").iterdir()) == []


class KilledError(BaseException):
    """Stands for kill -9."""


def kill_before_deciding(patched: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KilledError

    patched.setattr("upkeep.stores.shelf.Shelf.decide", die)


def test_a_restore_settles_first(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two plans of the same restore: the first is killed after its COMMIT, the second loads nothing twice."""
    archived(db, database, tmp_path, 20, key="")
    what = target({"public.logs": policy(tmp_path)})
    with session(database) as opened:
        observation = retention(what).observe(opened, AT)
        planned = JOB.plan_restore(opened, what, RestoreRequest(table="public.logs"), observation)
        with monkeypatch.context() as patched:
            kill_before_deciding(patched)
            with pytest.raises(KilledError):
                retention(what).apply(opened, planned.actions[0], observation)
        assert ids(db) == list(range(1, 21))
        with monkeypatch.context() as patched:
            patched.setattr("upkeep.postgres.data_retention.files.archive.end_of", lambda *_: None)
            outcome = retention(what).apply(opened, planned.actions[0], observation)
        assert outcome.status == "failed"
        assert "cannot know" in str(outcome.message)
        outcome = retention(what).apply(opened, planned.actions[0], observation)
        assert (outcome.status, outcome.rows) == ("done", 0)
    assert ids(db) == list(range(1, 21))


def test_undecided_files_are_planned(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        kill_before_deciding(patched)
        with pytest.raises(KilledError):
            archived(db, database, tmp_path, 20, key="")
    assert ids(db) == []
    done = back(database, tmp_path)
    assert done.kinds == ["settle_files", "restore_file"]
    assert done.finding("archive_undecided").severity == "WARNING"
    assert statuses(done) == ["done", "done"], said(done)
    assert ids(db) == list(range(1, 21))


def test_what_was_restored_before_the_disk_was_put_back(
    db: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    """Its rows are gone again, though the timeline is the same: nobody says that they are there."""
    archived(db, database, tmp_path, 20, key="")
    back(database, tmp_path)
    db.execute("delete from logs")
    (mark,) = (tmp_path / FOLDER / "_restored").iterdir()
    of_another_history(mark)
    done = back(database, tmp_path)
    assert statuses(done) == ["failed"]
    assert "restored or promoted since" in str(done.outcomes[0].message)
    assert statuses(back(database, tmp_path, again=True)) == ["done"]
    assert ids(db) == list(range(1, 21))
    assert [(o.status.value, o.rows) for o in back(database, tmp_path, again=True).outcomes] == [("done", 0)]


def test_a_table_made_anew_gets_its_rows_only_when_asked(
    db: psycopg.Connection[Any], database: str, tmp_path: Path
) -> None:
    archived(db, database, tmp_path, 20, key="")
    back(database, tmp_path)
    db.execute("drop table logs")
    db.execute("create table logs (id int, at timestamptz, msg text)")
    done = back(database, tmp_path)
    assert statuses(done) == ["failed"]
    assert "was made anew since" in str(done.outcomes[0].message)
    assert ids(db) == []
    assert statuses(back(database, tmp_path, again=True)) == ["done"]
    assert ids(db) == list(range(1, 21))
    again = back(database, tmp_path, again=True)
    assert [(o.status.value, o.rows) for o in again.outcomes] == [("done", 0)]
    (mark,) = [m for m in (tmp_path / FOLDER / "_restored").iterdir() if f'"into_oid": {oid(db)}' in m.read_text()]
    mark.write_text(mark.read_text().replace('"timeline": "0', '"timeline": "F'))
    done = back(database, tmp_path)
    assert statuses(done) == ["failed"]
    assert len(ids(db)) == 20


def oid(db: psycopg.Connection[Any]) -> int:
    row = db.execute("select 'public.logs'::regclass::oid::bigint").fetchone()
    assert row
    return int(row[0])


def test_files_of_another_identity_are_named_and_can_be_taken(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade gives the server a new identity; the files of before lie at the same place."""
    archived(db, database, tmp_path, 20, key="")
    identity = PostgresSession.identity.fget
    assert identity
    monkeypatch.setattr(PostgresSession, "identity", property(lambda self: identity(self) + "0"))
    with pytest.raises(ConfigurationError, match="of other databases only"):
        back(database, tmp_path)
    db.execute("insert into logs values (21, '2024-01-01', 'new')")
    with session(database) as opened:
        what = target({"public.logs": policy(tmp_path)})
        blocked = retention(what).plan(opened, AT).actions[0].blocked
        assert blocked
        assert "before an upgrade or a move" in blocked[1]
        (tmp_path / FOLDER / OWNER).write_text(json.dumps({"identity": opened.identity}))
    archive(database, tmp_path)
    done = back(database, tmp_path, location=str(tmp_path))
    assert "1 file(s) with 20 rows of that range are of other databases" in done.finding("archive_of_others").summary
    assert ids(db) == [21]
    done = back(database, tmp_path, identity="all")
    assert set(statuses(done)) == {"done"}, said(done)
    assert "archive_of_others" not in done.checks
    assert ids(db) == list(range(1, 22))


def test_a_mark_that_cannot_be_made_final(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(db, database, tmp_path, 20, key="")

    def refuse(*_: object) -> None:
        raise StoreError("no route")

    with monkeypatch.context() as patched:
        patched.setattr("upkeep.stores.shelf.Shelf.decide", refuse)
        done = back(database, tmp_path)
    assert [(o.status.value, o.rows) for o in done.outcomes] == [("failed", 20)]
    assert "its rows are in the table" in str(done.outcomes[0].message)
    back(database, tmp_path)
    assert ids(db) == list(range(1, 21))


def test_the_ledger_remembers_the_location(
    db: psycopg.Connection[Any],
    database: str,
    control_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    fleet, into = tmp_path / "fleet.yaml", tmp_path / "archive"
    fleet.write_text(
        "version: 1\ntargets:\n  shop:\n    engine: postgres\n    connection: shop_db\n    limits: {share: 100 %}\n"
        f"    tables:\n      public.logs:\n        {policy(into)}\n"
    )
    db.execute("create table logs (id int, at timestamptz)")
    command = ("--fleet", str(fleet), "run", "data_retention")
    for number in (1, 2, 3):
        db.execute("insert into logs values (%s, '2024-01-01')", [number])
        if number == 3:
            into.rename(tmp_path / "disk")
            into.mkdir()  # the mount point of a disk that is not mounted
        ran = CliRunner().invoke(main, [*command])
        assert (ran.exit_code == 0) == (number < 3), ran.output
    assert ids(db) == [3]
    assert list(into.iterdir()) == []


def test_the_command(
    db: psycopg.Connection[Any],
    database: str,
    control_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "version: 1\ntargets:\n  shop:\n    engine: postgres\n    connection: shop_db\n    limits: {share: 100 %}\n"
        f"    tables:\n      public.logs:\n        {policy(tmp_path / 'archive')}\n"
    )
    db.execute("create table logs (id int, at timestamptz)")
    db.execute("insert into logs select n, '2024-01-01' from generate_series(1, 50) n")

    def upkeep(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["--fleet", str(fleet), *arguments])

    ran = upkeep("run", "data_retention", "--json")
    assert ran.exit_code == 0, ran.output
    (told,) = json.loads(ran.stdout)["targets"]
    assert all(gate["success"] for gate in told["gates"])
    assert count(db, "logs") == 0
    command = ("restore-archive", "--target", "shop", "--table", "public.logs")
    assert upkeep(*command, "--dry-run").exit_code == 0
    assert count(db, "logs") == 0
    result = upkeep(*command, "--from", "2023-12-01T00:00Z", "--to", "2024-02-01T00:00Z", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [a["kind"] for a in document["targets"][0]["actions"]] == ["restore_file"]
    assert sum(a["outcome"]["rows"] for a in document["targets"][0]["actions"]) == 50
    assert ids(db) == list(range(1, 51))
    assert upkeep(*command).exit_code == 0
    assert count(db, "logs") == 50
    assert upkeep("show", document["run_id"]).exit_code == 0
    assert upkeep(*command, "--from", "2024-02-01T00:00Z", "--to", "2024-02-01T00:00Z").exit_code == 2
    assert upkeep(*command, "--from-location", str(tmp_path / "none")).exit_code == 2
