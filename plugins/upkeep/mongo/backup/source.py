"""Taking a backup: every collection is read at one instant, which the server keeps for as long as its window is.

Where the instant comes from: the definitions are read, the time of that answer is the instant, and the definitions are
read once more. If they are the same, they are those of the instant. From then on each collection is asked for by its
unique id too, so that one that was dropped, renamed or made anew meanwhile is an error, and never an empty file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pymongo
from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure, PyMongoError

from upkeep.jobs.backup.copier import Bench, Order, Survey, Taken
from upkeep.jobs.backup.manifest import Contents
from upkeep.jobs.contract import Ask
from upkeep.jobs.errors import ActionError, StateChangedError
from upkeep.mongo import faults
from upkeep.mongo.backup import definitions, files
from upkeep.mongo.backup.definitions import SERIES, Definition
from upkeep.mongo.backup.files import EVERY, THREADS, Tally
from upkeep.mongo.session import RAW, Doc, MongoSession

LACKS: Final = (
    "users and roles",
    "other databases",
    "the server's settings, temporary collections, profiles",
    "what was written after the snapshot",
)
WINDOW: Final = "minSnapshotHistoryWindowInSeconds"
_WINDOW_SECONDS: Final = 300
"""What a server has that nobody told otherwise, where our user may not ask."""
_FASTEST: Final = 200 << 20
"""Bytes a second that no server and worker of ours read and write: what does not fit then, never does."""
_OLDEST: Final = (6, 0)
"""The first version that can be asked for a collection by its unique id."""
_TRIES: Final = 3
_WAIT_MS: Final = 30_000
_TOO_OLD: Final = 239
_UNAVAILABLE: Final = 246
_CATALOG: Final = "catalog"
"""What the server says where not time but a change of the collection stands between us and the instant."""
_DEFINED_ANEW: Final = (26, 175, 361)
"""NamespaceNotFound, QueryPlanKilled, CollectionUUIDMismatch."""
_POSITION_LOST: Final = 136
_NO_RIGHT: Final = 13


def survey(ask: Ask[MongoSession]) -> Survey:
    """Look at the server, what is in the database, and whether we may read it."""
    session = ask.session
    refusals = [*_of_server(session)]
    known: list[Definition] = []
    size = 0
    if not refusals:
        try:
            known = definitions.read(session.database)
            size = int(session.database.command("dbStats")["dataSize"])
        except OperationFailure as error:
            refusals.append(_not_read(session, str(session.database.name), error))
        refusals += [*_of_collections(session, known), *_of_window(session, size)]
    return Survey(
        bytes=size,
        database=session.database.name,
        command=f"find on each collection of {session.database.name}, readConcern snapshot at one atClusterTime",
        lock="nothing: it reads at a snapshot; the server keeps old versions of documents until it is over",
        refusals=tuple(refusals),
        lacks=(*LACKS, *_lacks(known)),
    )


def _of_server(session: MongoSession) -> Iterator[tuple[str, str]]:
    if session.topology == "sharded":
        yield (
            "it is a router of a sharded cluster: one instant of all shards is not to be had through it",
            "give each shard's replica set as a target, or write backup: external",
        )
    elif session.topology != "replica_set":
        yield "it is a standalone server, which has no snapshots", "run it as a replica set, if of one member"
    version = tuple(map(int, session.version.split(".")[:2]))
    if version < _OLDEST:
        yield f"it is of version {session.version}, too old for this", "upgrade it, or write backup: external"


def _of_window(session: MongoSession, size: int) -> Iterator[tuple[str, str]]:
    answer = session.ask("getParameter", **{WINDOW: 1})
    window = _WINDOW_SECONDS if answer is None else int(answer[WINDOW])
    needed = size / _FASTEST
    if window < max(needed, 1):
        yield (
            f"{WINDOW} is {window:,} s, and {size >> 20:,} MiB take at least {needed:,.0f} s to read",
            f"db.adminCommand({{setParameter: 1, {WINDOW}: {max(_WINDOW_SECONDS, round(needed * 10))}}})",
        )


def _of_collections(session: MongoSession, known: Sequence[Definition]) -> Iterator[tuple[str, str]]:
    """Yield what may not or cannot be read: one document of each is asked for."""
    for one in known:
        if "encryptedFields" in one.options:
            yield f"{one.name} has encrypted fields, whose other collections belong together", "write backup: external"
        elif one.stored_in is not None:
            try:
                session.database.command(_find(one, None, limit=1, singleBatch=True))
            except OperationFailure as error:
                if faults.is_lost(error):
                    raise
                yield _not_read(session, one.name, error)


def _not_read(session: MongoSession, name: str, error: OperationFailure) -> tuple[str, str]:
    if faults.code(error) != _NO_RIGHT:
        return f"{name} cannot be read: {faults.describe(error)}", "see what the server says"
    database = session.database.name
    remedy = (
        f"grant it read on {database}, and for time series a role of the database admin with find on "
        f'{{db: "{database}", system_buckets: ""}}; or the role backup'
    )
    return f"our user may not read all of {name}", remedy


def _lacks(known: Sequence[Definition]) -> Iterator[str]:
    for one in known:
        if one.is_capped:
            yield f"one instant of {one.name}: the server has no snapshots of a capped collection, it is as it was read"
        for name in one.building:
            yield f"index {name} of {one.name}, which was being built"


def take(order: Order[MongoSession]) -> Taken:
    """Read everything at one instant into files, and count anew what is to be compared."""
    session, bench = order.work.session, order.bench
    known, at = _instant(session)
    folder = order.place / session.database.name
    folder.mkdir()
    for one in known:
        files.describe(folder, one)
    stored = [one for one in known if one.stored_in is not None]
    bench.tell(f"reading {len(stored)} collections")
    work = [partial(_read, session, folder, one, at) for one in stored]
    tallies = bench.side_by_side(THREADS, work, "collections are read", session.cancel)
    read = {one.name: tally for one, tally in zip(stored, tallies, strict=True)}
    compared = _counted(order, stored, read, at)
    return Taken(
        snapshot_at=datetime.fromtimestamp(at.time, UTC),
        tool=files.TOOL,
        tool_version=pymongo.version,
        server_version=session.version,
        database=session.database.name,
        position={"time": at.time, "increment": at.inc},
        objects=tuple(_contents(one, read.get(one.name), compared) for one in known),
        needs={"series": _series(session.version), "bytes": sum(tally.size for tally in tallies)},
        lacks=(*LACKS, *_lacks(known)),
    )


def _series(version: str) -> str:
    return version.rpartition(".")[0]


def _contents(one: Definition, tally: Tally | None, compared: set[str]) -> Contents:
    return Contents(
        name=one.name,
        kind="time series" if one.kind == SERIES else one.kind,
        rows=tally.rows if tally else None,
        complete=not one.is_capped,
        structures=one.structures,
        checksum=tally.checksum if tally and one.name in compared else None,
    )


def _instant(session: MongoSession) -> tuple[list[Definition], Timestamp]:
    """Return the definitions, and an instant at which they were these."""
    for _ in range(_TRIES):
        with session.client.start_session() as looking:
            before = definitions.read(session.database, looking)
            at = looking.operation_time
        if at is not None and _same(before, definitions.read(session.database)):
            return [one for one in before if not one.options.get("temp")], at
    raise StateChangedError("collections and indexes were changed all the time: no instant could be chosen")


def _same(before: Sequence[Definition], after: Sequence[Definition]) -> bool:
    # by their texts: a number that is none equals not even itself
    return [(one.name, one.uuid, one.structures) for one in before] == [
        (one.name, one.uuid, one.structures) for one in after
    ]


def _find(one: Definition, at: Timestamp | None, **more: Any) -> Doc:
    """Return the command that reads a collection as of an instant; a capped one, of which there is none, as it is."""
    concern: Doc = {"level": "majority"} if one.is_capped else {"level": "snapshot"}
    if at is not None and not one.is_capped:
        concern["atClusterTime"] = at
    return {"find": one.stored_in, "collectionUUID": one.uuid, "readConcern": concern, **more}


def _read(session: MongoSession, folder: Path, one: Definition, at: Timestamp, bench: Bench) -> Tally:
    """Write a collection's documents into its file as the server sends them."""
    try:
        with (
            files.sink(folder, one.stored_in or "") as sink,
            documents(session, _find(one, at, batchSize=EVERY)) as found,
        ):
            for document in found:
                sink.add(bytes(document.raw))
                if sink.tally.rows % EVERY == 0:
                    bench.checkpoint()
    except PyMongoError as error:
        raise _meaning(one, error) or error from None
    return sink.tally


