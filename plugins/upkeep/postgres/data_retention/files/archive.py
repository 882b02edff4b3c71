"""Rows that move into Parquet files: one transaction, one file.

The transaction deletes a batch and sends exactly what it deleted; that becomes a file, which is read back from
the store and proven (the server's own count of rows, and the digest of every byte it sent) before the
transaction ends. A manifest that names the transaction is written before the file gets its name. So at every
moment of a kill the next run can ask the server which of the two has the rows: `settle` does that first.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import psycopg

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Checkpoint, go_on
from upkeep.jobs.data_retention.pace import Pace
from upkeep.jobs.errors import ConservationError
from upkeep.model import Json
from upkeep.postgres.data_retention.args import ColumnOf, Files, Filing, Rows
from upkeep.postgres.data_retention.batches import BatchTooLargeError, Removed, Where
from upkeep.postgres.data_retention.doomed import Doomed
from upkeep.postgres.data_retention.files import types
from upkeep.postgres.data_retention.files.receive import Received
from upkeep.postgres.data_retention.shape import require_shape, shapes
from upkeep.postgres.session import PostgresSession
from upkeep.stores.beside import InOrder
from upkeep.stores.columns import Column, UnsayableError
from upkeep.stores.draft import Draft, StoreError
from upkeep.stores.manifest import Manifest, Note
from upkeep.stores.shelf import Shelf

if TYPE_CHECKING:
    from upkeep.stores.parquet import Seen, Writer  # loads Arrow, which is an extra

BLOCK_BYTES: Final = 1 << 20
"""Rows are parsed in blocks of about so much: large enough to be worth the call, small enough for fast memory."""
WAITING_BLOCKS: Final = 8
"""So many may wait to be parsed while the next ones come: the server goes on while a row group is compressed."""
MOST_BYTES: Final = 256 << 20
"""More than so much from the server in one transaction, and the batch is made smaller."""
TARGET_SECONDS: Final = 1.5
FIRST_ROWS: Final = 50_000
"""The first transaction's: each is a file for ever, so that even the first one should not be tiny."""
MOST_ROWS: Final = 250_000
"""A transaction may take longer than one between two tables, so that files do not become too many and too small."""
STATEMENT_TIMEOUT: Final = "60s"
WITNESSES: Final = 32
"""Small transactions, each committed or rolled back by lot, that tell this server from a copy of before."""
DURABLE_SECONDS: Final = 30.0
"""The WAL writer wakes up at least every five seconds."""
IN_PROGRESS_SECONDS: Final = 75.0
"""A killed job's transaction ends by itself after `session.IDLE_TIMEOUT` (60 s) at the latest."""


def pace() -> Pace:
    """Return how large the batches become."""
    return Pace(size=FIRST_ROWS, target=TARGET_SECONDS, largest=MOST_ROWS)


@dataclass
class Settled:
    """What became of what earlier runs left undecided.

    Attributes
    ----------
    unknown
        Files whose transaction this server cannot know (too long ago, or of another history: it is a copy, was
        restored or promoted): they stay and do not count.
    missing
        Files whose rows are gone from the table, but which are not there.
    """

    counted: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unknown_files: set[str] = field(default_factory=set)

    def evidence(self) -> Json:
        """Return it for the ledger."""
        return {"counted": self.counted, "removed": self.removed, "unknown": self.unknown, "missing": self.missing}


def settle(session: PostgresSession, shelf: Shelf, checkpoint: Checkpoint, sleep: Callable[[float], None]) -> Settled:
    """Ask the server what became of each transaction that an earlier run left undecided, and act accordingly."""
    done = Settled()
    for note in shelf.undecided():
        place = shelf.place(note) if isinstance(note, Manifest) else f"{note.file} into {note.into}"
        # Already listed as counting: a kill came between the two writes that decide it.
        status = "committed" if shelf.counts(note) else end_of(session, note, checkpoint, sleep)
        if status == "aborted":
            shelf.withdraw(note)
            done.removed.append(place)
        elif status != "committed":
            done.unknown.append(place)
            done.unknown_files.add(note.file)
        elif isinstance(note, Manifest) and not shelf.has_file(note):
            done.missing.append(place)
        else:
            shelf.decide(note)
            done.counted.append(place)
    return done


def end_of(session: PostgresSession, note: Note, checkpoint: Checkpoint, sleep: Callable[[float], None]) -> str | None:
    """Return what `end_now` does, after a wait for what is in progress."""
    deadline = time.monotonic() + IN_PROGRESS_SECONDS
    while True:
        status = end_now(session, note)
        if status != "in progress" or time.monotonic() > deadline:
            return status
        checkpoint("waiting: the transaction of a killed run has not ended yet")
        sleep(0.2)


