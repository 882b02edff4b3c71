"""Documents of one collection, deleted or moved batch by batch in the order of their age.

Which documents: a range of the age that the index says holds as many as the batch should have, with the age predicate
repeated; where too many have the same age, those that one look found, by their ``_id``.

- Deleting: each document is deleted only if it is still due at that moment; a document that somebody makes younger
  in between stays. A kill between two batches leaves nothing half done.
- Archiving: one transaction reads the documents from one snapshot, inserts exactly their bytes into the archive and
  deletes, in the same snapshot, exactly these; unless the three counts are equal it is aborted. A document that
  somebody changes meanwhile is a write conflict: the transaction is repeated and moves it as it is then, or leaves
  it. Committed by a majority or not at all, so neither a kill nor a step-down loses or doubles one.

A document that is in the archive already is fine only when it is there byte for byte; another one under the same
``_id`` stops the work.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bson import encode
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from upkeep.jobs.contract import Work
from upkeep.jobs.data_retention.pace import Pace
from upkeep.jobs.errors import ConservationError, OverloadedError
from upkeep.model import Json
from upkeep.mongo import catalog, elections, faults
from upkeep.mongo.data_retention.doomed import Doomed
from upkeep.mongo.marking import at_path
from upkeep.mongo.session import MAJORITY_MS, Doc, MongoSession

FIRST: Final = 2_000
"""Documents in the first batch; later ones take about half a second."""
BATCH_BYTES: Final = 8 * 2**20
"""Documents of one transaction are held in memory, here and in the server's cache; and where they are named by their
``_id``, those must fit into one command of 16 MiB."""
LEAST_BYTES: Final = 64 * 2**10
MAX_LAG_SECONDS: Final = 10.0
"""A member further behind is waited for (SPEC D9)."""
LOOK_SECONDS: Final = 1.0
"""How often the members are asked."""
GIVE_UP_SECONDS: Final = 600.0
LONGEST_SLEEP: Final = 15.0
BREATH: Final = 0.02
"""Share of a batch's time that is slept after it, so that others come to their turn."""
MAX_PASSES: Final = 5
"""Rounds until nothing due is left; what arrives faster than that is left to the next run."""
_NO_DATE: Final = object()
"""The age of a document whose place in the index tells none that Python can compare."""
MAJORITY: Final = WriteConcern(w="majority", wtimeout=MAJORITY_MS)


@dataclass
class Tally:
    """What all batches did together."""

    deleted: int = 0
    copied: int = 0
    archived: int = 0
    archived_before: int = 0
    batches: int = 0
    emptied: bool = False

    def evidence(self, *, moving: bool) -> Json:
        """Return it for the ledger."""
        found: Json = {"rows_deleted": self.deleted, "batches": self.batches, "emptied": self.emptied}
        if moving:
            found |= {"rows_copied": self.copied, "rows_archived": self.archived, "proof": "count in one transaction"}
            found["archived_before"] = self.archived_before
        return found


@dataclass(frozen=True, slots=True)
class Batch:
    """One committed batch.

    Attributes
    ----------
    found
        How many due documents the look at the index found.
    last
        The age of the youngest of them.
    archived, archived_before
        Inserted into the archive; there already, equal.
    """

    found: int = 0
    deleted: int = 0
    archived: int = 0
    archived_before: int = 0
    last: Any = None