def _meaning(one: Definition, error: PyMongoError) -> ActionError | None:
    number = faults.code(error)
    anew = number == _UNAVAILABLE and _CATALOG in str(faults.details(error).get("errmsg"))
    if number in (_TOO_OLD, _UNAVAILABLE) and not anew:
        return ActionError(
            f"{one.name}: the server no longer has the instant at which the others were read; have it keep one as long "
            f"as a backup takes: db.adminCommand({{setParameter: 1, {WINDOW}: 1800}})"
        )
    if anew or number in _DEFINED_ANEW:
        return StateChangedError(f"{one.name} was dropped, renamed or made anew while the database was read")
    if number == _POSITION_LOST:
        return ActionError(f"{one.name} is capped, and overwrites its documents faster than they can be read")
    return None


def _counted(
    order: Order[MongoSession], stored: Sequence[Definition], read: Mapping[str, Tally], at: Timestamp
) -> set[str]:
    """Have the server count by itself, over the index of the ids, what of tonight's is to be compared.

    Raises `ActionError` where it counts otherwise than we have read.
    """
    never, left = datetime.min.replace(tzinfo=UTC), order.policy.compare
    found = set()
    for one in sorted(stored, key=lambda d: (order.compared.get(d.name, never), read[d.name].size)):
        left -= read[one.name].size
        if left < 0:
            break
        if one.is_capped:
            continue
        order.bench.checkpoint()
        rows = _at(order.work.session, one, at)
        if rows != read[one.name].rows:
            raise ActionError(
                f"{one.name}: {read[one.name].rows:,} documents were read, and the server counts {rows:,} at the same "
                f"instant: db.runCommand({{validate: '{one.name}', full: true}}) on every member"
            )
        found.add(one.name)
    return found


def _at(session: MongoSession, one: Definition, at: Timestamp) -> int:
    command: Doc = {
        "aggregate": one.stored_in,
        "collectionUUID": one.uuid,
        "readConcern": {"level": "snapshot", "atClusterTime": at},
    }
    if any(index["name"] == "_id_" and not index.get("clustered") for index in one.indexes):
        command["hint"] = "_id_"
    try:
        return count(session, command)
    except PyMongoError as error:
        raise _meaning(one, error) or error from None


def count(session: MongoSession, command: Doc) -> int:
    """Return how many documents the server counts."""
    answer = session.database.command({**command, "pipeline": [{"$count": "rows"}], "cursor": {}})
    found = answer["cursor"]["firstBatch"]
    return int(found[0]["rows"]) if found else 0


@contextmanager
def documents(session: MongoSession, command: Doc) -> Iterator[Iterator[RawBSONDocument]]:
    """Give what a find returns, as the bytes that the server sends."""
    database: Any = session.client.get_database(session.database.name, codec_options=RAW)
    # said twice: the driver takes the one for the first batch, the other for those that follow
    with closing(database.cursor_command(command, codec_options=RAW)) as cursor:
        yield cursor
