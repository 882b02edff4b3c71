"""Which jobs there are: one row a job.

The command line, the DAGs and their forms, the preloading of workers, the demo and the contract tests are made of these
rows; a job's name is written nowhere else. DAG files read this table, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, Literal

from pydantic import ValidationError

from upkeep.jobs.backup.request import BackupRequest
from upkeep.jobs.cache_warming.request import WarmRequest
from upkeep.jobs.reindex.request import ReindexRequest
from upkeep.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as far as it is alike on all engines.

    Attributes
    ----------
    name
        Its DAG's id, and the name of its package in each engine's room: ``<engine>/<name>`` offers ``JOB``.
    engines
        Those whose rooms have it.
    policy_keys
        Keys of the fleet file that declare something for it, of a table, collection or stream, or of a target, as
        `Target.declared` takes them.
    description
        One line for the list of DAGs.
    cron
        When it runs, in UTC; ``None``: when somebody starts it.
    tags
        Of its DAG, to filter by.
    looks_only
        Whether its plans hold findings and no actions: then nothing is applied, observed again or gated after, and its
        targets end ``unhealthy`` while a finding of at least ERROR is open.
    lease
        What its actions hold of the physical database; only equal names exclude each other.
    ignores_window
        Whether it also works outside the target's window: what it does holds nobody up. Mode and pause hold it yet.
    waits_for
        Jobs of the same target and night whose end it needs: some of its actions do, or it judges what they did.
    request
        The type of its parameters.
    tools
        Programs that a worker needs for it.
    seconds
        How long looking at one target may take, where it only looks; later it is cancelled and counts as out of reach.
    verifies
        Whether what it makes is proven in a step of its own after it, without its lease (`Runner.verify`).
    heartbeat
        Whether each complete round of it calls the fleet's ``heartbeat:``.
    """

    name: str
    engines: frozenset[str]
    policy_keys: tuple[str, ...]
    description: str
    cron: str | None = None
    tags: tuple[str, ...] = ()
    looks_only: bool = False
    lease: Literal["change", "backup", "warm"] = "change"
    ignores_window: bool = False
    waits_for: tuple[str, ...] = ()
    request: type[Request] = Request
    tools: tuple[str, ...] = ()
    seconds: int = 600
    heartbeat: bool = False
    verifies: bool = False

    @property
    def interval(self) -> timedelta | None:
        """How long lies between two of its nights; ``None``: it runs when somebody starts it."""
        if self.cron is None:
            return None
        from croniter import croniter  # noqa: PLC0415 - see the module's docstring

        times = croniter(self.cron, datetime(2024, 1, 1, tzinfo=UTC), ret_type=datetime)
        first: datetime = times.get_next()
        following: datetime = times.get_next()
        return following - first

    def asks(self, values: Mapping[str, Any]) -> Request:
        """Return the request that these values make. Raises `ConfigurationError` that names the parameter."""
        if not values:
            return self.request()
        from upkeep.errors import ConfigurationError  # noqa: PLC0415 - see the module's docstring

        for name in values.keys() - set(self.request.model_fields):
            known = ", ".join(self.request.model_fields) or "none"
            near = get_close_matches(name, self.request.model_fields, n=1)
            meant = f" (did you mean '{near[0]}'?)" if near else ""
            raise ConfigurationError(f"{self.name} has no parameter '{name}'{meant}; its parameters: {known}")
        try:
            return self.request.model_validate(dict(values))
        except ValidationError as error:
            said = (f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors())
            raise ConfigurationError(f"{self.name}: {'; '.join(said)}") from None


_SQL: Final = frozenset({"postgres", "tidb"})

JOBS: Final[dict[str, JobSpec]] = {
    spec.name: spec
    for spec in (
        JobSpec(
            name="partition_creation",
            engines=_SQL | {"mongo"},
            policy_keys=("partition", "timeseries", "validator", "collections.indexes"),
            description="Creates the partitions that should exist, before rows need them",
            cron="15 0 * * *",
            tags=("partitions",),
        ),
        JobSpec(
            name="backup",
            engines=_SQL | {"mongo", "redis"},
            policy_keys=("target.backup",),
            description="Takes backups, restores each into a server of its own, and compares",
            cron="30 0 * * *",
            tags=("backup",),
            lease="backup",
            ignores_window=True,
            request=BackupRequest,
            verifies=True,
        ),
        JobSpec(
            name="data_retention",
            engines=_SQL | {"mongo", "redis"},
            policy_keys=("retain",),
            description="Archives and deletes what is older than its policy allows",
            cron="30 2 * * *",
            tags=("retention",),
            waits_for=("backup",),
        ),
        JobSpec(
            name="health_check",
            engines=_SQL | {"mongo", "redis"},
            policy_keys=("target.health",),
            description="Looks at the health of every server, and changes nothing",
            cron="*/5 * * * *",
            tags=("health",),
            looks_only=True,
            seconds=30,
            heartbeat=True,
        ),
        JobSpec(
            name="ttl_verification",
            engines=_SQL | {"mongo", "redis"},
            policy_keys=("ttl", "tables.retain", "collections.retain"),
            description="Proves that what should be gone is gone, and that what expires by itself goes on doing so",
            cron="0 4 * * *",
            tags=("retention",),
            looks_only=True,
            waits_for=("data_retention",),
        ),
        JobSpec(
            name="index_analysis",
            engines=_SQL | {"mongo"},
            policy_keys=("target.indexes",),
            description="Finds indexes that are broken, there twice, unused or missing",
            cron="0 5 * * *",
            tags=("indexes",),
        ),
        JobSpec(
            name="reindex",
            engines=frozenset({"postgres"}),
            policy_keys=("target.indexes",),
            description="Rebuilds indexes that are full of air, or that you name, while readers and writers go on",
            tags=("indexes",),
            request=ReindexRequest,
        ),
        JobSpec(
            name="cache_warming",
            engines=frozenset({"redis"}),
            policy_keys=("target.warm",),
            description="Keeps rows of a database ready as keys, within a budget of memory",
            cron="*/15 * * * *",
            tags=("cache",),
            lease="warm",
            ignores_window=True,
            request=WarmRequest,
        ),
    )
}
"""Jobs that exist, by name."""


def require(name: str) -> JobSpec:
    """Return a job's row. Raises `ConfigurationError` for an unknown job."""
    try:
        return JOBS[name]
    except KeyError:
        from upkeep.errors import ConfigurationError  # noqa: PLC0415 - see the module's docstring

        raise ConfigurationError(f"unknown job {name!r}; there are: {', '.join(JOBS)}") from None
