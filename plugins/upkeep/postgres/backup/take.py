"""Taking a backup: one snapshot, which the dump, the list of what there is, and the checksums share."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from upkeep import programs
from upkeep.errors import ProgramError
from upkeep.fleet.values import elapsed
from upkeep.jobs.backup.copier import Order, Taken
from upkeep.jobs.backup.manifest import Contents
from upkeep.jobs.backup.verify import DamagedError
from upkeep.jobs.errors import ActionError, ConservationError, LockNotObtainedError, OverloadedError
from upkeep.postgres import faults
from upkeep.postgres.backup import archive, contents, tools
from upkeep.postgres.backup.survey import lacks
from upkeep.postgres.session import PostgresSession

JOBS: Final = min(4, os.cpu_count() or 1)
LOCK_WAIT_MS: Final = 10_000
"""A dump that does not get its locks by then gives up: behind it others would queue."""
_FULL: Final = ("No space left", "quota exceeded", "File too large")
_LOCKS: Final = ("canceling statement due to", "could not obtain lock")
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def classify(error: Exception) -> ActionError | None:
    """Return what an error of the driver or the server means to a backup."""
    return faults.classify(error)


def take(order: Order[PostgresSession]) -> Taken:
    """Dump the database into the place, and say what is in it."""
    try:
        return _take(order)
    except DamagedError as error:
        raise ProgramError(f"what pg_dump wrote is not whole: {error}") from None


def _take(order: Order[PostgresSession]) -> Taken:
    session, bench, started = order.work.session, order.bench, time.monotonic()
    dumper = tools.dumper(session.major)
    about = session.rows("backup/survey")[0]
    with session.transaction():
        session.execute(session.statement("repeatable_read"))
        snapshot = session.rows("backup/snapshot")[0]
        relations = contents.relations(session)
        others = [contents.definitions(session)]
        needs = session.rows("backup/needs")[0]
        _dump(order, dumper, snapshot["snapshot"])
        with tempfile.TemporaryDirectory() as folder:
            made_by, room = tools.major(dumper), Path(folder)
            lines = archive.listing(order.place, made_by, bench, room / "list")
            found, unread = archive.sequences(order.place, lines, made_by, bench, room)
            others += found
        data = archive.files(lines, {r.oid: str(r.name) for r in relations if r.has_rows})
        bench.tell("counting the rows of the dump")
        rows = archive.counts(order.place, data, bench.checkpoint)
        until = started + elapsed(order.policy.longest).total_seconds()
        sums = dict(_checksums(order, relations, rows, until))
    if objects := archive.large_objects(order.place):
        others.append(Contents(name=archive.LARGE_OBJECTS, kind=archive.LARGE_OBJECTS, rows=objects))
    tables = (
        r.contents(rows.get(str(r.name)), sums.get(str(r.name)), complete=not r.has_rows or str(r.name) in rows)
        for r in relations
    )
    return Taken(
        snapshot_at=snapshot["at"],
        tool="pg_dump",
        tool_version=programs.version(dumper),
        server_version=session.version,
        database=about["database"],
        position={name: snapshot[name] for name in ("xmin", "xmax", "lsn", "timeline")},
        objects=(*tables, *others),
        needs={
            **needs,
            "major": session.major,
            "dumped_by": tools.major(dumper),
            "bytes": about["bytes"],
            "data": data,
        },
        lacks=(*lacks(about, replica=session.is_replica), *unread),
    )


def _dump(order: Order[PostgresSession], dumper: Path, snapshot: str) -> None:
    session = order.work.session
    command = [
        *(str(dumper), "--format=directory", f"--jobs={JOBS}", f"--snapshot={snapshot}", "--no-password"),
        *(f"--lock-wait-timeout={LOCK_WAIT_MS}", "--no-sync", f"--file={order.place}", "--verbose"),
    ]
    if session.is_replica:
        command.append("--no-unlogged-table-data")
    order.bench.tell("dumping")
    environment = tools.environment(session.address, "upkeep backup (pg_dump)")
    output = order.bench.run(command, environment=environment, clean=tools.clean, tell=order.bench.tell)
    if not output.status:
        return
    if any(words in output.text for words in _FULL):
        raise OverloadedError("the destination is full: nothing was published; make room, or keep fewer backups")
    if any(words in output.text for words in _LOCKS):
        raise LockNotObtainedError(
            f"pg_dump did not get its locks within {LOCK_WAIT_MS // 1000} seconds: somebody holds a strong one; the "
            "next run tries again"
        )
    output.fine()


def _checksums(
    order: Order[PostgresSession],
    relations: list[contents.Relation],
    rows: Mapping[str, int],
    until: float,
) -> list[tuple[str, str]]:
    """Return checksums at the snapshot, of those that waited longest, within the night's budget of bytes."""
    session, left, found = order.work.session, order.policy.compare, []
    for relation in sorted(relations, key=lambda r: (order.compared.get(str(r.name), _NEVER), str(r.name))):
        name = str(relation.name)
        if name not in rows or relation.bytes > left:
            continue
        if time.monotonic() > until:
            break
        order.bench.checkpoint()
        left -= relation.bytes
        counted, checksum = contents.checksum(session, relation)
        if counted != rows[name]:
            raise ConservationError(
                f"the dump holds {rows[name]:,} rows of {name}, the database {counted:,} at the same snapshot"
            )
        found.append((name, checksum))
    return found