def end_now(session: PostgresSession, note: Note) -> str | None:
    """Return ``committed``, ``aborted``, ``in progress``, ``other history`` or ``None`` when nobody can know."""
    asked = {key: getattr(note, key) for key in ("transaction", "timeline", "place", "started", "witness")}
    status: str | None = session.rows("data_retention/transaction_end", asked)[0]["status"]
    return status


def durable_transaction(session: PostgresSession) -> dict[str, Any]:
    """Return the open transaction's id once it is on the server's disk: no crash can then give it to another one.

    Returns
    -------
    dict
        ``transaction``, ``timeline``, ``place``, ``started``, ``witness``: as `Note` has them.
    """
    # Order: a WAL record of this transaction, then its place, then everything up to that place on disk.
    session.rows("data_retention/transaction_logged")
    about = session.rows("data_retention/transaction")[0]
    deadline = time.monotonic() + DURABLE_SECONDS
    witness = session.flush(f"{secrets.randbits(WITNESSES):0{WITNESSES}b}")
    while not session.rows("data_retention/transaction_durable", {"place": about["place"]})[0]["durable"]:
        if time.monotonic() > deadline:
            raise StoreError("the server has not written its WAL for 30 s; the transaction was rolled back")
        time.sleep(0.01)  # a transaction is open: never long
    return about | {"witness": witness}


def filing(rows: Rows, facts: list[Json], files: Files) -> Filing:
    """Return the moving of rows into files."""
    columns = tuple(ColumnOf(c["name"], c["type"]) for c in facts)
    return Filing(**rows.said(), files=files, columns=columns, proof="bytes", shape=shapes(facts))


def statement_parts(args: Filing, doomed: Doomed, where: Where, columns: list[Column] | None = None) -> dict[str, Any]:
    """Return what fills the braces of ``archive_file.sql``."""
    found = columns or types.columns(args.columns)
    return {"table": doomed.table, "range": where, "due": doomed.predicate, "returned": types.sent(found)}


