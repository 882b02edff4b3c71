"""Each collection with a retention beside what is there: its cut-off, its index, its expiry. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from upkeep.fleet import CollectionPolicy, RetainPolicy, Target
from upkeep.jobs.data_retention.cutoff import LONG_AGO, moment
from upkeep.model import Json, Observation
from upkeep.model.intervals import shift
from upkeep.mongo import catalog, expiry

SMALL_ROWS: Final = 10_000
"""A collection so small is read in a few milliseconds: it needs no index on its age field."""
NIGHT: Final = timedelta(hours=26)
"""From one nightly run to the next, with room: what the server would expire before it must be archived by now."""
SORTS_FIELDS: Final = (5, 2)
"""Since then a pipeline sorts an array (``$sortArray``): measurements come back with their fields in any order."""


@dataclass(frozen=True)
class View:
    """One collection in care.

    Attributes
    ----------
    row, archive
        From `catalog.collections`; ``None`` when they are not there.
    facts
        What was counted: see `observe`.
    cut_off
        Documents before it are due.
    now
        The server's clock.
    """

    subject: str
    declared: CollectionPolicy
    policy: RetainPolicy
    row: Json | None
    archive: Json | None
    server: Json
    cut_off: datetime
    now: datetime
    facts: Json = field(default_factory=dict)

    @property
    def age(self) -> str:
        """The field that tells a document's age; of a time-series collection its time field."""
        return self.declared.age_field or ""

    @property
    def is_series(self) -> bool:
        """Whether it is a time-series collection, declared or not."""
        return self.row is not None and self.row["kind"] == "timeseries"

    @property
    def comparable(self) -> bool:
        """Whether the server can compare measurements with their copies."""
        return tuple(map(int, self.server["version"].split(".")[:2])) >= SORTS_FIELDS

    @property
    def archives(self) -> bool:
        """Whether documents are kept elsewhere before they go."""
        return self.policy.then == "archive"

    @property
    def archive_id(self) -> str | None:
        """Which collection the archive is; ``None``: there is none yet, and whichever is made will do."""
        return None if self.archive is None or not self.archives else str(self.archive["uuid"])

    @property
    def due(self) -> int | None:
        """Documents that are due; ``None``: not known."""
        count: int | None = self.facts.get("due")
        return count

    @property
    def rows(self) -> int:
        """About how many documents there are."""
        return int(self.facts.get("rows") or 0)

    @property
    def age_index(self) -> str | None:
        """The index through which due documents are found in order of their age."""
        for index in (self.row or {}).get("indexes", []):
            if leads(index, self.age):
                return str(index["name"])
        return None

    @property
    def expiring_indexes(self) -> list[Json]:
        """TTL indexes: the server deletes by them, hidden or not; and the expiry of a clustered collection."""
        return expiring(self.row)

    @property
    def expires(self) -> int | None:
        """The ``expireAfterSeconds`` of a time-series collection."""
        value = (self.row or {}).get("expires")
        return value if expiry.is_sane(value) else None

    @property
    def wanted(self) -> int:
        """The ``expireAfterSeconds`` that the policy wants."""
        return expiry.wanted(self.policy)

    @property
    def expired_before(self) -> datetime:
        """Measurements before it would be expired by the wanted ``expireAfterSeconds``."""
        return before(self.now, self.wanted)


def leads(index: Json, age: str) -> bool:
    """Return whether all documents are found through an index in the order of their age."""
    usable = not index["hidden"] and index["partial"] is None
    return bool(usable and index["keys"][0][0] == age and index["keys"][0][1] in (1, -1))


def expiring(row: Json | None) -> list[Json]:
    """Return what the server deletes an ordinary collection's documents by.

    ``what`` it is, how to switch it ``off``, how to ``change`` it (with SECONDS in place of the number).
    """
    if row is None or row["kind"] != "collection":
        return []
    name = json.dumps(row["name"])
    found = []
    for index in row["indexes"]:
        if index["expires"] is None:
            continue
        quoted = json.dumps(index["name"])
        off = f"db.getCollection({name}).dropIndex({quoted}) and create it without expireAfterSeconds"
        change = f"db.runCommand({{collMod: {name}, index: {{name: {quoted}, expireAfterSeconds: SECONDS}}}})"
        found.append({**index, "what": f"the TTL index {index['name']}", "off": off, "change": change})
    if row["expires"] is not None:
        change = f"db.runCommand({{collMod: {name}, expireAfterSeconds: SECONDS}})"
        what = "the expiry of the clustered collection (dates in _id)"
        own = {"keys": [["_id", 1]], "expires": row["expires"], "what": what, "change": change}
        found.append({**own, "off": change.replace("SECONDS", '"off"')})
    return found


def before(now: datetime, seconds: float) -> datetime:
    """Return the instant so many seconds before, or the beginning of time."""
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return LONG_AGO


def cut_off(policy: RetainPolicy, at: datetime, now: datetime) -> datetime:
    """Return from when on documents stay: by ``at``, never later than today's, in whole milliseconds."""
    try:
        instant = min(shift(at, policy.for_, policy.zone, -1), shift(now, policy.for_, policy.zone, -1))
    except (OverflowError, ValueError):
        return LONG_AGO
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def views(observation: Observation, target: Target) -> list[View]:
    """Return all collections with a retention."""
    return views_of(observation.frames, target, observation.at)


def views_of(frames: Mapping[str, Sequence[Json]], target: Target, at: datetime) -> list[View]:
    """Return the views of frames that are still being read."""
    rows = {row["name"]: row for row in frames["collections"]}
    facts = {row["name"]: row for row in frames["facts"]}
    server = frames["server"][0]
    now = moment(server["now"]).astimezone(UTC)
    found: list[View] = []
    archives = {p.retain.into for p in target.collections.values() if p.retain is not None and p.retain.into}
    matched = catalog.by_policy(rows, target.declared(["retain"]), archives)
    for pattern, names in matched.items():
        declared = target.collections[pattern]
        policy = declared.retain
        if policy is None:
            continue
        found += [
            View(
                subject=name,
                declared=declared,
                policy=policy,
                row=rows.get(name),
                archive=rows.get(policy.into or ""),
                server=server,
                cut_off=cut_off(policy, at, now),
                now=now,
                facts=facts.get(name, {}),
            )
            for name in names or [pattern]
        ]
    return found
