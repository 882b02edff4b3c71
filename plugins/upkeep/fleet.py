"""The fleet file: what should be true of which table, validated before anything is touched.

`load` reads YAML and returns a `Fleet`. Every mistake is reported with file, line, key and remedy, all
of them at once. Whether a table exists is not known here: that fails its own table, at run time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from upkeep.errors import ConfigurationError
from upkeep.intervals import Duration

RESERVED = ("keys", "backup", "health", "ttl", "indexes", "cache", "quality", "pause", "pools")
"""Keys that later jobs will read; until then a fleet file that uses them is told so."""

DEFAULT_SHARE = 0.8
"""A run that would delete more than this share of a table waits for a person: a wrong cut-off looks like that."""
MAX_CREATIONS = 200
"""Partitions created per table and run: a wrong interval must not create thousands (pg_partman#213)."""
MOVE_DEFAULT_ROWS = 10_000
"""Rows moved out of a default partition per new range; more only with the owner's word (pg_partman#510)."""
_MULTIPLES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9}


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return Duration.parse(value)
    if isinstance(value, Duration):
        return value
    message = f"{value!r} is not a duration; write e.g. '30 days', '1 month', '26 hours'"
    raise ValueError(message)


def _duration_or_zero(value: Any) -> Any:
    if value in (0, "0", "none", "0 days"):
        return Duration()
    return _duration(value)


def _step(value: Any) -> Any:
    if isinstance(value, bool):
        message = "write a duration ('1 month') or a whole number"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a located error
    return value if isinstance(value, int) else _duration(value)


def _rows(value: Any) -> Any:
    match = re.fullmatch(r"\s*([\d_.]+)\s*(thousand|million|billion|)\s*", str(value))
    if match is None:
        message = f"{value!r} is not a number of rows; write e.g. 50000 or '50 million'"
        raise ValueError(message)
    return int(float(match.group(1).replace("_", "")) * _MULTIPLES[match.group(2)])


def _share(value: Any) -> Any:
    match = re.fullmatch(r"\s*([\d.]+)\s*(%?)\s*", str(value))
    share = float(match.group(1)) / (100 if match.group(2) else 1) if match else -1.0
    if not 0 < share <= 1:
        message = f"{value!r} is not a share; write e.g. '80 %'"
        raise ValueError(message)
    return share


def _zone(value: Any) -> Any:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{value!r} is not a time zone; write an IANA name, e.g. 'UTC' or 'Europe/Berlin'"
        raise ValueError(message) from error


def _clock(value: Any) -> Any:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", str(value))
    if match is None or int(match.group(1)) > 23 or int(match.group(2)) > 59:  # noqa: PLR2004
        message = f'{value!r} is not a time of day; write it quoted, e.g. "01:00"'
        raise ValueError(message)
    return time(int(match.group(1)), int(match.group(2)))


_AsText = PlainSerializer(str, return_type=str)
_TEXT_SCHEMA = WithJsonSchema({"type": "string"})
Length = Annotated[Duration, BeforeValidator(_duration), _AsText, _TEXT_SCHEMA]
LengthOrZero = Annotated[Duration, BeforeValidator(_duration_or_zero), _AsText, _TEXT_SCHEMA]
Step = Annotated[
    Duration | int,
    BeforeValidator(_step),
    PlainSerializer(lambda v: v if isinstance(v, int) else str(v)),
    WithJsonSchema({"type": ["string", "integer"]}),
]
Rows = Annotated[int, BeforeValidator(_rows), WithJsonSchema({"type": ["string", "integer"]})]
Share = Annotated[float, BeforeValidator(_share), WithJsonSchema({"type": ["string", "number"]})]
Zone = Annotated[str, BeforeValidator(_zone)]
Clock = Annotated[time, BeforeValidator(_clock), _TEXT_SCHEMA]


class Strict(BaseModel):
    """A part of the fleet file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True)


class PartitionPolicy(Strict):
    """Which range partitions should exist.

    Attributes
    ----------
    by
        The column, as in SQL.
    every
        Length of a partition: a duration, or a whole number for plain integer ids.
    ahead
        Partitions that should exist after the current one.
    timezone
        Where days and months begin; needed for columns without a zone.
    unit
        What an integer key counts: seconds, milliseconds, microseconds since 1970, or ``id``.
    from_
        (``from``) Gaps older than this are left alone.
    max_creations
        The most partitions created per table and run.
    move_default_rows
        The most rows moved out of the default partition into one new partition; more is only reported.
    """

    by: str
    every: Step
    ahead: int = Field(ge=0, le=10_000)
    timezone: Zone = "UTC"
    unit: Literal["seconds", "milliseconds", "microseconds", "id"] | None = None
    from_: datetime | date | int | None = Field(default=None, alias="from")
    max_creations: int = Field(default=MAX_CREATIONS, ge=1)
    move_default_rows: Rows = MOVE_DEFAULT_ROWS

    @model_validator(mode="after")
    def _possible(self) -> PartitionPolicy:
        if isinstance(self.every, int):
            if self.unit not in (None, "id"):
                message = (
                    f"every: {self.every} is a number of ids, but unit is {self.unit}; write a duration or unit: id"
                )
                raise ValueError(message)
            if self.every < 1:
                message = "every: must be at least 1"
                raise ValueError(message)
        elif sum(map(bool, (self.every.months, self.every.days, self.every.seconds))) != 1:
            message = f"every: '{self.every}' mixes months, days and hours; use one unit"
            raise ValueError(message)
        elif self.unit == "id":
            message = f"unit: id needs a whole number in every, not '{self.every}'"
            raise ValueError(message)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The declared time zone."""
        return ZoneInfo(self.timezone)


