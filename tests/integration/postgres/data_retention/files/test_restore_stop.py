"""`upkeep restore-archive` that is told to stop, or meets a slow server: whole files or nothing of them."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness import commands as help_
from tests.harness.archives import policy
from tests.harness.cases import AT, CASES, ROWS, prepare
from tests.harness.commands import Bed, Db, asleep, stopped
from upkeep.jobs.data_retention.pace import Pace
from upkeep.postgres.data_retention.files import archive, pages, restore

DUE = ROWS // 2
FILE = 12
BACK = ("restore-archive", "--target", "shop", "--table", "app.logs")


@pytest.fixture
def db(bed: Bed) -> Any:
    assert bed.upkeep("init").status == 0
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


def small() -> None:
    """Make files of few rows, in the command's process."""
    archive.pace = lambda: Pace(size=FILE)
    setattr(Pace, "learn", lambda *_: None)  # noqa: B010


def archived(bed: Bed, db: Db, into: Path, *more: str) -> None:
    prepare(db, CASES["delete rows"])
    for statement in more:
        db.execute(statement)
    bed.declare({"app.logs": policy(into)}, more="limits: {share: 100 %}")
    done = bed.upkeep("run", "data_retention", *AT, before=small)
    assert done.status == 0, done.story
    assert ids(db) == list(range(DUE + 1, ROWS + 1))


def ids(db: Db) -> list[int]:
    return [row[0] for row in db.execute("select id from app.logs order by id").fetchall()]


def slow(db: Db, which: str, seconds: float) -> None:
    """Make the insertion of rows slow, without a trigger."""
    db.execute(
        "create or replace function app.slow(bigint) returns bigint language plpgsql immutable as "
        f"'begin if {which} then perform pg_catalog.pg_sleep({seconds}); end if; return $1; end'"
    )
    db.execute("create index if not exists slow on app.logs (app.slow(id))")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_restore(bed: Bed, db: Db, tmp_path: Path, number: int) -> None:
    archived(bed, db, tmp_path / "archive")
    slow(db, f"$1 = {FILE + 3}", 60)
    command = bed.start(*BACK)
    help_.until(lambda: asleep(db) or command.ended)
    done = stopped(command, number)
    said = " ".join(done.err.split())
    assert "the one in work was rolled back, and the same command goes on from there" in said
    bed.wait_until_alone()
    assert ids(db) == [*range(1, FILE + 1), *range(DUE + 1, ROWS + 1)]
    report = bed.upkeep("show", said.partition("upkeep show ")[2].split()[0], "--json")
    (target,) = report.document["targets"]
    assert [a.get("outcome", {}).get("status") for a in target["actions"]][:2] == ["done", "failed"], report.story
    db.execute("drop index app.slow")
    again = bed.upkeep(*BACK, "--json")
    assert again.status == 0, again.story
    assert ids(db) == list(range(1, ROWS + 1))
    assert bed.upkeep(*BACK).status == 0
    assert ids(db) == list(range(1, ROWS + 1))
    assert not list((tmp_path / "archive/app/logs/_undecided").iterdir())


def test_a_server_too_slow_for_one_statement(bed: Bed, db: Db, tmp_path: Path) -> None:
    """A statement has time for some rows only: the file still comes back, all of it, and who watches hears of it."""
    wide = "update app.logs set msg = repeat('x', 1900)"  # four on a page
    archived(bed, db, tmp_path / "archive", "alter table app.logs add msg text", wide, "analyze app.logs")
    slow(db, "true", 0.1)

    def impatient() -> None:
        pages.SAY_SECONDS = 0  # type: ignore[misc]
        restore.STATEMENT_TIMEOUT = "1s"  # type: ignore[misc]

    done = bed.upkeep(*BACK, before=impatient)
    assert done.status == 0, done.said
    assert ids(db) == list(range(1, ROWS + 1))
    told = [int(rows) for rows in re.findall(rf"loaded (\d+) of {FILE} rows", done.err)]
    assert 0 < told[0] < FILE, done.err
    again = bed.upkeep(*BACK, "--json")
    assert [a["outcome"]["rows"] for a in again.target["actions"]] == [0] * len(again.target["actions"])
