"""Several runs at once on one physical database: one after the other, whatever they call it; nothing doubled.

(issue 3, "Robust"; DESIGN 5.5.)
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.harness import commands as help_
from tests.harness.cases import AT, CASES, ROWS, Case, conserved, prepare, tune
from tests.harness.commands import Bed, Db
from upkeep.run import applier

pytestmark = pytest.mark.alone


@pytest.fixture
def db(bed: Bed) -> Any:
    assert bed.upkeep("init").status == 0
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


def undisturbed(bed: Bed, db: Db, case: Case) -> Any:
    """Return how one run alone leaves the database, which is then as before it."""
    prepare(db, case)
    bed.declare({"app.logs": case.policy}, names=["alone"])
    done = bed.upkeep("run", case.job, *AT, before=tune(case))
    assert done.status == 0, done.story
    wanted = help_.picture(db)
    prepare(db, case)
    return wanted


def by_another_address(uri: str) -> str:
    return uri.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    "name",
    [
        "create, rows moved at once",
        "delete rows",
        "archive rows",
        "detach concurrently, then drop",
        "detach beside a default partition",
        "archive a partition",
    ],
)
def test_the_second_waits_for_the_first_and_finds_its_work_done(bed: Bed, db: Db, name: str) -> None:
    case = CASES[name]
    wanted = undisturbed(bed, db, case)
    bed.declare({"app.logs": case.policy}, names=["shop", "store"])  # two names, one database
    bed.addresses["store"] = by_another_address(bed.target)
    halt = help_.Halt(bed.folder)
    arguments = ("run", case.job, *AT[:2], "--target")
    stage = help_.once("ledger: intend", halt.here)
    first = bed.start(*arguments, "shop", before=tune(case), stage=stage)
    halt.reached()
    second = bed.start(*arguments, "store", before=tune(case))
    help_.until(lambda: "being changed by" in second.said or second.ended, 60)
    assert "(shop) since" in second.said, second.said
    halt.go()
    for done in (first.wait(), second.wait()):
        assert done.status == 0, done.said
    conserved(db, case, name)
    assert help_.picture(db) == wanted
    listed = json.loads(bed.upkeep("runs", "--json").out)["runs"]
    assert [run["targets"] for run in listed[:2]] == [{"store": "ok"}, {"shop": "ok"}]


def test_many_at_once_do_the_work_once(bed: Bed, db: Db) -> None:
    case = CASES["archive rows"]
    wanted = undisturbed(bed, db, case)
    bed.declare({"app.logs": case.policy}, names=["shop", "store"])
    bed.addresses["store"] = by_another_address(bed.target)
    arguments = ("run", case.job, *AT, "--target")
    running = [bed.start(*arguments, name, before=tune(case)) for name in ("shop", "store", "shop", "store")]
    ended = [command.wait() for command in running]
    assert [done.status for done in ended] == [0] * 4, [done.story for done in ended]
    rows = [a["outcome"]["rows"] for done in ended for a in done.target["actions"]]
    assert sum(rows) == ROWS // 2
    conserved(db, case, "at the end")
    assert help_.picture(db) == wanted


def test_a_lease_that_stays_busy_fails_visibly_and_names_its_holder(bed: Bed, db: Db) -> None:
    case = CASES["delete rows"]
    prepare(db, case)
    bed.declare({"app.logs": case.policy})
    halt = help_.Halt(bed.folder)
    first = bed.start("run", case.job, *AT, stage=help_.once("ledger: intend", halt.here))
    halt.reached()

    def hurry() -> None:
        applier.LEASE_WAIT_SECONDS = 0.3

    late = bed.upkeep("run", case.job, *AT, before=hurry)
    assert late.status == 3, late.story
    assert late.target["status"] == "failed"
    assert "(shop) since" in late.target["error"]
    assert "let that run end, or stop it" in late.target["error"]
    assert late.outcomes() == {"app.logs": ["lease_busy", "dependency_not_done"]}
    halt.go()
    done = first.wait()
    assert (done.status, done.target["status"]) == (0, "ok"), done.story
