"""What the catalog says about tables and partitions: one query each for a whole database.

Rows are plain values (they travel in an observation, through JSON and back); `Relation` and `Partition`
give them names and types where decisions are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from upkeep.postgres.names import Name, Pattern, display, quote
from upkeep.postgres.session import PostgresSession, Row

KINDS: Final = {
    "f": "a foreign table",
    "v": "a view",
    "m": "a materialized view",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a composite type",
    "t": "a TOAST table",
}
PAGE_BYTES: Final = 8192
"""Bytes of a page in every usual build of PostgreSQL."""
STRATEGIES: Final = {"r": "range", "l": "list", "h": "hash"}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table that a policy names.

    Attributes
    ----------
    kind
        ``r`` table, ``p`` partitioned table, anything else is not in care.
    rows, pages
        The statistics' estimates; rows are -1 when it was never analysed.
    may_alter, may_create
        Whether our role has the owner's rights, and may create tables in the schema.
    strategy
        ``r`` range, ``l`` list, ``h`` hash; ``None`` when not partitioned.
    key_columns, key_types
        The partition key; ``None`` in place of an expression. Types by base type (a domain's is resolved).
    unique_keys
        Primary key and unique constraints, as ``name (columns)``.
    referenced_by
        Tables with foreign keys to it.
    triggers, rules
        User triggers that are enabled, and rules.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    is_partition: bool
    rows: float
    pages: int
    replica_identity: str
    row_security: bool
    owner: str
    may_alter: bool
    may_create: bool
    strategy: str | None
    default_oid: int | None
    key_has_expression: bool | None
    key_columns: Sequence[str | None]
    key_types: Sequence[str | None]
    unique_keys: Sequence[str]
    referenced_by: Sequence[str]
    triggers: Sequence[str]
    rules: Sequence[str]
    publications: Sequence[str]
    owner_is_superuser: bool = False

    @property
    def full_name(self) -> Name:
        """Schema and name."""
        return Name(self.schema, self.name)

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return display(self.schema, self.name)

    def handed(self, role: str) -> str:
        """Return what gives a role the owner's rights."""
        return handed(self.owner, [self.subject], role, superuser=self.owner_is_superuser)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, attached or with its detaching pending.

    Attributes
    ----------
    parent
        Object id of the partitioned table.
    kind
        ``r``, or ``p`` when it is partitioned itself, ``f`` foreign.
    bounds
        ``FOR VALUES FROM … TO …`` or ``DEFAULT``, in UTC; ``None`` while its detaching is pending.
    marker
        Its comment, when that is one of ours.
    """

    parent: int
    oid: int
    schema: str
    name: str
    kind: str
    bounds: str | None
    detach_pending: bool
    rows: float
    pages: int
    marker: str | None

    @property
    def full_name(self) -> Name:
        """Schema and name."""
        return Name(self.schema, self.name)

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return display(self.schema, self.name)

    @property
    def is_default(self) -> bool:
        """Whether it takes the rows that no other partition takes."""
        return self.bounds == "DEFAULT"


def handed(owner: str, tables: Sequence[str], role: str, *, superuser: bool, kind: str = "table") -> str:
    """Return what gives a role the owner's rights on tables: never a superuser's, who may everything everywhere."""
    if not superuser:
        return f"grant {quote(owner)} to {role}"
    given = [f"alter {kind} {table} owner to app_owner" for table in tables]
    too = ", and hand it the partitions too" if kind == "table" else ""
    why = f"{quote(owner)} is a superuser: write an ordinary role for app_owner{too}"
    return "; ".join([*given, f"grant app_owner to {role} ({why})"])


def unowned(index: Mapping[str, Any]) -> str:
    """Return that our role has not the rights of an index's table's owner, from a row of `indexes`."""
    table, owner = display(index["schema"], index["table"]), index["owner"]
    grant = handed(owner, [table], "our role", superuser=index["owner_is_superuser"])
    return f"our role lacks the rights of {quote(owner)}, who owns {table}: {grant}"


def relation_rows(session: PostgresSession, patterns: Iterable[Pattern]) -> list[Row]:
    """Return the rows of `Relation` for every table that a pattern names, in no order."""
    known = list(patterns)
    exact = [p for p in known if not p.is_glob]
    globs = [p for p in known if p.is_glob]
    return session.rows(
        "relations",
        {
            "schemas": [p.schema for p in exact],
            "names": [p.name for p in exact],
            "schema_globs": [p.schema for p in globs],
            "name_globs": [p.name for p in globs],
        },
    )


def partition_rows(session: PostgresSession, parents: Sequence[int]) -> list[Row]:
    """Return the rows of `Partition` for all parents given by object id, in no order."""
    return session.rows("partitions", {"parents": list(parents)}) if parents else []


def relations(session: PostgresSession, patterns: Iterable[Pattern]) -> list[Relation]:
    """Return every table that a pattern names."""
    return [Relation(**row) for row in relation_rows(session, patterns)]


def partitions(session: PostgresSession, parents: Sequence[int]) -> list[Partition]:
    """Return the partitions of all parents given by object id."""
    return [Partition(**row) for row in partition_rows(session, parents)]


def by_policy(relations: Iterable[Relation], patterns: Mapping[str, Pattern]) -> dict[str, list[Relation]]:
    """Return each policy's tables.

    A table belongs to the policy that writes its name in full; else to the first glob in the fleet file
    that matches it. A policy without a table has an empty list.
    """
    found: dict[str, list[Relation]] = {key: [] for key in patterns}
    exact = {(p.schema, p.name): key for key, p in patterns.items() if not p.is_glob}
    globs = [(key, p) for key, p in patterns.items() if p.is_glob]
    for relation in relations:
        key: Any = exact.get((relation.schema, relation.name))
        if key is None:
            key = next((k for k, p in globs if p.matches(relation.schema, relation.name)), None)
        if key is not None:
            found[key].append(relation)
    return found
