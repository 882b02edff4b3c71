"""Could we restore right now: only what was restored says yes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from upkeep.model import Artefact, Backup
from upkeep.run.fleet_restores import Here, Wanted, restore

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
    assert restore("shop", WANTED, [made("a", 8)], NOW, (), Here(unlooked=("x",))).word == "yes"
