"""Restoring: into a server of its own for the proof, into an empty database of somebody's when it is needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure, PyMongoError

from upkeep import programs, scratch
from upkeep.engines import Address
from upkeep.errors import ConfigurationError, NotAvailableError
from upkeep.jobs.backup.copier import Bench, unavailable
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.backup.verify import DamagedError
from upkeep.jobs.errors import ActionError
from upkeep.mongo import faults
from upkeep.mongo.backup import definitions, files, source
from upkeep.mongo.backup.definitions import IMAGES, SERIES, VIEW, Definition
from upkeep.mongo.backup.files import EVERY, THREADS, Tally
from upkeep.mongo.session import RAW, Doc, MongoSession, client_for

SERVER: Final = "mongod"
_TIMES: Final = 1.5
_ROOM: Final = 1 << 29
"""Bytes that a scratch server takes for each byte of the documents, and at least."""
_BATCH: Final = 8 << 20
_USER: Final = "upkeep"
_CONFIG: Final = """storage: {{dbPath: {path}/data, wiredTiger: {{engineConfig: {{cacheSizeGB: 0.5}}}}}}
net: {{bindIp: {path}/mongod.sock, unixDomainSocket: {{enabled: false}}}}
security: {{authorization: enabled}}
systemLog: {{quiet: true}}
operationProfiling: {{slowOpThresholdMs: 3600000}}
setParameter: {{diagnosticDataCollectionEnabled: false, ttlMonitorEnabled: false}}
"""
"""It listens at a socket in its own directory and nowhere else, and nothing expires in it."""
_OPTIONS: Final = {"w": "1", "serverSelectionTimeoutMS": "1500"}
"""It answers at once or never again, and nobody waits for what is in it after us."""
_NULLS: Final = bytes(9)
_STAMP: Final = b"\x11"


@contextmanager
def restored(place: Path, manifest: Manifest, bench: Bench) -> Iterator[Address]:
    """Load the files into a server of its own."""
    program = _program(manifest)
    with scratch.place("mongo", reserve=_reserve(manifest)) as room:
        room.folder("data")
        password, socket = secrets.token_urlsafe(24), room.path / "mongod.sock"
        address = Address("scratch", str(socket), None, _USER, manifest.database, password, _OPTIONS, "mongo")
        nobody = replace(address, user="", password="", options=_OPTIONS)
        command: list[str | Path] = [program, "--config", room.write("mongod.conf", _CONFIG.format(path=room.path))]
        with room.server(command, ready=lambda: _own(nobody, password), checkpoint=bench.checkpoint):
            try:
                with opened(address, "upkeep verify") as session:
                    load(place, manifest, session, bench, proof=True)
                yield address
            except PyMongoError as error:
                if faults.is_lost(error):
                    raise NotAvailableError(f"the scratch server {SERVER} ended before the proof did") from None
                raise DamagedError(f"is not restored: {faults.describe(error)}") from None


def missing(_place: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what this machine lacks of what a server of its own needs."""
    yield from unavailable(lambda: _program(manifest), lambda: scratch.look_for_room(_reserve(manifest)))


def _reserve(manifest: Manifest) -> int:
    return round(_TIMES * int(manifest.needs["bytes"])) + _ROOM


def _program(manifest: Manifest) -> Path:
    series = str(manifest.needs["series"])
    program = programs.find(SERVER, major=int(series.partition(".")[0]))
    version = programs.version(program).rpartition("v")[2]
    if not version.startswith(f"{series}."):
        raise NotAvailableError(f"{program} is of version {version}, the backup of {manifest.server_version}")
    return program


def _own(nobody: Address, password: str) -> None:
    """Make the only user of a new server, as nobody may but who is the first."""
    Path(nobody.host).stat()  # the driver would wait for it longer than it takes to appear
    with client_for(nobody, "upkeep verify") as client:
        client.admin.command("createUser", _USER, pwd=password, roles=["root"])


@contextmanager
def opened(address: Address, application: str) -> Iterator[MongoSession]:
    """Open a session for as long as the block lasts."""
    session = MongoSession(address, application)
    try:
        yield session
    finally:
        session.close()


def load(place: Path, manifest: Manifest, session: MongoSession, bench: Bench, *, proof: bool) -> None:
    """Make in an empty database what the files hold: documents first, then indexes, what expires, and views.

    Raises `PyMongoError` where the server refuses something.
    """
    folder = place / manifest.database
    known = files.definitions(folder)
    stored = [one for one in known if one.kind != VIEW]
    stored.sort(key=lambda one: -files.size(folder, one.stored_in or ""))  # the longest ones first
    for one in stored:
        bench.checkpoint()
        session.database.command({"create": one.name, **_options(one, proof=proof)})
    work = [partial(_documents, session, folder, one) for one in stored]
    bench.side_by_side(THREADS, work, "collections are loaded", session.cancel)
    builds = [partial(_indexes, session, one) for one in stored]
    bench.side_by_side(THREADS, builds, "collections have their indexes", session.cancel)
    for one in known:
        bench.checkpoint()
        if one.kind == VIEW:
            session.database.command({"create": one.name, **one.options})
        elif not proof and "expireAfterSeconds" in one.options:
            session.database.command({"collMod": one.name, "expireAfterSeconds": one.options["expireAfterSeconds"]})


