"""Could we restore right now: only what was restored says yes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from upkeep.errors import ProgramError
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.manifest import Manifest
from upkeep.model import Artefact, Backup
from upkeep.run import fleet_here, verifying
from upkeep.run.fleet_restores import Here, Restore, Wanted, restore

NOW = datetime(2026, 3, 29, 8, 0, tzinfo=UTC)
WANTED = Wanted(declared=True)


def made(name: str, hours: float, state: str = "verified", **more: Any) -> Backup:
    known = {"location": f"/srv/b/{name}", "sha256": "0", "bytes": 1, "identity": "i", "restore_seconds": 3.0}
    artefact = Artefact.model_validate(
        {**known, "id": name, "snapshot_at": NOW - timedelta(hours=hours), "state": state, **more}
    )
    return Backup("shop", artefact, "r1")


@pytest.mark.parametrize(
    ("wanted", "backups", "unseen", "word", "tone", "note"),
    [
        (Wanted(), [], (), "not by Upkeep: no backup: key", "warn", ""),
        (Wanted(refused=True), [], (), "no: backup: false", "soft", ""),
        (Wanted(declared=True, external=True), [], (), "others take the backups", "soft", "knows nothing of them"),
        (WANTED, [], (), "no backup yet", "bad", ""),
        (WANTED, [made("a", 8, "unverified")], (), "not proven: no backup was restored yet", "bad", "not restored"),
        (WANTED, [made("a", 8, "failed")], (), "not proven: no backup was restored yet", "bad", "differs"),
        (WANTED, [made("a", 8)], ("a",), "not proven: no backup was restored yet", "bad", "no longer lies"),
        (WANTED, [made("a", 8)], (), "yes", "good", ""),
        (WANTED, [made("a", 31)], (), "yes, but old", "warn", ""),
        (WANTED, [made("b", 1, "failed"), made("a", 25)], (), "yes", "good", "the newest, of 2026-03-29 07:00 UTC"),
        (WANTED, [made("b", 1), made("a", 25)], ("a",), "yes", "good", "1 older ones"),
    ],
)
def test_only_what_was_restored_says_yes(  # noqa: PLR0917 - the columns of a table
    wanted: Wanted, backups: list[Backup], unseen: tuple[str, ...], word: str, tone: str, note: str
) -> None:
    found = restore("shop", wanted, backups, NOW, unseen)
    assert (found.word, found.tone) == (word, tone)
    assert note in " ".join(found.notes)
    assert bool(found.notes) == bool(note)
    assert (found.at is not None) == word.startswith("yes")
    document = found.document(NOW)
    assert document["verdict"] == word
    if found.at is not None:
        assert document["age_seconds"] == round((NOW - found.at).total_seconds())
        assert document["seconds"] == 3.0


def test_what_is_missing_here_and_why_the_newest_is_not_proven_are_told() -> None:
    here = Here(lacks=("room",), unlooked=("extensions",))
    newest = made("b", 1, "unverified", why="no initdb is here")
    found = restore("shop", WANTED, [newest, made("a", 31)], NOW, (), here)
    assert (found.word, found.tone) == ("yes, but old and something is missing here", "warn")
    assert found.notes == (
        "the newest, of 2026-03-29 07:00 UTC, was not restored to prove it yet (no initdb is here)",
        "missing on this machine: room",
        "not looked at: extensions",
    )
    document = found.document(NOW)
    assert (document["missing"], document["not_looked_at"]) == (["room"], ["extensions"])
    blind = restore("shop", WANTED, [made("a", 8)], NOW, (), Here(unlooked=("x",)))
    assert (blind.word, blind.tone, blind.notes) == ("yes, but not seen from here", "warn", ("not looked at: x",))


def lying(place: Path, name: str, hours: float, state: str = "verified") -> Backup:
    """Return a backup that lies in a directory."""
    manifest = Manifest(
        id=name, target="shop", engine="postgres", identity="i", database="d", server_version="1", tool="pg_dump",
        tool_version="1", snapshot_at=NOW,
    )  # fmt: skip
    there = place / name
    there.mkdir(parents=True)
    (there / "manifest.json").write_bytes(manifest.written())
    return made(name, hours, state, location=str(there), sha256=manifests.read(there)[1])


def told(backups: list[Backup]) -> Restore:
    gone, here = fleet_here.look(backups, ["shop"])
    return restore("shop", WANTED, backups, NOW, gone, here["shop"])


def test_the_one_that_would_be_restored_is_the_one_that_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_place: Path, manifest: Manifest) -> Iterator[str]:
        yield manifest.id
        raise ProgramError("nobody knows")

    monkeypatch.setattr(verifying, "copier", lambda _: SimpleNamespace(missing=missing))
    young = [lying(tmp_path, name, hours, "unverified") for name, hours in (("y1", 1), ("y2", 2), ("y3", 3), ("y4", 4))]
    old, older = lying(tmp_path, "old", 5), lying(tmp_path / "other", "older", 6)

    # a proof once a week: the newest proven one is not among the newest
    found = told([*young, old, older])
    assert (found.backup, found.here) == ("old", Here(("old",), ("what pg_dump needs here: nobody knows",)))
    (tmp_path / "old" / "manifest.json").unlink()
    found = told([*young, old, older])
    assert (found.backup, found.here.lacks) == ("older", ("older",))
    assert "1 older ones are no longer where they were published" in found.notes

    # that its directory is not seen here does not say that it is gone, and what is seen of others says nothing of it
    away = made("away", 4.5, location=str(tmp_path / "unmounted" / "away"))
    for backups in ([*young, away, older], [away, older], [away]):
        found = told(backups)
        assert (found.word, found.tone, found.backup) == ("yes, but not seen from here", "warn", "away")
        assert found.here == Here(unlooked=(f"{tmp_path / 'unmounted'} is not seen from this machine",))
    assert told(young).here.lacks == ("y1",)
