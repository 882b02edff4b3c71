"""The fleet file: what should be true of which table, validated before anything is touched.

`load` reads YAML and returns a `Fleet`. Every mistake is reported with file, line, key and remedy, all
of them at once. Whether a table exists is not known here: that fails its own table, at run time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import Field, ValidationError, model_validator

from upkeep import settings
from upkeep.errors import ConfigurationError
from upkeep.fleet.collections import CollectionPolicy, IndexPolicy, TimeseriesPolicy
from upkeep.fleet.levels import FORMS, HashLevel, ListLevel, RangeLevel
from upkeep.fleet.streams import StreamPolicy
from upkeep.fleet.tables import BackupRule, HashPolicy, ListPolicy, PartitionPolicy, RetainPolicy, TablePolicy
from upkeep.fleet.values import Clock, Rows, Share, Strict, Zone, elapsed
from upkeep.stores import location

__all__ = [
    "BackupRule",
    "CollectionPolicy",
    "Defaults",
    "Fleet",
    "HashLevel",
    "HashPolicy",
    "IndexPolicy",
    "Limits",
    "ListLevel",
    "ListPolicy",
    "PartitionPolicy",
    "RangeLevel",
    "RetainPolicy",
    "StreamPolicy",
    "TablePolicy",
    "Target",
    "TimeseriesPolicy",
    "Window",
    "elapsed",
    "json_schema",
    "load",
    "parse",
]

RESERVED = ("keys", "backup", "health", "ttl", "indexes", "cache", "quality", "pause", "pools")
"""Keys that later jobs will read; until then a fleet file that uses them is told so."""

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


def load(path: Path) -> Fleet:
    """Read and validate a fleet file.

    Raises
    ------
    ConfigurationError
        The file is missing, is not YAML, or says something impossible; one line for each mistake:
        ``file:line: key: what is wrong; remedy``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{path}: cannot read the fleet file: {error.strerror}; give one with --fleet or UPKEEP_FLEET"
        raise ConfigurationError(message) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = f"{path}:{line}: not UTF-8; save the file as UTF-8 text"
        raise ConfigurationError(message) from None
    except ValueError as error:
        raise ConfigurationError(f"{str(path)!r} is no path ({error}); give one with --fleet") from None
    return parse(text, str(path), folder=path.parent)


def parse(text: str, name: str = "fleet.yaml", *, folder: Path | None = None) -> Fleet:
    """Validate the text of a fleet file; raises as `load` does.

    Parameters
    ----------
    name
        What errors call it.
    folder
        Where files lie that it names; by default (and besides) in the checkout.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[tuple[str, ...], int] = {}
        duplicates = _index(node, (), lines) if node is not None else []
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        message = f"{where}: not YAML: {getattr(error, 'problem', None) or error}; check indentation and quotes"
        raise ConfigurationError(message) from error
    except RecursionError:
        raise ConfigurationError(
            f"{name}: nested too deeply for a fleet file; check brackets and indentation"
        ) from None
    except ValueError as error:  # 2026-13-45 looks like a date
        message = f"{name}: a value cannot be read: {error}; write it in quotes"
        raise ConfigurationError(message) from None
    if duplicates:
        raise ConfigurationError(
            "\n".join(f"{name}:{line}: {key}: written twice; keep one" for key, line in duplicates)
        )
    if not isinstance(data, dict):
        message = f"{name}:1: a fleet file is a mapping that starts with 'version: 1' and 'targets:'"
        raise ConfigurationError(message)
    try:
        return Fleet.model_validate(data, context={"folder": folder or settings.checkout()})
    except ValidationError as error:
        problems = [_describe(e, lines, name) for e in error.errors()]
        raise ConfigurationError("\n".join(dict.fromkeys(problems))) from None


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the fleet file, for editors."""
    return Fleet.model_json_schema(by_alias=True)


def _index(node: yaml.Node, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> list[tuple[str, int]]:
    duplicates: list[tuple[str, int]] = []
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                duplicates.append((".".join(inner), key.start_mark.line + 1))
            lines[inner] = key.start_mark.line + 1
            duplicates += _index(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            duplicates += _index(value, (*path, str(number)), lines)
    return duplicates


def _describe(error: Any, lines: Mapping[tuple[str, ...], int], name: str) -> str:
    location = tuple(str(part) for part in error["loc"] if part not in FORMS.values())
    known = location
    while known and known not in lines:
        known = known[:-1]
    key = ".".join(known) or "the file"
    line = lines.get(known, 1)
    return f"{name}:{line}: {key}: {_say(error, location)}"


def _say(error: Any, location: tuple[str, ...]) -> str:
    kind, last = error["type"], location[-1] if location else ""
    if kind == "extra_forbidden":
        if last in RESERVED:
            return f"'{last}' is reserved for a later job and not available yet; leave it out"
        return f"unknown key '{last}'; check its spelling against the documentation"
    if kind == "missing":
        return f"'{last}' is missing; add it"
    if kind == "literal_error":
        return f"{error['input']!r} is not possible; write {error['ctx']['expected']}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return (
        message if "input" not in error or isinstance(error["input"], dict) else f"{message} (got {error['input']!r})"
    )