def _options(one: Definition, *, proof: bool) -> Doc:
    """Return the options to make it with: in a server where things expire, that comes when all is there."""
    left_out = (IMAGES,) if proof else ("expireAfterSeconds",)
    found = {key: value for key, value in one.options.items() if key not in left_out}
    ids = next((index for index in one.indexes if index["name"] == "_id_" and not index.get("clustered")), None)
    return found if ids is None else {**found, "idIndex": ids}


def _documents(session: MongoSession, folder: Path, one: Definition, bench: Bench) -> None:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in files.documents(folder, one.stored_in or ""):
        batch.append(RawBSONDocument(document, RAW))
        size += len(document)
        if size >= _BATCH or len(batch) >= EVERY:
            _insert(session, one, batch, bench)
            batch, size = [], 0
    _insert(session, one, batch, bench)


def _insert(session: MongoSession, one: Definition, batch: Sequence[RawBSONDocument], bench: Bench) -> None:
    bench.checkpoint()
    if not batch:
        return
    # as commands: the driver's collections refuse names that the server takes
    how = {
        "ordered": one.is_capped,
        "bypassDocumentValidation": True,
        "writeConcern": session.client.write_concern.document,
    }
    _written(session.database.command({"insert": one.stored_in, "documents": batch, **how}))
    # an insert puts the time of day into an empty timestamp
    again = [doc for doc in batch if _NULLS in doc.raw and _STAMP in doc.raw and Timestamp(0, 0) in doc.values()]
    if again:
        updates = [{"q": {"_id": doc["_id"]}, "u": [{"$replaceWith": {"$literal": doc}}]} for doc in again]
        _written(session.database.command({"update": one.stored_in, "updates": updates, **how}))


def _written(answer: Doc) -> None:
    for trouble in (*answer.get("writeErrors", ()), *filter(None, [answer.get("writeConcernError")])):
        raise OperationFailure(str(trouble.get("errmsg")), trouble.get("code"), trouble)


def _indexes(session: MongoSession, one: Definition, bench: Bench) -> None:
    bench.checkpoint()
    wanted = [index for index in one.indexes if index["name"] != "_id_" and not index.get("clustered")]
    if wanted:
        session.database.command(
            {"createIndexes": one.name, "indexes": wanted, "writeConcern": session.client.write_concern.document}
        )


def look(address: Address, manifest: Manifest) -> Sequence[Contents]:
    """Return what is there: documents counted, or taken up again where the manifest has a checksum; definitions."""
    with opened(address, "upkeep verify") as session:
        return [_seen(session, one, manifest) for one in definitions.read(session.database)]


def _seen(session: MongoSession, one: Definition, manifest: Manifest) -> Contents:
    known = manifest.object(one.name)
    kind = "time series" if one.kind == SERIES else one.kind
    if one.stored_in is None:
        return Contents(name=one.name, kind=kind, structures=one.structures)
    if known is None or known.checksum is None:
        rows, checksum = source.count(session, {"aggregate": one.stored_in}), None
    else:
        tally = Tally()
        with source.documents(session, {"find": one.stored_in}) as found:
            for document in found:
                tally.add(bytes(document.raw))
        rows, checksum = tally.rows, tally.checksum
    return Contents(name=one.name, kind=kind, rows=rows, structures=one.structures, checksum=checksum)


def restore(place: Path, manifest: Manifest, address: Address, bench: Bench) -> None:
    """Load the backup into an empty database of somebody's."""
    with opened(address, "upkeep restore") as session:
        if there := definitions.read(session.database):
            raise ConfigurationError(
                f"database {session.database.name} is not empty ({len(there)} collections and views); a backup is "
                "restored into an empty one only"
            )
        try:
            load(place, manifest, session, bench, proof=False)
        except PyMongoError as error:
            raise ActionError(f"is not restored: {faults.describe(error)}") from None


def instructions(manifest: Manifest) -> str:
    """Return how to restore it without us."""
    name = manifest.database
    return f"""The files in data/ are a directory as mongodump --gzip writes it, of MongoDB
{manifest.server_version}, all collections as of one instant ({manifest.snapshot_at:%Y-%m-%d %H:%M:%S} UTC).

1. Take a MongoDB of the same or the next major version, with no database {name} in it, and a user who has the role
   restore. Keep documents from expiring meanwhile:
       db.adminCommand({{setParameter: 1, ttlMonitorEnabled: false}})
2. Restore:
       mongorestore --gzip --stopOnError --maintainInsertionOrder --uri "mongodb://…" data/
   Under another name:   … --nsFrom '{name}.*' --nsTo 'other.*' data/
   One collection:       … --nsInclude '{name}.orders' data/
3. Compare:   db.orders.countDocuments({{}}) with "rows" of manifest.json for each collection
   (for a time series it says how many buckets there are: db.getCollection("system.buckets.NAME"))
4. db.adminCommand({{setParameter: 1, ttlMonitorEnabled: true}})
"""