@dataclass
class FileArchive:
    """Removes ranges into files; implements `upkeep.postgres.data_retention.batches.Remover`.

    Attributes
    ----------
    as_text
        Columns in which this action met values that their Parquet types cannot say: kept as text from there on.
    files, file_bytes
        What was written and counts.
    known, note
        The location's mark, as remembered, and how it is written down before the first transaction ends.
    """

    session: PostgresSession
    shelf: Shelf
    args: Filing
    subject: str
    action_id: str
    pace: Pace
    sleep: Callable[[float], None]
    as_text: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    file_bytes: int = 0
    trouble: StoreError | None = None
    known: str | None = None
    note: Callable[[Json], None] | None = None
    _noted: bool = field(default=False, init=False)
    _announced: Manifest | None = field(default=None, init=False)

    def __call__(self, doomed: Doomed, where: Where) -> Removed:
        """Remove a range into one file.

        Raises
        ------
        ConservationError
            What was read back is not what the server sent; everything was rolled back.
        StoreError
            The location refuses; everything was rolled back.
        """
        # As long as the last file does not count no further row may leave.
        self.finish()
        while True:
            try:
                return self._once(doomed, where)
            except UnsayableError as error:
                # The batch was rolled back; once more, with the column as text. The file then says so, and a restore
                # reads both.
                self.as_text.add(error.column)

    def finish(self) -> None:
        """Raise what hindered a file, whose transaction is committed, from counting: the next run settles it."""
        if self.trouble is not None:
            raise self.trouble

    def evidence(self) -> Json:
        """Return what the ledger keeps of the files."""
        shown = {"first_file": self.files[0], "last_file": self.files[-1]} if self.files else {}
        kept = {"columns_as_text": sorted(self.as_text)} if self.as_text else {}
        return {
            "location": self.shelf.directory,
            "location_id": self.known,
            "files": len(self.files),
            "file_bytes": self.file_bytes,
            **shown,
            **kept,
        }

    def _once(self, doomed: Doomed, where: Where) -> Removed:
        from upkeep.stores.parquet import Writer  # noqa: PLC0415 - loads Arrow: 60 MB

        columns = types.columns(self.args.columns, self.as_text)
        self._forget()
        ending = False
        try:
            with self.shelf.draft() as draft, self.session.transaction():
                self.session.rows("data_retention/file_settings", {"statement": STATEMENT_TIMEOUT})
                writer = Writer(draft, columns, {"table": self.subject}, age=self.args.age)
                rows = self._receive(writer, doomed, where, columns)
                if not rows:
                    return Removed(rows=0, archived=0, hash_source=0, hash_archive=0)
                require_shape(self.session, self.args, doomed)
                manifest, seen = self._keep(draft, writer, columns)
                ending = True
        except BaseException:
            if self._announced is not None:
                self._abandon(self._announced, ending=ending)
            raise
        return self._count(manifest, seen)

    def _forget(self) -> None:
        self._announced = None

    def _receive(self, writer: Writer, doomed: Doomed, where: Where, columns: list[Column]) -> int:
        """Take the rows as they come; return how many the server says that it deleted."""
        parts = statement_parts(self.args, doomed, where, columns)
        with contextlib.ExitStack() as failed:
            failed.callback(writer.discard)
            rows = self._copied(writer, parts)
            failed.pop_all()
        return rows

    def _copied(self, writer: Writer, parts: dict[str, Any]) -> int:
        total = 0
        with (
            self.session.copy(self.session.statement("data_retention/archive_file", **parts)) as stream,
            InOrder(most=WAITING_BLOCKS) as beside,
        ):
            received = Received(stream, BLOCK_BYTES)
            for block in received:
                total += len(block)
                # A single row may be as large as it likes: it cannot be cut.
                if total > MOST_BYTES and self.pace.size > 1:
                    self.pace.largest = self.pace.size // 2  # rows are wide: it does not grow again
                    raise BatchTooLargeError(f"a batch is larger than {MOST_BYTES >> 20} MiB")
                # Parsing and compressing go on beside: the server sends, and this transaction lasts no longer than its
                # slower half.
                beside.do(_feed, writer, block)
            beside.do(writer.close)
            beside.finish()
        # The server counts what its DELETE returned, the writer what it parsed: neither takes the other's word.
        if received.rows != writer.rows:
            raise ConservationError(
                f"the server deleted {received.rows} rows but {writer.rows} arrived; the batch was rolled back"
            )
        return writer.rows

    def _keep(self, draft: Draft, writer: Writer, columns: list[Column]) -> tuple[Manifest, Seen]:
        """Give the draft its name and prove it; nobody counts it before the transaction has ended."""
        store = self.shelf.store
        # The order is what makes a kill decidable: the bytes lie there without a name; the id is on the server's disk;
        # the manifest names it; the file gets its name and is read back; only then may the rows go.
        store.complete(draft)
        transaction = durable_transaction(self.session)
        manifest = Manifest(
            file=self.shelf.new_name(transaction["transaction"]),
            table=self.subject,
            identity=self.session.identity,
            **transaction,
            rows=writer.rows,
            action_id=self.action_id,
            written_at=datetime.now(UTC).isoformat(),
            bytes=draft.size,
            sha256=draft.sha256,
            content_sha256=writer.digest,
            columns=tuple({"name": c.name, "type": c.type, "kind": c.kind} for c in columns),
            age=self.args.age,
            age_type=self.args.age_type,
            lowest=writer.lowest,
            highest=writer.highest,
            cut_off=self.args.cut_off,
        )
        # Before it is written: when that fails half way there is something to take back.
        self._announced = manifest
        self.shelf.announce(manifest)
        self.shelf.publish(draft, manifest)
        try:
            seen = self.shelf.examine(manifest, columns)
        except ValueError as error:
            raise ConservationError(f"{self.shelf.place(manifest)}: {error}; the batch was rolled back") from error
        self._require_place()
        wanted = (manifest.rows, manifest.bytes, manifest.sha256, manifest.content_sha256)
        if (seen.rows, seen.bytes, seen.sha256, seen.digest) != wanted:
            raise ConservationError(
                f"{self.shelf.place(manifest)}: what was read back is not what the server sent; the batch was rolled "
                "back and the file removed"
            )
        return manifest, seen

    def _require_place(self) -> None:
        """See that the location is still the one that it was, and have it remembered."""
        self.known = self.shelf.store.require_mark(self.known)
        self.shelf.require_ours()
        if self.note is not None and not self._noted:
            self.note({"archive_location": self.shelf.store.location, "location_id": self.known})
            self._noted = True

    def _abandon(self, manifest: Manifest, *, ending: bool) -> None:
        """Remove the file of a transaction that was rolled back; leave what is not certain to the next run."""
        connection = self.session.connection
        lost = connection.closed or connection.broken
        with contextlib.suppress(UpkeepError, psycopg.Error):
            # Raised before COMMIT was sent, it is rolled back for certain. After that only the server knows, and where
            # it cannot be asked the next run does.
            if not ending or (not lost and end_of(self.session, manifest, go_on, self.sleep) == "aborted"):
                self.shelf.withdraw(manifest)

    def _count(self, manifest: Manifest, seen: Seen) -> Removed:
        """Let the file count: its rows are gone from the table."""
        try:
            self.shelf.decide(manifest)
        except StoreError as error:
            self.trouble = StoreError(f"{error}; its rows are safe in it: the next run lets it count")
        self.files.append(self.shelf.place(manifest))
        self.file_bytes += manifest.bytes
        return Removed(
            rows=manifest.rows,
            archived=seen.rows,
            hash_source=int(manifest.content_sha256[:16], 16),
            hash_archive=int(seen.digest[:16], 16),
        )


def _feed(writer: Writer, block: bytearray) -> None:
    try:
        writer.feed(block)
    except ValueError as error:  # no value of a row is in its text
        raise ConservationError(f"{error}; the batch was rolled back") from None
