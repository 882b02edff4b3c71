"""A fleet and its targets: each database in care, what is declared for it, and when it may be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from upkeep.errors import ConfigurationError
from upkeep.fleet import location
from upkeep.fleet.collections import CollectionPolicy
from upkeep.fleet.streams import StreamPolicy
from upkeep.fleet.tables import PartitionPolicy, TablePolicy
from upkeep.fleet.values import Clock, Rows, Share, Strict, Zone

DEFAULT_SHARE = 0.8
"""A run that would delete more than this share of a table waits for a person: a wrong cut-off looks like that."""


class Window(Strict):
    """When changes may be made, on the real clock; may cross midnight."""

    start: Clock
    end: Clock
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _possible(self) -> Window:
        if self.start == self.end:
            message = "window: start and end are the same; leave the window out for 'always'"
            raise ValueError(message)
        return self

    def contains(self, moment: datetime) -> bool:
        """Return whether the real instant ``moment`` lies in the window (its end excluded)."""
        now = moment.astimezone(ZoneInfo(self.timezone)).time().replace(tzinfo=None)
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end

    def __str__(self) -> str:
        """Return e.g. ``01:00–05:00 UTC``."""
        return f"{self.start:%H:%M}–{self.end:%H:%M} {self.timezone}"


class Limits(Strict):
    """What one run may delete from a table without a person's approval."""

    rows: Rows | None = None
    share: Share = DEFAULT_SHARE


class Target(Strict):
    """One database in care."""

    name: str = ""
    engine: Literal["postgres", "tidb", "mongo", "redis"]
    connection: str
    mode: Literal["enforce", "observe"] = "enforce"
    window: Window | None = None
    limits: Limits = Limits()
    allow_untested: bool = False
    tables: dict[str, TablePolicy] = Field(default_factory=dict)
    collections: dict[str, CollectionPolicy] = Field(default_factory=dict)
    streams: dict[str, StreamPolicy] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _possible(self) -> Target:
        if self.collections and self.engine != "mongo":
            message = f"collections: belongs to engine mongo, not {self.engine}; write tables:"
            raise ValueError(message)
        if self.streams and self.engine != "redis":
            message = f"streams: belongs to engine redis, not {self.engine}"
            raise ValueError(message)
        if self.tables and self.engine not in ("postgres", "tidb"):
            instead = {"mongo": "collections:", "redis": "streams:"}[self.engine]
            message = f"tables: belongs to engine postgres or tidb, not {self.engine}; write {instead}"
            raise ValueError(message)
        for name, policy in self.tables.items() if self.engine == "tidb" else ():
            for wrong, instead in _not_on_tidb(policy):
                message = f"tables: {name}: {wrong} on engine postgres only; {instead}"
                raise ValueError(message)
        return self

    def subjects(self) -> Mapping[str, TablePolicy]:
        """Return the names (or globs) of the tables in care and their policies."""
        return self.tables

    def declared(self, job: str) -> Iterator[str]:
        """Yield the names (or globs) of tables, collections or streams whose policy says something for a job."""
        yield from (name for name, policy in self.tables.items() if policy.declares(job))
        yield from (name for name, policy in self.collections.items() if policy.declares(job))
        yield from (name for name, policy in self.streams.items() if policy.declares(job))


def _not_on_tidb(policy: TablePolicy) -> Iterator[tuple[str, str]]:
    """Yield what a policy wants that is done on PostgreSQL only, and what to write instead."""
    if policy.quality:
        yield "quality: rows are looked at", "leave it out"
    into = policy.retain.into if policy.retain is not None else None
    if into is not None and location.is_location(into):
        yield "retain: into: archives as files are made", "name a table"
    part = policy.partition
    if part is not None and (not isinstance(part, PartitionPolicy) or part.subpartition is not None):
        what = "sub-partitions" if part.subpartition is not None else f"{part.form} partitions"
        yield f"{what} are taken care of", "leave them out"


class Defaults(Strict):
    """Values for every target that does not say otherwise."""

    mode: Literal["enforce", "observe"] | None = None
    window: Window | None = None
    limits: Limits | None = None
    allow_untested: bool | None = None


class Fleet(Strict):
    """All databases in care."""

    version: Literal[1]
    defaults: Defaults = Defaults()
    targets: dict[str, Target]

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("targets"), dict):
            return data
        defaults = data.get("defaults") or {}
        targets = {}
        for name, target in data["targets"].items():
            inherited = (
                {k: v for k, v in defaults.items() if k in Defaults.model_fields} if isinstance(defaults, dict) else {}
            )
            targets[name] = {**inherited, **target, "name": str(name)} if isinstance(target, dict) else target
        return {**data, "targets": targets}

    def target(self, name: str) -> Target:
        """Return a target by name; raises `ConfigurationError` that lists the names there are."""
        try:
            return self.targets[name]
        except KeyError:
            message = f"no target {name!r} in the fleet file; there are: {', '.join(self.targets) or 'none'}"
            raise ConfigurationError(message) from None
