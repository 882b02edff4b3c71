"""What a driver's error means, in words without values: those of documents never reach logs or the ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from upkeep.errors import UnreachableError
from upkeep.jobs.data_retention.refusal import Refusal
from upkeep.jobs.errors import (
    ActionError,
    ConnectionLostError,
    LockNotObtainedError,
    OverloadedError,
    StateChangedError,
)

DUPLICATE_KEY: Final = 11000
NOT_VALID: Final = 121
TIMED_OUT: Final = (50, 24)
"""maxTimeMS is over (also while waiting for a lock), LockTimeout."""
UNAUTHORIZED: Final = (13, 18)
EXISTS: Final = (48, 85, 86)
"""NamespaceExists, IndexOptionsConflict, IndexKeySpecsConflict."""
NO_NAMESPACE: Final = 26
HELD: Final = (24, 46, 112)
"""LockTimeout, LockBusy, WriteConflict."""
OVERLOADED: Final = frozenset({64, 100, 365, 462})
"""No majority confirms, TemporarilyUnavailable, too many requests."""
_GOING: Final = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""The primary steps down or shuts down: another try finds the next one."""
_QUOTES_VALUES: Final = frozenset({2, 9, 14, 16, 28, 34, 40, 52, 66, 121, 241, 10334, 11000, 17280, 17419})
"""Errors whose message may quote what is in a document."""
_COMMAND: Final = " to execute command"
"""What follows it is the whole command, with the values that it asks for."""
_INDEX: Final = re.compile(r"index: (\S+)")
_LONGEST: Final = 300
_NO_PRIMARY: Final = ("No replica set members match", "No primary available")
_CONNECTION_LOST: Final = "the connection to the primary was lost"
REFUSES: Final = "server_refuses"
NO_MAJORITY: Final = Refusal(
    REFUSES,
    "no majority of the members confirms writes: data-bearing members are down or far behind",
    "bring the members back (rs.status()), or take those that are gone for good out of the set",
)
BLOCKED: Final = Refusal(
    REFUSES,
    "writes of users are blocked (setUserWriteBlockMode)",
    "db.adminCommand({setUserWriteBlockMode: 1, global: false})",
)
DISK: Final = Refusal(REFUSES, "the server's disk is full", "make room on the server's disk (dbPath)")
REFUSALS: Final = {64: NO_MAJORITY, 100: NO_MAJORITY, 371: BLOCKED, 14031: DISK}
"""When the server as a whole takes no writes: WriteConcernFailed, UnsatisfiableWriteConcern, UserWritesBlocked,
OutOfDiskSpace."""


class NoPrimaryError(UnreachableError):
    """Members of the set answer, and none of them is the primary."""


def details(error: PyMongoError) -> Mapping[str, Any]:
    """Return the server's own words on an error: ``code``, ``codeName``, ``errmsg``; empty when it said none."""
    if isinstance(error, BulkWriteError):
        found = error.details.get("writeErrors") or error.details.get("writeConcernErrors") or [{}]
        return dict(found[0])
    return dict(getattr(error, "details", None) or {})


def code(error: PyMongoError) -> int | None:
    """Return the server's error code."""
    number = details(error).get("code", getattr(error, "code", None))
    return int(number) if isinstance(number, int) else None


def is_lost(error: PyMongoError) -> bool:
    """Return whether there is no primary to talk to right now: step-down, shut-down, network, a closed client."""
    if isinstance(error, OperationFailure) and not isinstance(error, BulkWriteError):
        return code(error) in _GOING
    return isinstance(error, (AutoReconnect, ConnectionFailure, InvalidOperation)) or code(error) in _GOING


def has_no_primary(error: Exception) -> bool:
    """Return whether the driver found members, and no primary among them, for as long as it looked."""
    return isinstance(error, ServerSelectionTimeoutError) and str(error).startswith(_NO_PRIMARY)


def is_transient(error: PyMongoError) -> bool:
    """Return whether the same transaction or write may well succeed when it is tried again."""
    labels = ("TransientTransactionError", "RetryableWriteError", "UnknownTransactionCommitResult")
    return is_lost(error) or any(error.has_error_label(label) for label in labels)


def index_of(error: PyMongoError) -> str | None:
    """Return the name of the index that refused a duplicate."""
    if code(error) != DUPLICATE_KEY:
        return None
    match = _INDEX.search(str(details(error).get("errmsg", "")))
    return match.group(1) if match else None


def describe(error: PyMongoError) -> str:
    """Return what went wrong, without values of documents and without addresses of a login."""
    if is_lost(error):
        return _CONNECTION_LOST
    said = details(error)
    number = code(error)
    if number == DUPLICATE_KEY:
        return f"a value is there twice for the unique index {index_of(error) or '?'}"
    if number == NOT_VALID:
        return "a document does not pass the collection's validator"
    name = str(said.get("codeName") or type(error).__name__)
    if number is None or number in _QUOTES_VALUES or name.startswith("Location"):  # an assertion without a name
        return name
    text = str(said.get("errmsg") or error).partition(", full error")[0].partition(_COMMAND)[0]
    return f"{text[:_LONGEST]} ({name})"


def refusal(error: PyMongoError) -> Refusal | None:
    """Return why the server as a whole refuses; ``None``: it is about the collection, our user, or something else."""
    return REFUSALS.get(code(error) or 0)


def classify(error: Exception) -> ActionError | None:
    """Return what an error of the driver or the server means to an action; ``None``: it is neither's."""
    if not isinstance(error, PyMongoError):
        return None
    number, refused = code(error), refusal(error)
    said = describe(error) if refused is None else f"{refused.text}; {refused.remedy}"
    again = "the next run looks at the state and carries on"
    if is_lost(error):
        return ConnectionLostError(f"{said}; {again}")
    if number in OVERLOADED:
        return OverloadedError(f"{said}; {again}")
    if number == NO_NAMESPACE:
        return StateChangedError(said)
    if number in HELD:
        return LockNotObtainedError(said)
    return ActionError(said if refused is None else f"{said}; {again}")
