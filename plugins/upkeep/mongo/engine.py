"""Reaching and checking a MongoDB deployment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from pymongo.errors import PyMongoError

from upkeep import tls
from upkeep.engines import Address, Session, connected
from upkeep.errors import UnreachableError
from upkeep.fleet import Target
from upkeep.model import Finding
from upkeep.mongo import faults
from upkeep.mongo.check import check
from upkeep.mongo.protection import DEFAULT_PORT, WORDS, explained
from upkeep.mongo.reader import MongoReader
from upkeep.mongo.session import TESTED_VERSIONS, MongoSession


class MongoEngine:
    """Opens and checks MongoDB targets."""

    name = "mongo"

    @contextmanager
    def open(self, address: Address, *, application: str) -> Iterator[MongoSession]:
        """Connect. Raises `UnreachableError` without showing the password."""
        try:
            session = MongoSession(address, application)
        except (PyMongoError, ValueError, TypeError) as error:
            reason = str(error).partition(", Timeout:")[0].partition(", full error")[0]
            if address.password:
                reason = reason.replace(address.password, "…")
            place = address.place(DEFAULT_PORT)
            if trouble := tls.trouble(explained(address, reason), place, address.connection_id, WORDS):
                raise UnreachableError(trouble) from None
            message = (
                f"{address.connection_id}: no MongoDB at {place} for user "
                f"'{address.user or 'none'}': {reason}; check host, port, password, replicaSet and TLS"
            )
            if isinstance(error, PyMongoError) and faults.code(error) in faults.UNAUTHORIZED and address.database:
                message += f"; a user that was made in its own database needs ?authSource={address.database}"
            raise (faults.NoPrimaryError if faults.has_no_primary(error) else UnreachableError)(message) from error
        try:
            yield session
        finally:
            session.close()

    def reader(self, session: Session) -> MongoReader:
        """Return what reads rows for a job of another target."""
        return MongoReader(cast("MongoSession", session))

    def check(self, session: MongoSession, target: Target) -> list[Finding]:
        """Return reachability, version, topology, and privileges on what is in care."""
        reached = connected(target, session.version, tested=session.tested, tested_versions=", ".join(TESTED_VERSIONS))
        return [reached, *check(session, target)]


ENGINE = MongoEngine()
