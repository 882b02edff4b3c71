"""What a database is made of: collections, time series and views, with options and indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bson import json_util
from bson.json_util import JSONMode, JSONOptions
from pymongo.client_session import ClientSession
from pymongo.database import Database

from upkeep.mongo.session import Doc

BUCKETS: Final = "system.buckets."
VIEW: Final = "view"
SERIES: Final = "timeseries"
_CODE: Final = "system.js"
"""Functions that the server keeps: of its own collections the only one with what is a user's."""
IMAGES: Final = "changeStreamPreAndPostImages"
"""A server that stands alone, as one for a proof does, refuses this option: it is restored, and not compared."""
_PLAIN: Final = JSONOptions(json_mode=JSONMode.RELAXED, tz_aware=True)


@dataclass(frozen=True, slots=True)
class Definition:
    """A collection, a time series or a view.

    Attributes
    ----------
    kind
        ``collection``, ``timeseries`` or ``view``, as the server says it.
    indexes
        Those that are finished, as the server tells them.
    building
        Names of those that are being built.
    uuid
        Of where its documents are; ``None`` for a view.
    """

    name: str
    kind: str
    options: Doc
    indexes: tuple[Doc, ...] = ()
    building: tuple[str, ...] = ()
    uuid: Any = None

    @property
    def stored_in(self) -> str | None:
        """The collection that has its documents: a time series is a view of its buckets."""
        return None if self.kind == VIEW else BUCKETS + self.name if self.kind == SERIES else self.name

    @property
    def is_capped(self) -> bool:
        """Whether the server keeps only the newest documents of it."""
        return bool(self.options.get("capped"))

    @property
    def structures(self) -> tuple[str, ...]:
        """Its options and indexes, a line each, sorted."""
        lines = [f"{key}: {_text(value)}" for key, value in self.options.items() if key != IMAGES]
        lines += [f"index {index['name']}: {_text(dict(sorted(index.items())))}" for index in self.indexes]
        return tuple(sorted(lines))


def _text(value: Any) -> str:
    return json_util.dumps(value, json_options=_PLAIN)


def read(database: Database[Doc], session: ClientSession | None = None) -> list[Definition]:
    """Return what a database is made of now, without what the server makes by itself, sorted by name."""
    found = {row["name"]: row for row in database.list_collections(session=session)}
    return [
        _definition(database, row, found.get(BUCKETS + name), session)
        for name, row in sorted(found.items())
        if name == _CODE or not name.startswith("system.")
    ]


def _definition(
    database: Database[Doc], row: Mapping[str, Any], buckets: Mapping[str, Any] | None, session: ClientSession | None
) -> Definition:
    name, kind, options = row["name"], row["type"], dict(row.get("options", {}))
    if kind == VIEW:
        return Definition(name, kind, options)
    answer = database.command({"listIndexes": name, "includeIndexBuildInfo": True}, session=session)
    entries = answer["cursor"]["firstBatch"]
    # an entry is the index itself, or has it beside what is known of its being built
    built = [entry.get("spec", entry) for entry in entries if "indexBuildInfo" not in entry]
    unfinished = tuple(entry["spec"]["name"] for entry in entries if "indexBuildInfo" in entry)
    indexes = tuple({key: value for key, value in index.items() if key != "ns"} for index in built)
    return Definition(name, kind, options, indexes, unfinished, (buckets or row)["info"].get("uuid"))
