"""Which backup authorises: a verified one of the same database, as it lies there, with the marks of its own proof."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from upkeep.jobs.backup import marks
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import DATA, NAME, Manifest, read
from upkeep.jobs.backup.marks import Mark
from upkeep.jobs.backup.verify import verify
from upkeep.jobs.contract import go_on
from upkeep.jobs.errors import ActionError
from upkeep.model import Artefact, Backup
from upkeep.run.covering import cover

NOW = datetime(2026, 3, 29, tzinfo=UTC)
MARKS = {"app.logs": {"ranges": [["a", "b", "1-2-3"]]}}


class Ledger:
    """A ledger that knows one backup."""

    def __init__(self, artefact: Artefact) -> None:
        self.known = [Backup("shop", artefact, "run")]

    def backups(self) -> list[Backup]:
        return self.known


def published(place: Path, **about: Any) -> Artefact:
    (place / DATA).mkdir()
    manifest = Manifest(
        id="b1",
        target="shop",
        engine="tidb",
        identity="tidb:1",
        database="app",
        server_version="8.5",
        tool="t",
        tool_version="1",
        snapshot_at=NOW,
    )
    (place / NAME).write_bytes(manifest.written())
    known = {"id": "b1", "location": str(place), "bytes": 0, "snapshot_at": NOW, "identity": "tidb:1"}
    return Artefact(**{**known, "sha256": hashlib.sha256(manifest.written()).hexdigest(), "state": "verified", **about})


def covered(artefact: Artefact, identity: str = "tidb:1") -> Any:
    ledger: Any = Ledger(artefact)
    return cover(ledger, identity)


def test_only_the_marks_of_its_own_proof_count(tmp_path: Path) -> None:
    artefact = published(tmp_path, marks=marks.write(tmp_path, MARKS))
    assert covered(artefact).marks == MARKS
    assert marks.write(tmp_path, MARKS) == artefact.marks  # a second proof finds the same
    assert covered(artefact.model_copy(update={"marks": None})).marks == {}
    marks.write(tmp_path, {"app.logs": {"ranges": []}})
    assert covered(artefact).marks == {}
    (tmp_path / marks.NAME).unlink()
    assert covered(artefact).marks == {}
    assert covered(artefact).manifest is not None


def test_a_backup_of_another_database_or_one_that_is_not_verified_authorises_nothing(tmp_path: Path) -> None:
    artefact = published(tmp_path)
    other = covered(artefact, "tidb:2")
    assert (other.manifest, other.why) == (None, "no verified backup of this database is recorded")
    failed = covered(artefact.model_copy(update={"state": "failed"}))
    assert failed.manifest is None
    assert "is failed" in failed.why
    # the ledger says that it is of this database, the backup itself of another
    assert covered(artefact.model_copy(update={"identity": "tidb:2"}), "tidb:2").manifest is None


def test_marks_add_up() -> None:
    assert Mark.total(()) == Mark()
    assert Mark.total((Mark(1, 2, 3), Mark(10, 20, 30))) == Mark(11, 22, 33)
    assert Mark.read(str(Mark(7, 255, 16))) == Mark(7, 255, 16)


def test_a_backup_whose_marks_cannot_be_read_is_proven_and_authorises_nothing(tmp_path: Path) -> None:
    artefact = published(tmp_path)

    def refused(*_: Any) -> Any:
        raise OSError("too slow")

    copier: Any = SimpleNamespace(
        count=lambda *_: {},
        restored=lambda *_: nullcontext(),
        look=lambda *_: (),
        marks=refused,
        classify=lambda error: ActionError(str(error)) if isinstance(error, OSError) else None,
    )
    target: Any = object()
    manifest, bench = read(tmp_path)[0], Bench(go_on, go_on)
    verdict = verify(copier, tmp_path, manifest, bench, target=target)
    assert (verdict.level, verdict.wrong, verdict.marks) == ("restored", 0, None)
    assert [f.summary for f in verdict.findings] == [
        "backup b1 authorises nothing, what it holds could not be read: too slow"
    ]
    copier.classify = lambda _: None
    with pytest.raises(OSError, match="too slow"):
        verify(copier, tmp_path, manifest, bench, target=target)
    assert covered(artefact).marks == {}
