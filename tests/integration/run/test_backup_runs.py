"""A whole run of backup: killed at its stages, two at once, what expires, what is restored without a ledger."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness import commands as help_
from tests.harness import least, restorable
from tests.harness.cases import CASES, ROWS, prepare
from tests.harness.commands import Bed, Db, Done
from tests.harness.servers import fresh_database
from upkeep import connections, fleet, programs
from upkeep.jobs import spec
from upkeep.jobs.backup import manifest as manifests
from upkeep.ledger import Ledger
from upkeep.run import fleet_facts, fleet_view

CASE = CASES["delete rows"]


@pytest.fixture
def into(bed: Bed, tmp_path: Path) -> Path:
    with psycopg.connect(bed.target, autocommit=True) as db:
        prepare(db, CASE)
    bed.declare({"app.logs": CASE.policy}, more=f"backup: {{into: {tmp_path}, keep: 1 day, at_least: 1}}")
    return tmp_path


def listed(bed: Bed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bed.upkeep("backups", "--json").document["backups"]
    return found


def lying(into: Path) -> list[str]:
    """Return what lies in the target's directory, hidden or not."""
    home = into / "shop"
    return sorted(path.name for path in home.iterdir()) if home.exists() else []


def once_verified(bed: Bed, into: Path, done: Done) -> None:
    """Assert that one backup is there, that it is verified, and that nothing half made lies beside it."""
    (backup,) = listed(bed)
    assert (backup["status"], done.status) == ("verified", 0), done.story
    assert lying(into) == [Path(backup["location"]).name]


@pytest.mark.parametrize("stage", ["ledger: intend", "ledger: record", "ledger: keep_backup", "ledger: lease_release"])
def test_killed_at_each_stage(bed: Bed, into: Path, stage: str) -> None:
    killed = bed.upkeep(
        "run", "backup", "--json", stage=help_.once(stage, lambda: os.kill(os.getpid(), signal.SIGKILL))
    )
    assert killed.status == -signal.SIGKILL, killed.said
    once_verified(bed, into, bed.upkeep("run", "backup", "--json"))


def test_two_at_once_take_one(bed: Bed, into: Path) -> None:
    halt = help_.Halt(bed.folder)
    first = bed.start("run", "backup", "--json", stage=help_.once("ledger: intend", halt.here))
    halt.reached()
    waits = bed.folder / "waits"
    second = bed.start("run", "backup", "--json", stage=help_.once("ledger: lease_wait", waits.touch))
    help_.until(waits.exists)
    halt.go()
    assert first.wait().status == 0
    done = second.wait()
    (outcome,) = [a["outcome"] for a in done.target["actions"]]
    assert "another run has published" in outcome["message"]
    once_verified(bed, into, done)


def test_a_dump_past_its_time_is_ended(bed: Bed, into: Path) -> None:
    policy = f"backup: {{into: {into}, max: 1 second}}"
    bed.declare({"app.logs": CASE.policy}, more=policy)
    with psycopg.connect(bed.target, autocommit=True) as db:
        db.execute("create table app.big as select md5(n::text) as text from generate_series(1, 2000000) as n")
        late = bed.upkeep("run", "backup", "--json")
        (outcome,) = [a["outcome"] for a in late.target["actions"]]
        assert outcome["status"] == "failed", late.story
        assert "took longer than it may (1 s)" in outcome["message"]
        dumps = db.execute("select count(*) from pg_stat_activity where application_name = 'pg_dump'").fetchall()
        assert dumps == [(0,)]
        assert (late.status, lying(into), listed(bed)) == (1, [], [])
        db.execute("drop table app.big")
    bed.declare({"app.logs": CASE.policy}, more=policy.replace("1 second", "1 hour"))
    once_verified(bed, into, bed.upkeep("run", "backup", "--json"))


def test_what_is_old_goes_and_the_disaster_needs_no_ledger(bed: Bed, into: Path, tmp_path: Path) -> None:
    assert bed.upkeep("run", "backup", "--json").status == 0
    (old,) = listed(bed)
    with Ledger.open(connections.parse("upkeep_control", bed.control), migrate=False) as ledger:
        (known,) = ledger.backups()
        aged = known.artefact.model_copy(update={"snapshot_at": known.artefact.snapshot_at.replace(year=2020)})
        ledger.keep_backup("test", "shop", aged)
    first = bed.upkeep("run", "backup", "--json")
    assert [a["kind"] for a in first.target["actions"]] == ["take_backup"], "the only one that is verified stays"
    gone = bed.upkeep("run", "backup", "--json")
    assert [a["kind"] for a in gone.target["actions"]] == ["expire_backup"], gone.story
    assert gone.status == 0, gone.story
    (left,) = listed(bed)
    assert left["id"] != old["id"]
    assert lying(into) == [Path(left["location"]).name]
    assert {b["status"] for b in bed.upkeep("backups", "--all", "--json").document["backups"]} == {
        "verified",
        "expired",
    }

    # ledger and fleet file are gone: the directory is enough
    bed.fleet.unlink()
    lying_there = bed.upkeep("backups", "--from", str(into), "--json").document["backups"]
    assert [b["id"] for b in lying_there] == [left["id"]]
    proven = bed.upkeep("verify", left["id"], "--from", str(into), "--json")
    assert (proven.status, proven.document["backup"]["status"]) == (0, "verified"), proven.said


