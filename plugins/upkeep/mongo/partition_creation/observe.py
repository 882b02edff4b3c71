"""What partition creation reads: the declared collections, the validators' files, and what those would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pymongo.errors import OperationFailure

from upkeep.fleet import Target
from upkeep.jobs.contract import Ask
from upkeep.model import Observation
from upkeep.mongo import catalog
from upkeep.mongo.catalog import CREATES
from upkeep.mongo.partition_creation.care import Care, cares
from upkeep.mongo.session import Doc, MongoSession

UNFIT_MS: Final = 5_000
"""How long documents that a new validator would refuse are looked for."""
UNFIT_LIMIT: Final = 1_000


def observe(ask: Ask[MongoSession]) -> Observation:
    """Read what the plan and the gates need; change nothing."""
    session, target = ask.session, ask.target
    frames: dict[str, list[dict[str, Any]]] = {
        "server": [catalog.server(session)],
        "collections": catalog.collections(session, catalog.shaped(target)),
        "validators": list(_files(target)),
        "facts": [],
    }
    granted = catalog.privileges(session)
    frames["facts"] = [_facts(session, care, granted) for care in cares(frames, target)]
    return ask.answer(frames)


def _files(target: Target) -> Iterator[Doc]:
    """Yield the validator files that the policies name."""
    paths = {p.validator for p in target.collections.values() if p.validator is not None}
    for path in sorted(paths):
        try:
            yield {"path": path, "text": Path(path).read_text(encoding="utf-8"), "error": None}
        except (OSError, UnicodeDecodeError) as error:
            yield {"path": path, "text": None, "error": f"cannot be read: {type(error).__name__}"}


def _facts(session: MongoSession, care: Care, granted: list[Doc] | None) -> Doc:
    database = session.database.name
    lacks = [action for action in CREATES if not catalog.allowed(granted, database, care.subject, action)]
    return {"name": care.subject, "lacks": lacks, "unfit": _unfit(session, care)}


def _unfit(session: MongoSession, care: Care) -> int | None:
    """Return how many documents the declared validator would refuse, up to a limit; ``None``: not asked, not known."""
    if care.validator is None or not any(d.check == "validator" for d in care.differences):
        return None
    refused = {"$nor": [care.validator["validator"]]}
    try:
        return session.database[care.subject].count_documents(refused, limit=UNFIT_LIMIT, maxTimeMS=UNFIT_MS)
    except OperationFailure:
        return None
