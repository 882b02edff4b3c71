"""The engines: one row each, the only place where their names are written outside their own rooms. Values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What is known of an engine before anything of its room is imported.

    Attributes
    ----------
    name
        The word of the fleet file, and the name of its room.
    title
        How people write it.
    schemes
        URI schemes (= Airflow connection types) that reach it.
    sections
        Keys of a target under which the fleet file says what is declared there.
    driver
        The top-level module of its driver, which its room alone imports.
    tested_versions
        Releases that the test suite has run on; on others a target is only observed.
    also
        What policies of its tables may say besides range partitions and retention by rows or into tables: ``quality``,
        ``files`` (archives in files), ``levels`` (list and hash partitions, sub-partitions), ``ttl`` (the server itself
        removes rows). ``rows``: jobs of other targets may ask it for rows (`upkeep.engines.Reader`).
        ``backups``: Upkeep can take them; ``replicas``: of a replica too.
    fields
        Options of a connection that say the same as one of its fields (host, port, user, password, database).
    hosts
        Whether a connection may name several hosts.
    refused
        Other schemes by which people reach it → why Upkeep does not.
    comment
        What begins a comment in its statements.
    statement_end
        What ends a statement.
    """

    name: str
    title: str
    schemes: tuple[str, ...]
    sections: tuple[str, ...]
    driver: str
    tested_versions: tuple[str, ...]
    also: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=dict)
    hosts: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    comment: str = "--"
    statement_end: str = ";"


_SENTINEL: Final = "Sentinel is not asked for the primary yet: give the primary's own address (redis://…)"
_CLUSTER: Final = "a node of a cluster has a part of the keys only: give the address of a primary that is no cluster's"

_ROWS: Final = (
    EngineSpec(
        name="postgres",
        title="PostgreSQL",
        schemes=("postgres", "postgresql"),
        sections=("tables",),
        driver="psycopg",
        tested_versions=("14", "15", "16", "17", "18"),
        also=frozenset({"quality", "files", "levels", "rows", "backups"}),
        fields=MappingProxyType(
            {**{name: name for name in ("host", "port", "user", "password")}, "dbname": "database"}
        ),
        hosts=True,
    ),
    EngineSpec(
        name="tidb",
        title="TiDB",
        schemes=("tidb", "mysql"),
        sections=("tables",),
        driver="pymysql",
        tested_versions=("8.5",),
        also=frozenset({"ttl", "rows", "backups"}),
        fields=MappingProxyType({"unix_socket": "host"}),
    ),
    EngineSpec(
        name="mongo",
        title="MongoDB",
        schemes=("mongo", "mongodb", "mongodb+srv"),
        sections=("collections",),
        driver="pymongo",
        tested_versions=("5.0", "6.0"),
        also=frozenset({"rows", "backups"}),
        hosts=True,
        comment="//",
    ),
    EngineSpec(
        name="redis",
        title="Redis",
        schemes=("redis", "rediss", "unix"),
        sections=("streams", "keys"),
        driver="redis",
        tested_versions=("6.2", "7.0", "7.4", "valkey 8.1"),
        also=frozenset({"backups", "replicas"}),
        fields=MappingProxyType({"db": "database"}),
        refused=MappingProxyType(
            {
                **dict.fromkeys(("sentinel", "redis+sentinel", "rediss+sentinel", "redis_sentinel"), _SENTINEL),
                **dict.fromkeys(("cluster", "redis+cluster", "rediss+cluster", "redis_cluster"), _CLUSTER),
            }
        ),
        comment="#",
        statement_end="",
    ),
)

ENGINES: Final[Mapping[str, EngineSpec]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every engine by its name, in the order in which people are told of them."""
