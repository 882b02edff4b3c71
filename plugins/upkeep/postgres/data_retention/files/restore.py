"""One archive file back into a table: proven, then loaded, exactly once.

The file is read whole and compared with its manifest before anything else. Its rows go into a temporary table
and are sent back by the server exactly as they were when they were archived: the same bytes, or nothing is
loaded. A mark that names the transaction is written beside the files before the transaction ends, so that a
killed restore is decided by the next one, as a killed archiving is.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import IO, Any, Final

import psycopg
from psycopg import errors, sql

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ActionError, AlreadyDoneError, ConservationError, StateChangedError
from upkeep.model import Json
from upkeep.postgres import names
from upkeep.postgres.data_retention import detach
from upkeep.postgres.data_retention.detach import Place
from upkeep.postgres.data_retention.files import types
from upkeep.postgres.data_retention.files.archive import (
    BLOCK_BYTES,
    STATEMENT_TIMEOUT,
    durable_transaction,
    end_now,
    end_of,
)
from upkeep.postgres.data_retention.files.pages import Pages
from upkeep.postgres.data_retention.files.receive import Received
from upkeep.postgres.session import PostgresSession
from upkeep.stores.draft import StoreError
from upkeep.stores.manifest import Manifest, Mark
from upkeep.stores.shelf import Shelf

STAGE: Final = "upkeep_restore"
"""The temporary table."""
LOAD_BYTES: Final = 8 << 20
"""One COPY into it takes about so much: no statement's time grows with the file."""
_AGES: Final = frozenset({"timestamptz", "timestamp", "date", "int2", "int4", "int8"})


def restore(work: Work[PostgresSession], shelf: Shelf) -> tuple[Json, StoreError | None]:
    """Load what the action names; return the evidence, and why the mark could not be made final after all.

    Raises
    ------
    AlreadyDoneError
        All of it was restored before.
    ConservationError
        The file is not what was archived, or what arrived is not what the file holds; nothing was loaded.
    """
    session, args = work.session, work.action.args
    manifest = Manifest.model_validate(args["manifest"])
    here = detach.place(session, args["into"]["oid"])
    if here is None:
        raise StateChangedError("the table that should get the rows is gone")
    if not shelf.counts(manifest):
        raise StateChangedError(f"{shelf.place(manifest)} does not count (any more): its rows are in the table still")
    marks = _marks(shelf, manifest, here.subject, session.identity)
    marks = [m for m in marks if not _is_stale(session, m, shelf.place(manifest), again=args.get("again", False))]
    if any(_covers(mark, args) for mark in marks):
        raise AlreadyDoneError(f"{shelf.place(manifest)}: these rows were restored before")
    with shelf.reading(manifest) as file:
        work.checkpoint(f"verifying {shelf.place(manifest)}")
        # The whole file first: nothing is loaded of one that was damaged or exchanged.
        _require_intact(shelf, manifest, file)
        work.checkpoint(f"loading {manifest.rows:,} rows")
        evidence, mark = _loaded(work, shelf, manifest, file, here=here, marks=marks)
    trouble: StoreError | None = None
    try:
        shelf.decide(mark)
    except StoreError as error:
        trouble = error
    work.checkpoint(rows=evidence["rows_restored"])
    return evidence | {"file": shelf.place(manifest), "oid": args["into"]["oid"]}, trouble


def _loaded(
    work: Work[PostgresSession],
    shelf: Shelf,
    manifest: Manifest,
    file: IO[bytes],
    *,
    here: Place,
    marks: Sequence[Mark],
) -> tuple[Json, Mark]:
    """Load the file in one transaction, whose end decides the mark."""
    session = work.session
    mark: Mark | None = None
    ending = False
    try:
        with session.transaction():
            session.rows("data_retention/file_settings", {"statement": STATEMENT_TIMEOUT})
            pages = _stage(work, manifest, file, here.table)
            evidence = _insert(work, manifest, pages, here.table, marks)
            mark = _mark(session, work, manifest, here.subject, int(evidence["rows_restored"]))
            # Written before COMMIT, decided after: whoever finds it undecided asks the server what became of that
            # transaction.
            shelf.announce(mark)
            ending = True
    except BaseException as error:
        if mark is not None:
            _abandon(session, shelf, mark, ending=ending, work=work)
        raise _explained(error, manifest, here.subject) from error
    return evidence, mark


