"""A rebuilding that is killed or told to stop at each of its stages, and two at once: the command line's own runs."""

from __future__ import annotations

import os
import signal
from typing import Any

import psycopg
import pytest

from tests.harness.commands import Bed, Command, Db, Done, once, stopped, until
from tests.integration.postgres.reindex.test_reindex import (
    BLOCKERS,
    bloated,
    facts,
    invalid,
    phase,
    quickly,
    run,
    transaction,
)
from upkeep.postgres.reindex import watch

ASK = ("run", "reindex", "--index", "app.plain", "--approve", "--json")
FLEET = "version: 1\ntargets: {shop: {engine: postgres, connection: shop_db}}\n"


@pytest.fixture
def db(bed: Bed) -> Any:
    assert bed.upkeep("init").status == 0
    bed.fleet.write_text(FLEET)
    bed.addresses["shop"] = bed.target
    with psycopg.connect(bed.target, autocommit=True) as connection:
        run(connection, "create schema app", "create table app.other (a int)")
        bloated(connection, 2_000)
        yield connection


def soon() -> None:
    watch.GONE = "200ms"  # type: ignore[misc]
    watch.LOOK_SECONDS = 0.1  # type: ignore[misc]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def come_to(bed: Bed, db: Db, stage: str) -> Command:
    command = bed.start(*ASK, before=soon)
    until(lambda: phase(db) == stage or command.ended, 20, lambda: command.said)
    assert not command.ended, command.said
    return command


def ended_well(bed: Bed, db: Db, before: dict[str, Any]) -> Done:
    done = bed.upkeep(*ASK)
    assert done.status == 0, done.story
    assert {end for ends in done.outcomes().values() for end in ends} == {"done"}, done.story
    assert invalid(db) == []
    assert facts(db) == before
    return done


@pytest.mark.parametrize("stage", BLOCKERS)
def test_killed_while_the_server_is_at_it(bed: Bed, db: Db, stage: str) -> None:
    before = facts(db)
    with transaction(bed.target, *BLOCKERS[stage][0]):
        command = come_to(bed, db, stage)
        command.send(signal.SIGKILL)
        assert command.wait().status == -signal.SIGKILL
        quickly(db)
        bed.wait_until_alone(bed.target)  # the server ends what nobody waits for, though somebody holds it up
        assert invalid(db) == [BLOCKERS[stage][1]]
        quickly(db)
    assert len(ended_well(bed, db, before).outcomes()) == 2


def test_killed_between_the_stages(bed: Bed, db: Db) -> None:
    before = facts(db)
    left = "update pg_index set indisvalid = false where indexrelid = 'app.plain_ccnew'::regclass"
    for prepare, stage in (
        ((), once("reindex index", kill)),
        ((), once("ledger", kill, since="reindex index")),
        (("create index plain_ccnew on app.t (msg) where n > 0", left), once("drop index", kill)),
    ):
        run(db, *prepare)
        killed = bed.upkeep(*ASK, stage=stage)
        assert killed.status == -signal.SIGKILL, killed.story
        bed.wait_until_alone(bed.target)
        ended_well(bed, db, before)


def test_ctrl_c_leaves_nothing(bed: Bed, db: Db) -> None:
    before = facts(db)
    with transaction(bed.target, *BLOCKERS["waiting for old snapshots"][0]):
        stopped(come_to(bed, db, "waiting for old snapshots"), signal.SIGINT)
        bed.wait_until_alone(bed.target)
        assert (invalid(db), facts(db)) == ([], before)


def test_two_at_once_rebuild_it_once(bed: Bed, db: Db) -> None:
    before = facts(db)
    with transaction(bed.target, *BLOCKERS["waiting for old snapshots"][0]):
        first = come_to(bed, db, "waiting for old snapshots")
        waits = bed.folder / "waits"
        second = bed.start(*ASK, stage=once("ledger: lease_try", waits.touch, after=1))  # it has been refused once
        until(lambda: waits.exists() or second.ended, 20, lambda: second.said)
        assert not second.ended, second.said
    assert first.wait().outcomes()["app.plain"] == ["done"]
    late = second.wait()
    assert (late.status, late.outcomes()["app.plain"]) == (3, ["state_changed"]), late.story
    assert (invalid(db), facts(db)) == ([], before)
