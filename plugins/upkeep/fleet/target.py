"""A fleet and its targets: each database in care, what is declared for it, and when it may be changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from upkeep.errors import ConfigurationError
from upkeep.fleet import keys, location
from upkeep.fleet.collections import CollectionPolicy
from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.outside import PeopleAddress, WebAddress
from upkeep.fleet.streams import StreamPolicy
from upkeep.fleet.tables import PartitionPolicy, TablePolicy
from upkeep.fleet.ttl import KeyPolicy
from upkeep.fleet.values import Clock, ObjectPolicy, OneOf, Rows, Share, Strict, Zone
from upkeep.model import ENGINES, Json

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
    engine: Annotated[str, OneOf(tuple(ENGINES))]
    connection: str
    mode: Literal["enforce", "observe"] = "enforce"
    window: Window | None = None
    limits: Limits = Limits()
    allow_untested: bool = False
    tables: dict[str, TablePolicy] = Field(default_factory=dict)
    collections: dict[str, CollectionPolicy] = Field(default_factory=dict)
    streams: dict[str, StreamPolicy] = Field(default_factory=dict)
    keys: dict[str, KeyPolicy] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _nothing_yet(cls, data: Any) -> Any:
        """Take a section with comments only for an empty one: what YAML has of it is no value."""
        known = {section for spec in ENGINES.values() for section in spec.sections}
        if not isinstance(data, dict):
            return data
        return {key: {} if value is None and key in known else value for key, value in data.items()}

    @model_validator(mode="after")
    def _possible(self) -> Target:
        known = ENGINES[self.engine]
        for section in self.sections:
            if section not in known.sections:
                owners = [name for name, spec in ENGINES.items() if section in spec.sections]
                instead = " or ".join(f"{name}:" for name in known.sections)
                message = f"{section}: belongs to engine {' or '.join(owners)}, not {self.engine}; write {instead}"
                raise ValueError(message)
        for name, policy in self.tables.items():
            for what, wrong, instead in _wishes(policy):
                if what not in known.also:
                    able = " or ".join(name for name, spec in ENGINES.items() if what in spec.also)
                    message = f"tables: {name}: {wrong} on engine {able} only; {instead}"
                    raise ValueError(message)
        for policy_of_all in self.policies.values():
            policy_of_all.agrees(self)
        for key, kind in keys.found().items():
            if self.refuses(key):
                kind.denied(self)
        return self

    def subjects(self) -> Mapping[str, TablePolicy]:
        """Return the names (or globs) of the tables in care and their policies."""
        return self.tables

    @property
    def sections(self) -> dict[str, Mapping[str, ObjectPolicy]]:
        """What is declared for objects, by section: name (or glob) of a table, collection or stream → its policy."""
        known = {section for spec in ENGINES.values() for section in spec.sections}
        return {
            name: policies for name in type(self).model_fields if name in known and (policies := getattr(self, name))
        }

    @property
    def policies(self) -> dict[str, TargetPolicy]:
        """What is declared for the target as a whole, by key: the keys that `upkeep.fleet.policies` has modules for."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in values if isinstance(value, TargetPolicy)}

    def refuses(self, key: str) -> bool:
        """Return whether the fleet file says ``false`` to a policy of the target as a whole."""
        return key in self.model_fields_set and getattr(self, key, None) is None

    def written(self) -> Json:
        """Return all that the fleet file says of the target; keys that it leaves to their defaults are left out."""
        later = type(self).model_fields.keys() - Target.model_fields.keys() - self.model_fields_set
        return self.model_dump(mode="json", exclude=set(later))

    def declared(self, keys: Iterable[str]) -> Iterator[str]:
        """Yield the names (or globs) of what declares one of these keys: the target's own name, those of its objects.

        Parameters
        ----------
        keys
            ``retain``: wherever it stands; ``target.indexes``: of the target only; ``collections.indexes``: of objects
            in that section only.
        """
        keys = tuple(keys)
        if self.declares(keys):
            yield self.name
        yield from self.objects(keys)

    def declares(self, keys: Iterable[str]) -> bool:
        """Return whether the target itself declares one of these keys, for us to do."""
        ours = {key for key, policy in self.policies.items() if not policy.external}
        return not ours.isdisjoint(_in(TARGET, keys))

    def objects(self, keys: Iterable[str]) -> Iterator[str]:
        """Yield the names (or globs) of the objects that declare one of these keys; one may be called as the target."""
        keys = tuple(keys)
        for section, policies in self.sections.items():
            yield from (name for name, policy in policies.items() if policy.declares(_in(section, keys)))


def object_keys(engine: str) -> frozenset[str]:
    """Return the keys that a table, collection, stream or pattern of keys may have on an engine."""
    policies = (get_args(Target.model_fields[section].annotation)[1] for section in ENGINES[engine].sections)
    return frozenset(key for policy in policies for key in policy.model_fields)


TARGET: Final = "target"


def _in(place: str, keys: Iterable[str]) -> frozenset[str]:
    """Return the keys as they are called in one place; one that is meant elsewhere keeps its dot, and is none there."""
    return frozenset(key.removeprefix(f"{place}.") for key in keys)


def _wishes(policy: TablePolicy) -> Iterator[tuple[str, str, str]]:
    """Yield what a policy wants that not every engine does: its word in `EngineSpec.also`, what to say, the remedy."""
    if policy.ttl is not None:
        yield "ttl", "ttl: rows expire by themselves", "write retain:"
    if policy.quality:
        yield "quality", "quality: rows are looked at", "leave it out"
    into = policy.retain.into if policy.retain is not None else None
    if into is not None and location.is_location(into):
        yield "files", "retain: into: archives as files are made", "name a table"
    part = policy.partition
    if part is not None and (not isinstance(part, PartitionPolicy) or part.subpartition is not None):
        what = "sub-partitions" if part.subpartition is not None else f"{part.form} partitions"
        yield "levels", f"{what} are taken care of", "leave them out"


class Defaults(Strict):
    """Values for every target that does not say otherwise."""

    mode: Literal["enforce", "observe"] | None = None
    window: Window | None = None
    limits: Limits | None = None
    allow_untested: bool | None = None


class Fleet(Strict):
    """All databases in care."""

    version: Literal[1]
    heartbeat: WebAddress | None = Field(None, description="Called by each complete round of health checks.")
    notify: PeopleAddress | None = Field(
        None, description="Told of findings that are ERROR or CRITICAL, when new and when mended."
    )
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