def _is_stale(session: PostgresSession, mark: Mark, place: str, *, again: bool) -> bool:
    """Return whether an earlier restore went into a table, or a history of the server, that is not this one.

    Raises
    ------
    ActionError
        It is so, and nobody said that the rows are to come again.
    """
    # Of another database: what became of its table cannot be asked here.
    if mark.identity != session.identity:
        return False
    now = session.rows("data_retention/restore_history", {"place": mark.place, "into": mark.into})[0]
    if mark.into_oid not in (None, now["oid"]):
        why = f"{mark.into} was made anew since"
    elif mark.timeline not in (None, now["timeline"]) or not now["past"] or end_now(session, mark) == "other history":
        why = "the server was restored or promoted since"
    else:
        return False
    if not again:
        raise ActionError(
            f"{place}: its rows were restored into {mark.into} before, but {why}; nothing was loaded. Look whether "
            "they are there, or in a later file (archived again); if not, restore with --again"
        )
    return True


def _marks(shelf: Shelf, manifest: Manifest, into: str, identity: str) -> list[Mark]:
    """Return what was taken out of the file before: into this table, or back into the one it came from."""
    taken = [m for m in shelf.marks() if m.file == manifest.file]
    back = [m for m in taken if m.into == manifest.table and m.identity == manifest.identity]
    return back + [m for m in taken if m.into == into and m.identity == identity and m not in back]


def _covers(mark: Mark, args: Json) -> bool:
    """Return whether an earlier restore had the same range, or all."""
    return (mark.since, mark.until) in ((None, None), (args["since"], args["until"]))


def _require_intact(shelf: Shelf, manifest: Manifest, file: IO[bytes]) -> None:
    from upkeep.stores import parquet  # noqa: PLC0415 - loads Arrow: 60 MB

    try:
        seen = parquet.examine(file, manifest.kept)
    except ValueError as error:
        raise ConservationError(f"{shelf.place(manifest)}: {error}; nothing of it was loaded") from error
    wanted = (manifest.rows, manifest.bytes, manifest.sha256, manifest.content_sha256)
    if (seen.rows, seen.bytes, seen.sha256, seen.digest) != wanted:
        raise ConservationError(
            f"{shelf.place(manifest)} is not the file that was written (its checksum differs); nothing of it was "
            "loaded: take it from a copy of the archive"
        )


def _stage(work: Work[PostgresSession], manifest: Manifest, file: IO[bytes], into: sql.Identifier) -> Pages:
    """Load the file into a temporary table, and prove that the server has exactly the archived rows."""
    from upkeep.stores import parquet  # noqa: PLC0415 - loads Arrow: 60 MB

    session, columns = work.session, manifest.kept
    listed = _listed([c.name for c in columns])
    session.execute(session.statement("data_retention/restore_stage", columns=listed, into=into))
    # The same open file that was examined: another one may have its name by now.
    file.seek(0)
    for piece in _pieces(parquet.wire(file, columns, as_text=True)):
        with session.copy(session.statement("data_retention/restore_load", columns=listed)) as stream:
            for block in piece:
                stream.write(memoryview(block))
        work.checkpoint()
    found = Pages(work, manifest.rows, int(session.rows("data_retention/restore_pages")[0]["pages"]))
    digest, sent, rows = hashlib.sha256(), types.sent(columns, STAGE), 0

    def compare(where: sql.Composed) -> int:
        rows = 0
        with session.copy(session.statement("data_retention/restore_read", sent=sent, range=where)) as stream:
            received = Received(stream, BLOCK_BYTES)
            blocks = list(received)
            rows = received.rows or 0
        for block in blocks:
            digest.update(block)
        return rows

    rows = found.each("compared", compare)
    if (rows, digest.hexdigest()) != (manifest.rows, manifest.content_sha256):
        raise ConservationError("the server did not get exactly the archived rows; nothing of the file was loaded")
    return found


