"""Commands about backups: `backups`, `verify`, `restore`.

With ``--from`` they need nothing but the directory: no ledger, no fleet file, no Airflow; those may be what is lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upkeep import connections
from upkeep.cli import console
from upkeep.cli.base import Name, Watch, echo, err, interruptible, json_option, load_fleet, mend, open_ledger, out
from upkeep.errors import ConfigurationError
from upkeep.model import Artefact, FindingStatus
from upkeep.run.stopping import Stop

if TYPE_CHECKING:
    from upkeep.jobs.backup.copier import Bench
    from upkeep.jobs.backup.publish import Found

from_option = click.option(
    "--from",
    "place",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    metavar="DIRECTORY",
    help="Where the backups lie; then no ledger and no fleet file is needed.",
)


@dataclass(frozen=True, slots=True)
class Known:
    """A backup, as the ledger or its directory tells."""

    target: str
    engine: str | None
    artefact: Artefact

    def document(self) -> dict[str, Any]:
        """Return its part of what ``backups --json`` prints."""
        of = self.artefact
        return {
            "id": of.id,
            "target": self.target,
            "engine": self.engine,
            "tool": of.tool,
            "snapshot_at": of.snapshot_at.isoformat(),
            "location": of.location,
            "bytes": of.bytes,
            "status": of.state,
            "differences": of.differences,
            **({"level": of.level} if of.level else {}),
            **({"verified_at": of.verified_at.isoformat()} if of.verified_at else {}),
            **({"restore_seconds": round(of.restore_seconds, 1)} if of.restore_seconds is not None else {}),
        }


@click.command()
@click.option("--target", "name", type=Name(), metavar="NAME", help="Only this target.")
@click.option("--all", "expired", is_flag=True, help="Also those that were taken away.")
@from_option
@json_option
@click.pass_obj
@mend
def backups(path: Path | None, *, name: str | None, expired: bool, place: Path | None, as_json: bool) -> int:
    """List the backups: of which instant, how far proven, how long their restore took."""
    known = list(_lying(place, name) if place is not None else _recorded(path, name, expired=expired))
    if as_json:
        echo({"schema_version": 1, "backups": [one.document() for one in known]})
        return 0
    if not known:
        console.say(out, "no backup yet; `upkeep run backup` takes one where the fleet file says backup:")
    for one in known:
        of = one.artefact
        took = f", restored in {of.restore_seconds:,.0f} s" if of.restore_seconds is not None else ""
        level = f" ({of.level})" if of.level else ""
        style = {"verified": "good", "failed": "bad"}.get(of.state, "muted")
        when = f"{of.snapshot_at:%Y-%m-%d %H:%M:%S} UTC"
        text = f"{of.id}  {one.target}  {when}  {of.bytes:,} bytes  {of.state}{level}{took}"
        console.say(out, text, style, wrap=False)
        console.say(out, f"    {of.location}", "muted", wrap=False)
    return 0


@click.command()
@click.argument("backup")
@from_option
@json_option
@click.pass_obj
@mend
def verify(path: Path | None, backup: str, *, place: Path | None, as_json: bool) -> int:
    """Restore a backup (its id, or its directory) into a server of its own, and compare."""
    from upkeep.run import verifying  # noqa: PLC0415 - not needed for `--help`

    one = _one(path, backup, place)
    engine = one.engine or _manifest(one.artefact).engine
    recorded = place is None and not Path(backup).is_absolute()
    declared = load_fleet(path).targets.get(one.target) if recorded else None
    with _bench() as bench:
        verdict, artefact = verifying.prove(engine, one.artefact, bench, target=declared, now=lambda: datetime.now(UTC))
    if recorded:
        with open_ledger() as ledger:
            ledger.keep_backup(f"verify-{artefact.id}", one.target, artefact)
    if as_json:
        found = [finding.model_dump(mode="json") for finding in verdict.findings]
        echo({"schema_version": 1, "backup": Known(one.target, engine, artefact).document(), "findings": found})
    else:
        for finding in verdict.findings:
            console.say(err, f"{finding.check} {finding.subject}: {finding.summary}", "bad", wrap=False)
            if finding.remedy:
                console.say(err, f"    {finding.remedy}", "muted", wrap=False)
        console.say(out, f"{artefact.id}: {verdict.level or 'failed'}", "bad" if verdict.wrong else "good")
    if verdict.wrong:
        return 1
    return 3 if any(f.status is not FindingStatus.OK for f in verdict.findings) else 0


@click.command()
@click.option("--target", "name", type=Name(), required=True, metavar="NAME", help="The target that it is a backup of.")
@click.option("--backup", required=True, metavar="ID", help="Which one (`upkeep backups`), or 'newest' verified.")
@click.option("--into", required=True, metavar="CONNECTION", help="An empty database that gets it: a connection id.")
@from_option
@click.pass_obj
@mend
def restore(path: Path | None, *, name: str, backup: str, into: str, place: Path | None) -> int:
    """Restore a backup into an empty database; never over data."""
    from upkeep.jobs.backup import manifest as manifests  # noqa: PLC0415 - not needed for `--help`
    from upkeep.jobs.backup import publish  # noqa: PLC0415
    from upkeep.run import verifying  # noqa: PLC0415

    one = _one(path, backup, place, target=name)
    address, there = connections.resolve(into), Path(one.artefact.location)
    manifest, _ = manifests.read(there)
    if manifest.target != name:
        raise ConfigurationError(f"backup {manifest.id} is of target '{manifest.target}', not '{name}'")
    connections.require_engine(address, manifest.engine)
    started = time.monotonic()
    with _bench() as bench, publish.using(there):
        bench.tell(f"comparing the bytes of {manifest.id} with their digests")
        wrong = next(manifests.damaged(there, manifest, bench.checkpoint), None)
        if wrong is not None:
            raise ConfigurationError(f"backup {manifest.id} is damaged: {wrong[0]} {wrong[1]}; restore another one")
        bench.tell(f"restoring it into {into}")
        verifying.copier(manifest.engine).restore(there / manifests.DATA, manifest, address, bench)
    lacks = f"; not in it: {', '.join(manifest.lacks)}" if manifest.lacks else ""
    took = f"{time.monotonic() - started:,.0f} s"
    text = f"{name} as of {manifest.snapshot_at:%Y-%m-%d %H:%M:%S} UTC is in {into} after {took}{lacks}"
    console.say(out, text, "good", wrap=False)
    return 0


@contextmanager
def _bench() -> Iterator[Bench]:
    """Give what work on a backup needs; Ctrl-C ends it cleanly."""
    from upkeep.jobs.backup.copier import Bench  # noqa: PLC0415 - not needed for `--help`

    stop = Stop()
    with Watch(quiet=False) as watch, interruptible(stop.cancel):
        yield Bench(stop.raise_if_asked, lambda text: watch.tell("backup", text))


def _recorded(path: Path | None, name: str | None, *, expired: bool = False) -> Iterator[Known]:
    engines = {key: target.engine for key, target in load_fleet(path).targets.items()}
    with open_ledger() as ledger:
        for backup in ledger.backups(name, expired=expired):
            yield Known(backup.target, engines.get(backup.target), backup.artefact)


def _lying(place: Path, name: str | None = None) -> Iterator[Known]:
    from upkeep.jobs.backup import publish  # noqa: PLC0415 - not needed for `--help`

    for found in publish.found(place):
        if name is None or found.manifest.target == name:
            yield _known(found)


def _known(found: Found) -> Known:
    from upkeep.jobs.backup.job import artefact  # noqa: PLC0415

    return Known(found.manifest.target, found.manifest.engine, artefact(found))


def _one(path: Path | None, wanted: str, place: Path | None, *, target: str | None = None) -> Known:
    """Return the backup that is meant: by its id or the beginning of it, by its directory, or the newest verified."""
    if place is None and Path(wanted).is_absolute():
        place, wanted = Path(wanted), ""
    known = list(_lying(place, target) if place is not None else _recorded(path, target))
    if wanted == "newest":
        proven = [one for one in known if place is not None or one.artefact.state == "verified"]
        if proven:
            return proven[0]
        raise ConfigurationError("no verified backup is there; `upkeep backups` lists what is")
    found = [one for one in known if one.artefact.id.startswith(wanted)]
    if len(found) != 1:
        many = "several backups begin so" if found else "no such backup"
        where = f" in {place}" if place is not None else ""
        raise ConfigurationError(f"'{wanted}': {many}{where}; `upkeep backups` lists them")
    return found[0]


def _manifest(artefact: Artefact) -> Any:
    from upkeep.jobs.backup import manifest as manifests  # noqa: PLC0415

    return manifests.read(Path(artefact.location))[0]
