"""What an owner may want for a MongoDB collection: how it is made, checked and indexed, how long documents stay.

Combinations that the server refuses, or that would delete what was to be kept, fail here, at load.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from upkeep.fleet import files
from upkeep.fleet.tables import BOTH, BackupRule, RetainPolicy
from upkeep.fleet.ttl import TtlPolicy, seconds_of
from upkeep.fleet.values import ObjectPolicy, Strict
from upkeep.model.intervals import Duration

LEAST_GRACE = Duration(days=1)
"""Time-series with an archive: so far ahead of the server's own expiry a nightly archive must be, at least."""
_LARGEST = 2_147_483_647
"""The most seconds that an ``expireAfterSeconds`` may say."""
_KINDS = ("hashed", "text", "2d", "2dsphere")
_ARCHIVE_SIGNS = ("/", "\\", "\0", "$")


class TimeseriesPolicy(Strict):
    """How a time-series collection is made.

    Attributes
    ----------
    time
        The field that holds each measurement's time.
    meta
        The field that says what was measured; rarely changes.
    granularity
        About how far apart measurements of one ``meta`` are. May only rise once the collection exists.
    """

    time: str = Field(min_length=1)
    meta: str | None = Field(default=None, min_length=1)
    granularity: Literal["seconds", "minutes", "hours"] = "seconds"

    @model_validator(mode="after")
    def _possible(self) -> TimeseriesPolicy:
        for field in filter(None, (self.time, self.meta)):
            if field == "_id" or field.startswith("$") or "." in field:
                message = f"timeseries: '{field}' cannot be a time or meta field; name a top-level field, not _id"
                raise ValueError(message)
        if self.time == self.meta:
            message = f"timeseries: time and meta are both '{self.time}'; they must be two fields"
            raise ValueError(message)
        return self


class IndexPolicy(Strict):
    """An index that should exist.

    Attributes
    ----------
    keys
        Field → 1, -1, ``hashed``, ``text``, ``2d`` or ``2dsphere``, in order.
    partial
        The filter of a partial index.
    collation
        As in ``createIndexes``, e.g. ``{locale: en, strength: 2}`` for look-ups that ignore case.
    """

    keys: dict[str, int | str] = Field(min_length=1)
    name: str = Field(min_length=1)
    unique: bool = False
    sparse: bool = False
    partial: dict[str, Any] | None = None
    collation: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _possible(self) -> IndexPolicy:
        for field, kind in self.keys.items():
            if kind not in (1, -1, *_KINDS) or isinstance(kind, bool):
                message = f"indexes: {field}: {kind!r} is not a kind of key; write 1, -1 or {', '.join(_KINDS)}"
                raise ValueError(message)
        if self.name == "_id_" or list(self.keys) == ["_id"]:
            message = "indexes: every collection has its index on _id; leave it out"
            raise ValueError(message)
        if self.sparse and self.partial is not None:
            message = f"indexes: {self.name} is sparse and partial; the server takes one of them (partial says more)"
            raise ValueError(message)
        if self.unique and "hashed" in self.keys.values():
            message = f"indexes: {self.name} is unique and hashed; the server refuses that"
            raise ValueError(message)
        return self