def _pieces(blocks: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the blocks in pieces of about `LOAD_BYTES`, each for a statement of its own."""
    piece: list[Any] = []
    for block in blocks:
        piece.append(block)
        if sum(map(len, piece)) >= LOAD_BYTES:
            yield piece
            piece = []
    if piece:
        yield piece


def _insert(
    work: Work[PostgresSession], manifest: Manifest, pages: Pages, into: sql.Identifier, marks: Sequence[Mark]
) -> dict[str, Any]:
    session, args = work.session, work.action.args
    parts: dict[str, sql.Composable] = {
        "columns": _listed(args["given"]),
        "into": into,
        "witness": _hash("a", args["given"]),
        "source_hash": _hash("chosen", args["given"]),
    }
    wanted = _range(manifest, args, marks)
    restored, sums = 0, [0, 0]

    def insert(where: sql.Composed) -> int:
        nonlocal restored
        both = sql.SQL("{} and {}").format(where, wanted)
        row = session.execute(session.statement("data_retention/restore_insert", range=both, **parts)).fetchall()[0]
        # Both sides as the statement saw them: a trigger or rule of the table cannot change a row unseen.
        if (row["rows_read"], row["hash_source"]) != (row["rows_restored"], row["hash_table"]):
            raise ConservationError("the table did not take exactly the rows of the file; nothing of it was loaded")
        restored += row["rows_restored"]
        for number, name in enumerate(("hash_source", "hash_table")):
            sums[number] = (sums[number] + int(row[name] or 0)) % 2**64
        return int(row["rows_read"])

    pages.each("loaded", insert)
    return {
        "rows_restored": restored,
        "rows_in_file": manifest.rows,
        "hash_source": f"{sums[0]:016x}",
        "hash_table": f"{sums[1]:016x}",
    }


def _range(manifest: Manifest, args: Json, marks: Sequence[Mark]) -> sql.Composable:
    """Return the wanted range without what was restored before."""
    parts = [_between(manifest, args["since"], args["until"])]
    # What came back before is left out, so that a wider range brings no row twice.
    parts += [sql.SQL("not ({})").format(_between(manifest, m.since, m.until)) for m in marks]
    return sql.SQL(" and ").join(parts)


def _between(manifest: Manifest, since: str | None, until: str | None) -> sql.Composable:
    # It comes from a file: only known types get into the statement.
    if manifest.age_type not in _AGES:
        raise ConservationError("the manifest names an age column of an unknown type; nothing was loaded")
    age = sql.Identifier(STAGE, manifest.age)
    type_ = sql.Identifier("pg_catalog", manifest.age_type)
    parts: list[sql.Composable] = [sql.SQL("true")]
    if since is not None:
        parts.append(sql.SQL("{} >= {}::{}").format(age, sql.Literal(since), type_))
    if until is not None:
        parts.append(sql.SQL("{} < {}::{}").format(age, sql.Literal(until), type_))
    return sql.SQL(" and ").join(parts)


def _hash(alias: str, columns: Sequence[str]) -> sql.Composed:
    row = sql.SQL(", ").join(sql.Identifier(alias, column) for column in columns)
    return sql.SQL("hashtextextended(row({})::text, 0)").format(row)


def _listed(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _mark(session: PostgresSession, work: Work[PostgresSession], manifest: Manifest, into: str, rows: int) -> Mark:
    return Mark(
        file=manifest.file,
        table=manifest.table,
        identity=session.identity,
        **durable_transaction(session),
        rows=rows,
        action_id=work.action.id,
        written_at=datetime.now(UTC).isoformat(),
        into=into,
        into_oid=work.action.args["into"]["oid"],
        since=work.action.args["since"],
        until=work.action.args["until"],
    )


def _abandon(session: PostgresSession, shelf: Shelf, mark: Mark, *, ending: bool, work: Work[PostgresSession]) -> None:
    """Remove the mark of a transaction that was rolled back; leave what is not certain to the next run."""
    lost = session.connection.closed or session.connection.broken
    with contextlib.suppress(UpkeepError, psycopg.Error):
        if not ending or (not lost and end_of(session, mark, work.checkpoint, work.sleep) == "aborted"):
            shelf.withdraw(mark)


def _explained(error: BaseException, manifest: Manifest, into: str) -> BaseException:
    if isinstance(error, errors.UniqueViolation):
        return ActionError(
            f"rows of the file are in {into} already ({error.diag.constraint_name}); nothing of it was loaded. Find "
            "out how they came there; restore into another table (--into) to compare"
        )
    # "No partition of relation … found for row" is a check violation that names no constraint (execPartition.c).
    if isinstance(error, errors.CheckViolation) and error.diag.constraint_name is None:
        low, high = manifest.lowest or "?", manifest.highest or "?"
        example = f"create table … partition of {into} for values from ('{low[:10]}') to ('…')"
        return StateChangedError(
            f"{into} has no partition for all rows of the file, whose {names.quote(manifest.age)} goes from {low} to "
            f"{high}; nothing of it was loaded. Create the missing partitions first ({example}), or attach the "
            "detached ones again (upkeep undo), or restore into another table (--into)"
        )
    return error
