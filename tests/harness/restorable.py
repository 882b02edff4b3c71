"""Could we restore right now: what a machine may lack for a backup that lies there, made one after the other."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from upkeep import programs
from upkeep.jobs.backup.job import artefact
from upkeep.jobs.backup.manifest import DATA, NAME
from upkeep.jobs.backup.publish import Found
from upkeep.model import Backup
from upkeep.run import fleet_here
from upkeep.run.fleet_restores import Restore, Wanted, restore

MISSING: Final = "yes, but something is missing here"
UNSEEN: Final = "yes, but not seen from here"


def told(found: Found) -> Restore:
    """Return what is answered of a backup that was proven."""
    backups = [Backup("t", artefact(found).model_copy(update={"state": "verified"}), "run")]
    gone, here = fleet_here.look(backups, ["t"])
    return restore("t", Wanted(declared=True), backups, found.manifest.snapshot_at, gone, here["t"])


def lacks(found: Found) -> tuple[str, ...]:
    """Return what is missing, and that nothing else is."""
    answer = told(found)
    assert (answer.word, answer.here.unlooked) == (MISSING, ()), answer
    return answer.here.lacks


def fine(found: Found) -> None:
    """Assert that nothing is in the way."""
    answer = told(found)
    assert (answer.word, answer.notes) == ("yes", ()), answer


@contextmanager
def only(folder: Path, said: Mapping[str, str]) -> Iterator[None]:
    """Have no programs on this machine but those in a folder, each of which says of its version what is given."""
    folder.mkdir(exist_ok=True)
    for name, text in said.items():
        (folder / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (folder / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr(programs, "_KNOWN", ())
        machine.setenv("PATH", str(folder))
        machine.setenv("UPKEEP_TOOLS", str(folder))
        yield
    shutil.rmtree(folder)


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Have a place for scratch servers of which another has reserved more than there is."""
    (place / "upkeep-scratch-x").mkdir(parents=True)
    (place / "upkeep-scratch-x" / ".servers.json").write_text('{"reserved": 1000000000000000}')
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv("UPKEEP_SCRATCH", str(place))
        yield


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Close a file or folder to everybody, and be somebody whom that stops, as it does not stop root."""
    mode, root = path.stat().st_mode, os.geteuid() == 0
    path.chmod(0)
    if root:
        other = pwd.getpwnam("nobody").pw_uid
        os.setresuid(other, other, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)
        path.chmod(mode)


@contextmanager
def away(path: Path) -> Iterator[None]:
    """Have a file or folder elsewhere."""
    elsewhere = path.rename(path.with_name("elsewhere"))
    yield
    elsewhere.rename(path)


@contextmanager
def copied(found: Found) -> Iterator[Found]:
    """Give the same backup in a folder that others may enter, to damage it."""
    home = Path(os.environ["UPKEEP_SCRATCH"]) / "kept"
    place = home / found.place.name
    shutil.copytree(found.place, place)
    for path in (home, *home.rglob("*")):
        path.chmod(0o755)
    try:
        yield replace(found, place=place)
    finally:
        shutil.rmtree(home)


def check(found: Found, room: Path, tools: Sequence[str], others: Sequence[tuple[str, str]]) -> None:
    """See each fault that all engines share raised, and ended.

    Parameters
    ----------
    room
        An empty folder.
    tools
        The programs that a restore needs, in the order in which they are missed.
    others
        What programs say of versions that cannot restore it, and what is said of each then.
    """
    with copied(found) as one:
        fine(one)
        with only(room / "tools", {}):
            missed = lacks(one)
            assert [what.partition(" is ")[0].partition(" of ")[0].removeprefix("no ") for what in missed] == [*tools]
        fine(one)
        for said, expected in others:
            with only(room / "tools", dict.fromkeys(tools, said)):
                assert any(expected in what for what in lacks(one)), (said, lacks(one))
            fine(one)
        with full(room / "full"):
            (what,) = lacks(one)
            assert "a scratch server may need" in what
        fine(one)
        with pytest.MonkeyPatch.context() as machine:
            machine.setenv("UPKEEP_SCRATCH", str(room / "not there"))
            (what,) = lacks(one)
            assert "which is not there" in what
        fine(one)
        _files(one)


def _files(one: Found) -> None:
    file = next(path for path in sorted((one.place / DATA).rglob("*")) if path.is_file())
    with closed(file):
        answer = told(one)
        assert answer.here.lacks[0] == f"the right to read {file}"
    fine(one)
    for path in (one.place / DATA, one.place / NAME, one.place, one.place.parent):
        with closed(path):
            answer = told(one)
            assert (answer.word, answer.here.lacks) == (UNSEEN, ()), (path, answer)
            assert answer.here.unlooked == (f"{one.place} cannot be looked at (Permission denied)",)
        fine(one)
    for path in (file, one.place / NAME, one.place):
        with away(path):
            answer = told(one)
            assert answer.word.startswith("not proven"), (path, answer)
            assert "no longer lies where it was published" in answer.notes[0]
        fine(one)
    with away(one.place.parent):
        assert told(one).here.unlooked == (f"{one.place.parent} is not seen from this machine",)
    fine(one)
