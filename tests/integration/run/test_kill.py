"""A whole run, killed at every stage that changes something: nothing lost, nothing doubled, one more run ends it.

(issue 3, "Robust"; DESIGN 5.6.) The run is the command line's own, from the fleet file to the last word in
the ledger; so the stages are those of the ledger and the lease too.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import psycopg
import pytest

from tests.harness import commands as help_
from tests.harness.cases import AT, CASES, ROWS, Case, conserved, prepare, tune
from tests.harness.commands import Bed, Db


@pytest.fixture
def db(bed: Bed) -> Any:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        yield connection


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_killed_at_each_stage(bed: Bed, db: Db, case: Case) -> None:
    assert bed.upkeep("init").status == 0
    prepare(db, case)
    bed.declare({"app.logs": case.policy}, names=["undisturbed"])
    done, stages = bed.stages("run", case.job, *AT, before=tune(case))
    assert done.status == 0, done.story
    assert done.target["status"] == "ok"
    wanted = help_.picture(db)
    conserved(db, case, "undisturbed")
    assert len(help_.rows_of(db)) == case.expected
    first, last = 1, len(stages) + 1
    if case is not CASES["create"]:  # before and after the lease all cases are alike
        first, last = stages.index("ledger: lease_try") + 1, stages.index("ledger: lease_release") + 2
    for number in range(first, last + 1):
        prepare(db, case)
        name = f"t{number}"  # what the ledger remembers of a target is that target's
        bed.declare({"app.logs": case.policy}, names=[name])
        killed = bed.upkeep("run", case.job, *AT, before=tune(case), stage=help_.killed_at(number))
        where = (number, stages[number - 1][:200] if number <= len(stages) else "the end")
        if number > len(stages):
            assert killed.status == 0, killed.story
        else:
            assert killed.status == -9, (where, killed.story)
            conserved(db, case, where)
            bed.wait_until_alone()
        again = bed.upkeep("run", case.job, *AT, before=tune(case))
        assert again.status == 0, (where, again.story)
        assert again.target["status"] in ("ok", "nothing_to_do"), (where, again.story)
        conserved(db, case, where)
        assert help_.picture(db) == wanted, where
        assert not [o for reasons in again.outcomes().values() for o in reasons if o != "done"], (where, again.story)


def test_killed_around_an_approval(bed: Bed, db: Db) -> None:
    case = CASES["delete rows"]
    policy = case.policy.replace("requires: nothing", "requires: approval")
    assert bed.upkeep("init").status == 0
    prepare(db, case)
    bed.declare({"app.logs": policy}, names=["undisturbed"])
    done, stages = bed.stages("run", case.job, *AT, "--approve")
    assert done.status == 0, done.story
    wanted = help_.picture(db)
    decided = [number for number, text in enumerate(stages, start=1) if text in ("ledger: decide", "ledger: lease_try")]
    assert len(decided) == 3  # granted, used, begun
    for number in decided:
        prepare(db, case)
        bed.declare({"app.logs": policy}, names=[f"t{number}"])
        killed = bed.upkeep("run", case.job, *AT, "--approve", stage=help_.killed_at(number))
        assert killed.status == -9
        bed.wait_until_alone()
        alone = bed.upkeep("run", case.job, *AT)  # the killed run's approval was for that run
        assert set(alone.outcomes()["app.logs"]) <= {"needs_approval", "dependency_not_done"}, alone.story
        assert len(help_.rows_of(db)) == ROWS
        again = bed.upkeep("run", case.job, *AT, "--approve")
        assert (again.status, again.target["status"]) == (0, "ok"), again.story
        assert help_.picture(db) == wanted


def test_what_a_killed_action_had_begun_is_said(bed: Bed, db: Db) -> None:
    case = CASES["delete rows"]
    prepare(db, case)
    bed.declare({"app.logs": case.policy.replace("requires: nothing", "requires: approval")})
    planned = bed.upkeep("run", case.job, *AT)
    stage = help_.once("delete from", lambda: os.kill(os.getpid(), signal.SIGKILL), after=1)
    killed = bed.upkeep("run", case.job, "--approve", planned.target["plan_id"], before=tune(case), stage=stage)
    assert killed.status == -9, killed.story
    bed.wait_until_alone()
    runs = bed.upkeep("runs", "--json")
    shown = bed.upkeep("show", runs.document["runs"][0]["run_id"], "--json")
    (interrupted,) = [a for a in shown.target["actions"] if a["kind"] == "delete_rows"]
    assert (interrupted["outcome"]["status"], interrupted["outcome"]["reason_code"]) == ("failed", "interrupted")
    assert shown.target["status"] == "partial"
    assert bed.upkeep("show", runs.document["runs"][1]["run_id"], "--json").target["status"] == "awaiting_approval"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detach beside a default partition", "create"])
def test_an_undo_killed_at_each_stage(bed: Bed, db: Db, name: str) -> None:
    case = CASES[name]
    assert bed.upkeep("init").status == 0

    def do(target: str) -> str:
        prepare(db, case)
        bed.declare({"app.logs": case.policy}, names=[target])
        done = bed.upkeep("run", case.job, *AT)
        assert done.status == 0, done.story
        return str(done.document["run_id"])

    prepare(db, case)
    before = help_.picture(db)
    undone, stages = bed.stages("undo", do("undisturbed"))
    assert undone.status == 0, undone.said
    assert help_.picture(db) == before
    first, last = stages.index("ledger: lease_try") + 1, stages.index("ledger: lease_release") + 1
    for number in range(first, last + 1):
        run_id = do(f"t{number}")
        killed = bed.upkeep("undo", run_id, stage=help_.killed_at(number))
        assert killed.status == -9, (stages[number - 1], killed.said)
        conserved(db, case, stages[number - 1])
        bed.wait_until_alone()
        again = bed.upkeep("undo", run_id)
        known = stages[number - 1] == "ledger: lease_release"  # that it was done: so there is nothing to undo
        assert again.status == (2 if known else 0), (stages[number - 1], again.said)
        assert help_.picture(db) == before, stages[number - 1]