class BackupRule(Strict):
    """``requires: {backup: AGE}``: a verified backup whose snapshot is at most so old."""

    backup: Length


class RetainPolicy(Strict):
    """How long rows stay, and what happens then.

    Attributes
    ----------
    for_
        (``for``) Rows older than this are due.
    by
        The age column; default: the partition column.
    then
        ``delete`` or ``archive`` (copied into ``into`` first, proven, then deleted).
    into
        The archive table.
    precision
        ``partition``: whole partitions only; ``row``: rows in batches.
    grace
        Time between detaching a partition and dropping it.
    requires
        ``approval``, ``nothing`` or ``{backup: AGE}``.
    timezone
        Where days and months begin.
    unit
        What an integer age column counts.
    cascades
        ``declared``: the owner accepts that the delete fires user triggers, rules or ON DELETE actions.
    """

    for_: Length = Field(alias="for")
    by: str | None = None
    then: Literal["delete", "archive"]
    into: str | None = None
    precision: Literal["partition", "row"] = "partition"
    grace: LengthOrZero = Duration(days=7)
    requires: Literal["approval", "nothing"] | BackupRule = "approval"
    timezone: Zone = "UTC"
    unit: Literal["seconds", "milliseconds", "microseconds", "id"] | None = None
    cascades: Literal["refuse", "declared"] = "refuse"

    @model_validator(mode="after")
    def _possible(self) -> RetainPolicy:
        if self.then == "archive" and not self.into:
            message = "then: archive needs into: the archive table"
            raise ValueError(message)
        if self.then == "delete" and self.into:
            message = "into: is given, but then: is delete; write then: archive, or leave into out"
            raise ValueError(message)
        if self.unit == "id":
            message = "unit: id has no age; retention needs a time column or an epoch unit"
            raise ValueError(message)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The declared time zone."""
        return ZoneInfo(self.timezone)


class TablePolicy(Strict):
    """What the owner wants for one table (or for every table that a glob names)."""

    partition: PartitionPolicy | None = None
    retain: RetainPolicy | None = None

    @model_validator(mode="after")
    def _possible(self) -> TablePolicy:
        if self.retain and not self.retain.by and not self.partition:
            message = "retain: needs by: the age column (or a partition: that names it)"
            raise ValueError(message)
        return self

    @property
    def age_column(self) -> str | None:
        """The column that tells a row's age."""
        if self.retain is None:
            return None
        return self.retain.by or (self.partition.by if self.partition else None)


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
    tables: dict[str, TablePolicy] = {}
    collections: dict[str, TablePolicy] = {}

    @model_validator(mode="after")
    def _possible(self) -> Target:
        if self.collections and self.engine != "mongo":
            message = f"collections: belongs to engine mongo, not {self.engine}; write tables:"
            raise ValueError(message)
        if self.tables and self.engine not in ("postgres", "tidb"):
            message = f"tables: belongs to engine postgres or tidb, not {self.engine}"
            raise ValueError(message)
        return self

    def subjects(self) -> Mapping[str, TablePolicy]:
        """Return the names (or globs) in care and their policies."""
        return self.tables or self.collections


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
    return parse(text, str(path))


def parse(text: str, name: str = "fleet.yaml") -> Fleet:
    """Validate the text of a fleet file; ``name`` is what errors call it. Raises as `load` does."""
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
    if duplicates:
        raise ConfigurationError(
            "\n".join(f"{name}:{line}: {key}: written twice; keep one" for key, line in duplicates)
        )
    if not isinstance(data, dict):
        message = f"{name}:1: a fleet file is a mapping that starts with 'version: 1' and 'targets:'"
        raise ConfigurationError(message)
    try:
        return Fleet.model_validate(data)
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
    location = tuple(str(part) for part in error["loc"])
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


def elapsed(duration: Duration) -> timedelta:
    """Return a duration as elapsed time, for ages on the real clock (a month counts 30.44 days)."""
    return duration.approximate
