"""Which backup is due, which may go, what differs; and a directory that is published whole or not at all."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from upkeep import fleet
from upkeep.errors import ConfigurationError
from upkeep.fleet import Target
from upkeep.fleet.policies import backup
from upkeep.fleet.policies.backup import BackupPolicy
from upkeep.jobs import rooms
from upkeep.jobs.backup import decide, publish
from upkeep.jobs.backup import manifest as manifests
from upkeep.jobs.backup.copier import Taken
from upkeep.jobs.backup.manifest import Contents, File, Manifest
from upkeep.jobs.backup.request import BackupRequest
from upkeep.jobs.backup.verify import differences
from upkeep.model import ENGINES, Observation, ReasonCode, ServerFacts

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
IDENTITY = "postgres:1:2"


def target(policy: str = "{into: /srv/b, keep: 30 days, at_least: 2}") -> Target:
    text = f"version: 1\ntargets:\n  shop:\n    engine: postgres\n    connection: c\n    backup: {policy}\n"
    return fleet.parse(text).targets["shop"]


def kept(name: str, days: float, state: str = "verified", **more: Any) -> dict[str, Any]:
    row = {
        "subject": "shop",
        "id": name,
        "location": f"/srv/b/shop/{name}",
        "sha256": "0",
        "bytes": 10,
        "snapshot_at": (NOW - timedelta(days=days)).isoformat(),
        "identity": IDENTITY,
        "state": state,
        "used_at": None,
        "is_there": True,
    }
    return {**row, **more}


def observed(*backups: dict[str, Any], refusals: tuple[dict[str, Any], ...] = (), free: int = 1000) -> Observation:
    about = {
        "identity": IDENTITY,
        "now": NOW.isoformat(),
        "tool": "pg_dump",
        "database": "shop",
        "command": "pg_dump …",
        "lock": "none",
        "lacks": [],
        "bytes": 100,
        "free": free,
        "wanted": 130,
    }
    return Observation(
        target="shop",
        engine="postgres",
        job="backup",
        at=NOW,
        server=ServerFacts(version="15", tested=True, replica=False, role="", clock=NOW, identity=IDENTITY),
        frames={"survey": [about], "refusals": list(refusals), "backups": list(backups)},
    )


def planned(*backups: dict[str, Any], request: Any = None, **more: Any) -> list[tuple[str, str]]:
    plan = decide.plan(observed(*backups, **more), target(), request or BackupRequest())
    return [(action.kind, action.args.get("id", "")) for action in plan.actions]


def test_one_a_night_is_taken() -> None:
    assert planned() == [("take_backup", "")]
    assert planned(kept("a", 1)) == [("take_backup", "")]
    assert planned(kept("a", 0.2)) == []
    assert planned(kept("a", 0.2), request=BackupRequest(now=True)) == [("take_backup", "")]
    assert planned(kept("a", 0.2, is_there=False)) == [("take_backup", "")]
    # one of another database (before a fail-over to a copy) is none of this one
    assert planned(kept("a", 0.2, identity="postgres:9:9")) == [("take_backup", "")]


def test_what_is_in_the_way_blocks_it() -> None:
    refusal = {"subject": "shop", "why": "pg_dump is older than the server", "remedy": "install it"}
    (action,) = decide.plan(observed(refusals=(refusal,)), target(), BackupRequest()).actions
    assert action.blocked is not None
    assert action.blocked[0] is ReasonCode.NOT_SUPPORTED
    assert [f.check for f in decide.plan(observed(free=100), target(), BackupRequest()).findings] == ["backup_space"]
    gone = decide.plan(observed(kept("a", 1, is_there=False)), target(), BackupRequest())
    assert [(f.check, f.subject) for f in gone.findings] == [("backup_gone", "a")]


@pytest.mark.parametrize(
    ("backups", "gone"),
    [
        ([kept("a", 40), kept("b", 20), kept("c", 1)], ["a"]),
        ([kept("a", 40), kept("b", 39), kept("c", 38), kept("d", 37)], ["a", "b"]),  # two verified ones stay
        ([kept("a", 40), kept("b", 1)], []),
        ([kept("a", 40, "failed"), kept("b", 35), kept("c", 34)], ["a"]),
        ([kept("a", 40), kept("b", 20, "unverified"), kept("c", 10), kept("d", 1, "failed")], []),
        ([kept("a", 40, used_at=(NOW - timedelta(days=5)).isoformat()), kept("b", 2), kept("c", 1)], []),
        ([kept("a", 40, used_at=(NOW - timedelta(days=35)).isoformat()), kept("b", 2), kept("c", 1)], ["a"]),
        ([kept("a", 40, is_there=False), kept("b", 2), kept("c", 1), kept("d", 1)], []),
        ([kept("a", 40, "unverified")], []),  # the only one there is
    ],
)
def test_what_may_go(backups: list[dict[str, Any]], gone: list[str]) -> None:
    assert [name for kind, name in planned(*backups) if kind == "expire_backup"] == gone


def test_how_far_a_backup_is_proven() -> None:
    def due(verify: str, *proven: tuple[float, float]) -> bool | None:
        policy = BackupPolicy(into="/b", verify=verify)  # type: ignore[arg-type]
        rows = [{"state": "verified", "verified_at": NOW - timedelta(days=d), "restore_seconds": s} for d, s in proven]
        return decide.verification(policy, rows, NOW)

    assert due("never") is None
    assert due("always", (0.1, 9e9)) is True
    assert due("auto") is True
    assert due("auto", (1, 7000)) is True
    assert due("auto", (1, 7300)) is False
    assert due("auto", (7, 7300)) is True
    assert due("weekly", (3, 10)) is False
    assert due("weekly") is True


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("{keep: 1 day}", "say where backups go"),
        ("{into: backups}", "no absolute directory"),
        ("{into: 's3://a/b'}", "no absolute directory"),
        ("{into: /srv/../etc}", "leads upwards"),
        ("{into: /b, at_least: 0}", "greater than or equal to 1"),
        ("{into: /b, compare: much}", "is not a size"),
    ],
)
def test_what_cannot_be_is_said_at_load(policy: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        target(policy)


@pytest.mark.parametrize(
    ("policy", "age", "words"),
    [
        ("verify: never", "26 hours", "nothing would ever go"),
        ("verify: auto", "20 hours", "verified every 24 hours: write at least 26 hours"),
        ("verify: weekly", "26 hours", "verified every 168 hours"),
        ("verify: weekly", "8 days", None),
        ("verify: always", "26 hours", None),
    ],
)
def test_what_no_deletion_could_ever_get_is_said_at_load(policy: str, age: str, words: str | None) -> None:
    text = (
        f"version: 1\ntargets:\n  shop:\n    engine: postgres\n    connection: c\n    backup: {{into: /b, {policy}}}\n"
        f"    tables: {{logs: {{retain: {{by: at, for: 1 day, then: delete, requires: {{backup: {age}}}}}}}}}\n"
    )
    if words is None:
        assert fleet.parse(text).targets["shop"].tables
    else:
        with pytest.raises(ConfigurationError, match=words):
            fleet.parse(text)


@pytest.mark.parametrize("word", ["external", "false"])
@pytest.mark.parametrize(
    ("engine", "declared"),
    [
        ("postgres", "tables: {logs: {retain: {by: at, for: 1 day, then: delete, %s}}}"),
        ("tidb", "tables: {logs: {retain: {by: at, for: 1 day, then: delete, %s}}}"),
        ("mongo", "collections: {logs: {retain: {by: at, for: 1 day, then: delete, %s}}}"),
        ("redis", "streams: {logs: {retain: {for: 1 day, then: delete, %s}}}"),
    ],
)
def test_where_upkeep_takes_no_backups_none_can_be_required(word: str, engine: str, declared: str) -> None:
    head = f"version: 1\ntargets:\n  shop:\n    engine: {engine}\n    connection: c\n    backup: {word}\n    "
    with pytest.raises(ConfigurationError, match=f"backup: {word}, but logs requires a verified backup.*nothing would"):
        fleet.parse(head + declared % "requires: {backup: 26 hours}")
    assert fleet.parse(head + declared % "requires: approval").targets["shop"].sections


def test_a_replica_is_asked_where_the_engine_can() -> None:
    text = "version: 1\ntargets:\n  shop:\n    engine: {}\n    connection: c\n    backup: {{into: /b, from: {}}}\n"
    for engine, row in ENGINES.items():
        assert fleet.parse(text.format(engine, "primary")).targets
        if "replicas" in row.also:
            assert fleet.parse(text.format(engine, "replica_if_any")).targets
        else:
            with pytest.raises(ConfigurationError, match="a replica is asked for backups on engine redis only"):
                fleet.parse(text.format(engine, "replica_if_any"))


def test_an_engine_that_cannot_be_backed_up_says_so_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(ENGINES["mongo"], also=frozenset())
    monkeypatch.setattr(backup, "ENGINES", {**ENGINES, "mongo": row})
    text = "version: 1\ntargets:\n  shop:\n    engine: mongo\n    connection: c\n    backup: {}\n"
    with pytest.raises(ConfigurationError, match="not of mongo yet; write backup: external"):
        fleet.parse(text.format("{into: /b}"))
    policy = BackupPolicy.of(fleet.parse(text.format("external")).targets["shop"])
    assert policy is not None
    assert policy.external


def test_the_environment_may_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPKEEP_BACKUPS", "/mnt/x")
    for written, read in (("${UPKEEP_BACKUPS}", "/mnt/x"), ("${UPKEEP_BACKUPS}/a", "/mnt/x/a")):
        policy = BackupPolicy.of(target(f"{{into: '{written}'}}"))
        assert policy is not None
        assert policy.into == read


def test_others_may_take_them() -> None:
    external = BackupPolicy.of(target("external"))
    assert external is not None
    assert external.external
    assert BackupPolicy.of(target("false")) is None
    asked = {word: list(rooms.policies(target(word), "backup")) for word in ("external", "false", "{into: /b}")}
    assert asked == {"external": [], "false": [], "{into: /b}": ["shop"]}, "a run has nothing to fail at"


def manifest(*objects: Contents, **more: Any) -> Manifest:
    known = {"id": "a", "target": "shop", "engine": "postgres", "identity": IDENTITY, "database": "shop"}
    known |= {"server_version": "15", "tool": "pg_dump", "tool_version": "15", "snapshot_at": NOW}
    return Manifest(**{**known, **more}, objects=objects)


def test_what_differs_is_named() -> None:
    logs = Contents(name="public.logs", rows=3, structures=("index a", "index b"), checksum="1")
    one = manifest(logs, Contents(name="public.two", rows=1), Contents(name="public.view", kind="view"))
    whole = [logs, Contents(name="public.two", rows=1), Contents(name="public.view", kind="view")]
    assert list(differences(one, whole)) == []
    changes: list[tuple[list[Contents], str]] = [
        ([logs.model_copy(update={"rows": 2}), *whole[1:]], "2 rows are there after the restore, 3 were dumped"),
        ([logs.model_copy(update={"structures": ("index a",)}), *whole[1:]], "not there after the restore: index b"),
        ([logs.model_copy(update={"checksum": "2"}), *whole[1:]], "their checksums differ"),
        ([logs.model_copy(update={"checksum": None}), *whole[1:]], "their checksums differ"),
        (whole[1:], "the table is not there after the restore"),
        ([*whole, Contents(name="public.more")], "there only after the restore"),
    ]
    for seen, words in changes:
        (found,) = differences(one, seen)
        assert words in found.summary
        assert found.check == "backup_difference"
        assert found.subject == ("public.more" if "only" in words else "public.logs")


TAKEN = Taken(
    snapshot_at=NOW,
    tool="pg_dump",
    tool_version="15",
    server_version="15",
    database="shop",
    position={"xmin": "5"},
    objects=(Contents(name="public.logs", rows=3),),
    needs={},
)


def make(into: str, name: str, *, die: bool = False) -> publish.Found:
    with publish.making(into, "we/ird..", IDENTITY, name) as place:
        (place / "data" / "inner").mkdir()
        (place / "data" / "inner" / "file").write_bytes(b"rows")
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        of = (name, "we/ird..", "postgres", IDENTITY)
        return publish.publish(place, of, TAKEN, lambda m: f"restore {m.id}", lambda: None)


def test_published_whole_or_not_at_all(tmp_path: Path) -> None:
    made = make(str(tmp_path), "one")
    assert [found.manifest.id for found in publish.found(tmp_path)] == ["one"]
    assert [found.manifest.id for found in publish.found(made.place)] == ["one"]
    assert made.manifest.files == {"data/inner/file": File(bytes=4, sha256=hashlib.sha256(b"rows").hexdigest())}
    assert (made.place / "RESTORE.txt").read_text() == "restore one"
    assert made.place.parent.parent == tmp_path
    assert not list(manifests.damaged(made.place, made.manifest, lambda: None))

    process = multiprocessing.get_context("fork").Process(
        target=make, args=(str(tmp_path), "two"), kwargs={"die": True}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(made.place.parent.iterdir())) == 2  # what it left
    assert [found.manifest.id for found in publish.found(tmp_path)] == ["one"]
    with pytest.raises(RuntimeError), publish.making(str(tmp_path), "we/ird..", IDENTITY, "three"):
        raise RuntimeError
    assert [path.name for path in made.place.parent.iterdir()] == [made.place.name]


def test_a_flipped_byte_and_a_missing_file_are_named(tmp_path: Path) -> None:
    made = make(str(tmp_path), "one")
    file = made.place / "data" / "inner" / "file"
    file.write_bytes(b"rowz")
    assert list(manifests.damaged(made.place, made.manifest, lambda: None)) == [
        ("data/inner/file", "has other bytes than were written")
    ]
    assert manifests.missing(made.place, made.manifest) == []  # the size alone tells nothing of that
    file.unlink()
    assert manifests.missing(made.place, made.manifest) == ["data/inner/file"]


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    made = make(str(tmp_path), "one")
    with publish.using(made.place):
        assert not publish.remove(made.place)
        assert made.place.exists()
    assert publish.remove(made.place)
    assert list(made.place.parent.iterdir()) == []
