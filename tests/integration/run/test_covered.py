"""`requires: {backup: AGE}`: only a verified backup lets rows go, and only those that it holds as they are now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness.cases import AT, CASES, ROWS, prepare
from tests.harness.commands import Bed, Db

ROW_BY_ROW = CASES["delete rows"]
WHOLE = CASES["detach concurrently, then drop"]
REQUIRES = "requires: {backup: 26 hours}"


@pytest.fixture
def db(bed: Bed) -> Any:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


def declare(bed: Bed, policy: str, into: Path) -> None:
    bed.declare({"app.logs": policy.replace("requires: nothing", REQUIRES)}, more=f"backup: {{into: {into}}}")


def ids(db: Db) -> set[int]:
    return {row[0] for row in db.execute("select id from app.logs").fetchall()}


def test_only_rows_that_a_verified_backup_holds_go(bed: Bed, db: Db, tmp_path: Path) -> None:
    prepare(db, ROW_BY_ROW)
    declare(bed, ROW_BY_ROW.policy, tmp_path)
    before = bed.upkeep("run", "data_retention", *AT)
    assert before.outcomes()["app.logs"][0] == "needs_backup", before.story
    assert before.status == 0, before.story
    (waiting,) = [f for f in before.target["findings"] if f["check"] == "retention_starved"]
    assert waiting["severity"] == "INFO"
    assert "no verified backup of this database is recorded" in waiting["summary"]
    assert len(ids(db)) == ROWS

    taken = bed.upkeep("run", "backup", "--json")
    assert taken.status == 0, taken.story
    (made,) = taken.target["actions"][0]["outcome"]["artefacts"]
    assert made["state"] == "verified"
    assert "published in " in taken.target["actions"][0]["outcome"]["message"]
    assert "; compared in " in taken.target["actions"][0]["outcome"]["message"]
    listed = bed.upkeep("backups", "--json").document["backups"]
    assert [(b["id"], b["status"], b["level"]) for b in listed] == [(made["id"], "verified", "compared")]

    # a due row that came late, and one that was changed: neither is in the backup as it is now
    db.execute("insert into app.logs values (1000, '2024-01-11')")
    db.execute("update app.logs set at = at where id = 1")
    done = bed.upkeep("run", "data_retention", *AT)
    assert ids(db) == {1, 1000, *range(ROWS // 2 + 1, ROWS + 1)}, done.story
    assert done.outcomes()["app.logs"][0] == "done", done.story
    assert f"2 rows that are due stay: backup {made['id']} of " in done.story
    assert "UTC, which was verified, holds what it took away" in done.story
    with psycopg.connect(bed.control) as control:
        used = control.execute("select backup, run_id from upkeep.backup where event = 'used'").fetchall()
    assert (made["id"], done.document["run_id"]) in used
    # what authorised a deletion is kept; with its files gone it authorises nothing
    (Path(made["location"]) / "data").rename(tmp_path / "moved")
    gone = bed.upkeep("run", "data_retention", *AT)
    assert set(gone.outcomes()["app.logs"]) == {"needs_backup"}, gone.story
    assert "no longer (whole)" in gone.story
    again = bed.upkeep("run", "backup", "--json")
    assert again.status == 0, again.story
    assert [f["check"] for f in again.target["findings"]] == ["backup_gone"]
    assert bed.upkeep("run", "data_retention", *AT).status == 0
    assert ids(db) == set(range(ROWS // 2 + 1, ROWS + 1))


def test_a_whole_partition_goes_only_when_each_row_of_it_is_held(bed: Bed, db: Db, tmp_path: Path) -> None:
    prepare(db, WHOLE)
    declare(bed, WHOLE.policy, tmp_path)
    assert bed.upkeep("run", "backup", "--json").status == 0
    db.execute("update app.logs set at = at where id = 1")
    kept = bed.upkeep("run", "data_retention", *AT)
    assert kept.outcomes()["app.logs"][0] == "needs_backup", kept.story
    assert "holds rows that were written after backup" in kept.story
    assert len(ids(db)) == ROWS
    assert bed.upkeep("run", "backup", "--now", "--json").status == 0
    detached = bed.upkeep("run", "data_retention", *AT)
    assert detached.outcomes()["app.logs"] == ["done"], detached.story
    assert ids(db) == set(range(ROWS // 2 + 1, ROWS + 1))
    # it is dropped only once a backup has seen it detached
    assert db.execute("select to_regclass('app.logs_1') is not null").fetchall() == [(True,)]
    waits = bed.upkeep("run", "data_retention", *AT)
    assert waits.outcomes()["app.logs"] == ["needs_backup"], waits.story
    assert bed.upkeep("run", "backup", "--now", "--json").status == 0
    dropped = bed.upkeep("run", "data_retention", *AT)
    assert dropped.outcomes()["app.logs"] == ["done"], dropped.story
    assert db.execute("select to_regclass('app.logs_1') is null").fetchall() == [(True,)]