def test_restored_into_an_empty_database_only(bed: Bed, into: Path, postgres_server: Any) -> None:
    assert bed.upkeep("run", "backup", "--json").status == 0
    with fresh_database(postgres_server, "restored") as uri:
        bed.addresses["empty"] = least.whole(uri)
        command = ("restore", "--target", "shop", "--backup", "newest", "--into", "empty_db")
        done = bed.upkeep(*command)
        assert done.status == 0, done.said
        with psycopg.connect(uri) as db:
            assert count(db) == ROWS
        again = bed.upkeep(*command)
        assert again.status == 2, again.said
        assert "not empty" in again.said
        with psycopg.connect(uri) as db:
            assert count(db) == ROWS
        other = bed.upkeep(
            "restore", "--target", "else", "--backup", "newest", "--into", "empty_db", "--from", str(into)
        )
        assert other.status == 2, other.said


def answer(bed: Bed) -> Any:
    """Return what the page of the fleet says on "could we restore right now?"."""
    with Ledger.open(connections.parse("upkeep_control", bed.control), migrate=False) as ledger:
        view = fleet_view.view(fleet_facts.gather(ledger, fleet.load(bed.fleet), spec.JOBS))
    return view.document()["targets"][0]["restore"]


def test_what_is_missing_for_a_restore_is_told(bed: Bed, into: Path, tmp_path: Path) -> None:
    with psycopg.connect(bed.target, autocommit=True) as db:
        db.execute("create extension pgcrypto")

    def unproven() -> None:
        find = programs.find
        programs.find = lambda name, **how: find("no-" * (name == "initdb") + name, **how)

    assert bed.upkeep("run", "backup", "--json", before=unproven).status == 3
    why = answer(bed)
    assert why["verdict"].startswith("not proven")
    assert "was not restored to prove it yet (backup" in why["notes"][0]
    assert "no-initdb of version" in why["notes"][0]
    (made,) = listed(bed)
    assert bed.upkeep("verify", made["id"]).status == 0
    fine = answer(bed)
    assert (fine["verdict"], fine["notes"]) == ("yes", [])

    place = Path(made["location"])
    no_programs(bed, tmp_path / "tools")
    no_room(bed, tmp_path / "room")
    no_extensions(bed, tmp_path / "plain", manifests.read(place)[0].needs["major"])
    next((place / "data").glob("*.dat.gz")).unlink()
    gone = answer(bed)
    assert gone["verdict"].startswith("not proven")
    assert [note.partition("no longer lies where it was published")[1] for note in gone["notes"]] != [""]
    place.parent.rename(place.parent.with_name("elsewhere"))
    elsewhere = answer(bed)
    assert (elsewhere["verdict"], elsewhere["not_looked_at"]) == (
        "yes, but not seen from here",
        [f"{place.parent} is not seen from this machine"],
    )
    told = bed.upkeep("status")
    assert "not looked at:" in told.out


def no_programs(bed: Bed, empty: Path) -> None:
    with restorable.only(empty, {}):
        found = answer(bed)
    assert found["verdict"] == "yes, but something is missing here"
    assert [what.partition(" ")[0] for what in found["missing"]] == ["initdb", "no", "postgres"]


def no_room(bed: Bed, place: Path) -> None:
    with restorable.full(place):
        (found,) = answer(bed)["missing"]
    assert "a scratch server may need" in found


def no_extensions(bed: Bed, folder: Path, major: int) -> None:
    folder.mkdir()
    for name in ("postgres", "initdb"):
        (folder / name).symlink_to(programs.find(name, major=major).resolve())
    (folder / "pg_config").write_text(f"#!/bin/sh\necho {folder}\n")
    (folder / "pg_config").chmod(0o755)
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv("UPKEEP_TOOLS", os.pathsep.join([str(folder), os.environ.get("UPKEEP_TOOLS", "")]))
        (found,) = answer(bed)["missing"]
        assert found == f"not installed for the PostgreSQL {major} of this machine: extension pgcrypto"
        (folder / "pg_config").unlink()
        blind = answer(bed)
    assert (blind["verdict"], blind.get("missing")) == ("yes, but not seen from here", None)
    assert "extensions were not looked at" in blind["not_looked_at"][0]


def count(db: Db) -> int:
    (row,) = db.execute("select count(*) from app.logs").fetchall()
    return int(row[0])