class CollectionPolicy(ObjectPolicy):
    """What the owner wants for one collection.

    Attributes
    ----------
    timeseries
        Makes it a time-series collection.
    validator
        A JSON file with ``validator`` (and ``validationLevel``, ``validationAction``), or the validator itself;
        relative to the fleet file or to the checkout.
    indexes
        Indexes that should exist.
    corrections
        ``report`` differences with the exact command, or ``apply`` those that the server can change in place.
        What is missing is created either way.
    retain
        How long documents stay.
    ttl
        The server's own time to live (a TTL index).
    """

    timeseries: TimeseriesPolicy | None = None
    validator: str | None = None
    indexes: tuple[IndexPolicy, ...] = ()
    corrections: Literal["report", "apply"] = "report"
    retain: RetainPolicy | None = None
    ttl: TtlPolicy | None = None

    @field_validator("validator")
    @classmethod
    def _found(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        try:
            return str(files.find(value, (info.context or {}).get("folder")))
        except ValueError as error:
            raise ValueError(f"validator: {error}") from None

    @model_validator(mode="after")
    def _possible(self) -> CollectionPolicy:
        for problem in (*self._shape(), *self._retention(), *self._time_to_live()):
            raise ValueError(problem)
        return self

    @property
    def age_field(self) -> str | None:
        """The field that tells a document's age."""
        if self.retain is None:
            return None
        return self.retain.by or (self.timeseries.time if self.timeseries else None)

    def _shape(self) -> Iterator[str]:
        names = [index.name for index in self.indexes]
        for name in {name for name in names if names.count(name) > 1}:
            yield f"indexes: two are called '{name}'; give one another name"
        keys = [(tuple(i.keys.items()), str(i.partial), str(i.collation)) for i in self.indexes]
        if len(set(keys)) < len(keys):
            yield "indexes: two have the same keys; the server keeps one of them"
        if self.timeseries and self.validator:
            yield "validator: time-series collections take none; leave out validator or timeseries"
        if self.timeseries and any(i.unique or "text" in i.keys.values() for i in self.indexes):
            yield "indexes: time-series collections take no unique or text index; leave unique out"

    def _retention(self) -> Iterator[str]:
        retain = self.retain
        if retain is None:
            return
        if retain.by is None and self.timeseries is None:
            yield "retain: needs by: the field with the date that tells a document's age"
        if retain.by is not None and (retain.by.startswith("$") or "" in retain.by.split(".")):
            yield f"retain: by: '{retain.by}' is no field; write a name or a path like meta.at"
        if retain.unit is not None:
            yield "retain: unit: ages of documents are dates; leave unit out and store dates"
        if retain.cascades == "declared":
            yield "retain: cascades: MongoDB knows none; leave it out"
        if retain.into is not None and (any(s in retain.into for s in _ARCHIVE_SIGNS) or retain.into[:7] == "system."):
            yield f"retain: into: '{retain.into}' is not the name of a collection of the same database"
        if self.timeseries is None:
            if "grace" in retain.model_fields_set:
                yield "retain: grace: documents are deleted at once; leave it out"
            return
        yield from self._expiry(retain, self.timeseries.time)

    def _time_to_live(self) -> Iterator[str]:
        ttl = self.ttl
        if ttl is None:
            return
        if self.retain is not None:
            yield BOTH
        if self.timeseries is not None:
            yield "ttl: a time-series collection has no TTL index: the server expires it as retain: says; write retain:"
        if ttl.by == "_id" or ttl.by.startswith("$") or "" in ttl.by.split("."):
            yield f"ttl: by: '{ttl.by}' can have no TTL index; name the field with the date, or a path like meta.at"
        if ttl.after.months or seconds_of(ttl.after) > _LARGEST:
            yield f"ttl: after: '{ttl.after}' is no number of seconds that the server takes; write days or hours"
        for index in self.indexes:
            if list(index.keys) == [ttl.by]:
                yield f"indexes: {index.name} has the key of the TTL index; the server keeps one of them; leave it out"

    @staticmethod
    def _expiry(retain: RetainPolicy, time: str) -> Iterator[str]:
        if retain.by not in (None, time):
            yield f"retain: by: a time-series collection expires by its time field '{time}'; leave by out"
        if isinstance(retain.requires, BackupRule):
            yield (
                "retain: requires: {backup}: the server expires measurements by itself, every minute, and waits for "
                "no backup; write then: archive, or requires: approval (asked once, for the rule) or nothing"
            )
        if retain.then == "archive" and retain.grace.approximate < LEAST_GRACE.approximate:
            yield (
                f"retain: grace: '{retain.grace}' is too short: the server expires measurements grace after they are "
                f"archived, and the archive runs once a night; write at least {LEAST_GRACE}"
            )