@dataclass
class Sweep:
    """One removal over one collection.

    Attributes
    ----------
    into
        The archive; ``None``: documents are deleted.
    room
        Bytes that a transaction may have: less after one that the server did not take.
    """

    session: MongoSession
    work: Work[MongoSession]
    doomed: Doomed
    into: str | None
    tally: Tally = field(default_factory=Tally)
    pace: Pace = field(default_factory=lambda: Pace(size=FIRST))
    waited: float = 0.0
    room: int = field(default_factory=lambda: BATCH_BYTES)
    _looked: float = 0.0

    def run(self) -> None:
        """Remove all due documents.

        Rounds begin at the oldest and go on from the last age: the places of documents deleted before are not read
        again. A round that finds nothing ends it.
        """
        for _ in range(MAX_PASSES):
            if not self._round():
                self.tally.emptied = True
                return

    def _round(self) -> int:
        low: Any = None
        removed = 0
        while True:
            started = time.monotonic()
            self._stay_within()
            batch = elections.persist(self.work, lambda low=low: self._batch(low))  # type: ignore[misc]
            if not batch.found:
                return removed
            self._count(batch, time.monotonic() - started)
            removed += batch.deleted
            # through an index the next batch starts where this one ended; without one, what is left is found from the
            # beginning
            low = batch.last if self.doomed.index else None
            if not batch.deleted and not self.doomed.index:
                return removed  # somebody else was faster with all of them

    def _stay_within(self) -> None:
        """Make the next batch no larger than what is left of what was approved."""
        if self.work.most is None:
            return
        left = self.work.most - self.tally.deleted
        # all that was approved has gone; whether one more is due decides between done and over the limit
        if left <= 0 and elections.persist(self.work, self._any_left):
            self.work.allow(self.work.most + 1)
        self.pace.size = min(self.pace.size, max(left, 1))

    def _any_left(self) -> bool:
        return self.session.raw(self.doomed.collection).find_one(self.doomed.due, hint=self.doomed.index) is not None

    def _count(self, batch: Batch, seconds: float) -> None:
        self.tally.deleted += batch.deleted
        self.tally.copied += batch.found if self.into else 0
        self.tally.archived += batch.archived + batch.archived_before
        self.tally.archived_before += batch.archived_before
        self.tally.batches += 1
        self.pace.learn(batch.deleted, seconds)
        self.work.checkpoint(rows=batch.deleted)
        self._throttle()
        self.work.sleep(seconds * BREATH)

    def _throttle(self) -> None:
        """Wait, with no transaction open, while a member is behind. Raises `OverloadedError` when that lasts."""
        # lag grows in seconds: not worth a question after each batch of half a second
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        spent, step = 0.0, 1.0
        while (
            lag := elections.persist(self.work, lambda: catalog.replication_lag(self.session)) or 0.0
        ) > MAX_LAG_SECONDS:
            if spent >= GIVE_UP_SECONDS:
                raise OverloadedError(
                    f"a member is {lag:.0f} s behind for {spent:.0f} s: the rest is left to the next run"
                )
            self.work.checkpoint(f"waiting: a member is {lag:.0f} s behind")
            self.work.sleep(step)
            spent += step
            step = min(step * 2, LONGEST_SLEEP)
        self.waited += spent
        self._looked = time.monotonic()

    # -- one batch ----------------------------------------------------------------------------------

    def _batch(self, low: Any) -> Batch:
        if self.into is None:
            return self._delete(low)
        try:
            batch = self._move(low)
        except PyMongoError as error:
            # others write the same documents, or the server's cache has no room: it says the same of both
            if faults.is_transient(error) and not faults.is_lost(error):
                self.pace.shrink()
                self.room = max(self.room // 2, LEAST_BYTES)
            raise
        self.room = min(self.room * 5 // 4, BATCH_BYTES)
        return batch

    def _ordered(self, low: Any) -> Doc:
        options: Doc = {"filter": self.doomed.between(low), "limit": self.pace.size, "batch_size": self.pace.size}
        if self.doomed.index is not None:
            options |= {"sort": [(self.doomed.age, 1)], "hint": self.doomed.index}
        return options

    def _delete(self, low: Any) -> Batch:
        collection = self.session.database.get_collection(self.doomed.collection, write_concern=MAJORITY)
        if self.doomed.index is None:
            return self._delete_found(collection, low)
        edge = self._edge(collection, low)
        # a range of ages cannot end there: these go by their _id
        if edge is _NO_DATE or (edge is not None and edge == low):
            return self._delete_found(collection, low)  # a list, or too many of one age
        # hinted: the planner may know another index, and read far more through it than the batch has
        deleted = collection.delete_many(self.doomed.between(low, edge), hint=self.doomed.index).deleted_count
        if edge is None:
            return Batch(found=deleted, deleted=deleted, last=low)
        return Batch(found=max(deleted, 1), deleted=deleted, last=edge)  # there is more, whatever this range held

    def _edge(self, collection: Any, low: Any) -> Any:
        """Return the age of the first document after a batch from ``low`` on; ``None`` when the batch is the last.

        `_NO_DATE` when an index entry leads to a list, or to a list of documents on the way to the age.
        """
        wanted = {self.doomed.age: self.doomed.between(low)[self.doomed.age]}
        look = collection.find(wanted, {self.doomed.age: 1, "_id": 0}, hint=self.doomed.index)
        found = list(look.sort(self.doomed.age, 1).skip(self.pace.size).limit(1))
        if not found:
            return None
        age = at_path(found[0], self.doomed.age)
        return age if isinstance(age, datetime) else _NO_DATE

    def _delete_found(self, collection: Any, low: Any) -> Batch:
        found: list[Doc] = []
        size = 0
        for document in collection.find(projection={"_id": 1, self.doomed.age: 1}, **self._ordered(low)):
            found.append(document)
            if (size := size + len(_key(document))) >= BATCH_BYTES:
                break
        if not found:
            return Batch()
        # the age once more: one that was made younger since the look is not deleted
        wanted = {"_id": {"$in": [document["_id"] for document in found]}, **self.doomed.due}
        deleted = collection.delete_many(wanted, hint=[("_id", 1)]).deleted_count
        return Batch(found=len(found), deleted=deleted, last=at_path(found[-1], self.doomed.age))

    def _move(self, low: Any) -> Batch:
        """Move one batch; when some are in the archive already, look whether they are the same."""
        try:
            return self._transaction(low, compare=False)
        except PyMongoError as error:
            index = faults.index_of(error)
            if index is None:
                raise
            if index != "_id_":
                text = (
                    f"the archive {self.into} refuses a document twice by its unique index {index}: nothing was moved"
                )
                raise ConservationError(f"{text}; drop that index") from None
        return self._transaction(low, compare=True)

    def _transaction(self, low: Any, *, compare: bool) -> Batch:
        with self.session.client.start_session() as own:
            # one snapshot for reading, inserting and deleting, so that the three counts are of the same documents; a
            # majority, for a step-down must not bring back one half of a batch
            own.start_transaction(ReadConcern("snapshot"), MAJORITY, ReadPreference.PRIMARY)
            try:
                batch = self._within(own, low, compare=compare)
                if batch.found:
                    self._commit(own)
                else:
                    own.abort_transaction()
            except BaseException:
                if own.in_transaction:
                    own.abort_transaction()
                raise
        return batch

    def _within(self, own: ClientSession, low: Any, *, compare: bool) -> Batch:
        found, whole = self._take(self.session.raw(self.doomed.collection).find(session=own, **self._ordered(low)))
        if not found:
            return Batch()
        if not whole:
            exact = {"_id": {"$in": _ids(found)}, **self.doomed.due}
            return self._put(own, found, exact, [("_id", 1)], compare=compare)
        exact = self.doomed.between(low)
        exact[self.doomed.age] |= {"$lte": at_path(found[-1], self.doomed.age)}
        return self._put(own, found, exact, self.doomed.index, compare=compare)

    def _put(
        self, own: ClientSession, found: Sequence[RawBSONDocument], exact: Doc, hint: Any, *, compare: bool
    ) -> Batch:
        """Insert documents into the archive, and delete exactly these."""
        source, archive = self.session.raw(self.doomed.collection), self.session.raw(self.into or "")
        # first without this look: that a document is in the archive already is rare, and the unique _id says so
        there = _equal(found, archive.find({"_id": {"$in": _ids(found)}}, session=own), self.into) if compare else set()
        fresh = [document for document in found if bytes(_key(document)) not in there]
        inserted = 0
        if fresh:
            inserted = archive.bulk_write([InsertOne(document) for document in fresh], session=own).inserted_count
        deleted = source.delete_many(exact, session=own, hint=hint).deleted_count
        # within the transaction: whatever made them differ is undone with it
        if not len(found) == inserted + len(there) == deleted:
            text = (
                f"found {len(found):,}, archived {inserted + len(there):,}, deleted {deleted:,}: the batch was undone"
            )
            raise ConservationError(text)
        return Batch(len(found), deleted, inserted, len(there), at_path(found[-1], self.doomed.age))

    def _take(self, cursor: Any) -> tuple[list[RawBSONDocument], bool]:
        """Return documents until there are too many bytes, and whether a range of ages holds just these.

        Of the last age there may be more than were read: those are left to the next batch, or, where all have the
        same age, no range tells them apart.
        """
        found: list[RawBSONDocument] = []
        size = 0
        for document in cursor:
            found.append(document)
            size += len(document.raw)
            if size >= self.room:
                break
        if self.doomed.index is None or not found:
            return found, False
        if len(found) < self.pace.size and size < self.room:
            return found, True  # there were no more
        last, keep = at_path(found[-1], self.doomed.age), len(found)
        while keep and at_path(found[keep - 1], self.doomed.age) == last:
            keep -= 1
        return (found[:keep], True) if keep else (found, False)

    def _commit(self, own: ClientSession) -> None:
        """Commit; ask again while it is not known whether the server did.

        A commit that the next primary knows nothing of was never made: the server says so, and the whole batch is
        repeated.
        """
        # asking once more is safe: the server answers for the transaction that it has committed (driver
        # specification: transactions)
        deadline = time.monotonic() + elections.ELECTION_SECONDS
        while True:
            try:
                own.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult") or time.monotonic() >= deadline:
                    raise
                # not `work.sleep`, which raises when the run must stop: nobody would know what became of this batch
                time.sleep(elections.AGAIN_SECONDS)
            else:
                return


def _equal(found: Sequence[RawBSONDocument], there: Any, into: str | None) -> set[bytes]:
    """Return the keys of the documents that the archive has byte for byte; raise when one is another."""
    # compared as bytes: equal in Python is not equal in BSON (1 and 1.0, the order of fields)
    ours = {bytes(_key(document)): document.raw for document in found}
    equal = set()
    for other in there:
        if ours.get(bytes(_key(other))) != other.raw:
            text = f"a document is in {into} already, with other content: nothing of this batch was moved"
            raise ConservationError(f"{text}; compare the two")
        equal.add(bytes(_key(other)))
    return equal


def _key(document: Mapping[str, Any]) -> bytes:
    """Return the ``_id`` as bytes, its type included."""
    return encode({"_id": document["_id"]})


def _ids(found: Sequence[RawBSONDocument]) -> list[Any]:
    return [document["_id"] for document in found]
