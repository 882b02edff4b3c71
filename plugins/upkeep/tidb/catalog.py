"""What TiDB's catalog says of tables and partitions: one query for each kind of thing, for the whole target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from upkeep.jobs.data_retention.marker import MARKER_BEGINS
from upkeep.jobs.errors import StateChangedError
from upkeep.jobs.partition_creation.axis import LOWEST
from upkeep.jobs.partition_creation.layout import Span
from upkeep.tidb import names
from upkeep.tidb.keys import Scale
from upkeep.tidb.names import Pattern
from upkeep.tidb.session import Row, TiDBSession
from upkeep.tidb.sql import Sql, fill

NAME_A_TABLE: Final = "name the table itself in the fleet file, or take the policy out"
SYSTEM: Final = ("mysql", "information_schema", "performance_schema", "metrics_schema", "sys")


@dataclass(frozen=True, slots=True)
class Table:
    """A base table.

    Attributes
    ----------
    id
        The id of its data; an exchange swaps it with a partition's.
    rows
        What statistics say; 0 also when it was never analysed.
    pk_type
        ``CLUSTERED`` or ``NONCLUSTERED``.
    """

    id: int
    schema: str
    name: str
    kind: str
    rows: int
    bytes: int
    comment: str
    pk_type: str
    sharding: str | None = None

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)

    @property
    def identifier(self) -> Sql:
        """The name for a statement."""
        return names.Name(self.schema, self.name).identifier


@dataclass(frozen=True, slots=True)
class Planned:
    """A table as a plan names it; ``id``: of its data."""

    id: int
    schema: str
    name: str

    @property
    def identifier(self) -> Sql:
        """The name for a statement."""
        return names.Name(self.schema, self.name).identifier


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; ``upper_bound`` is the text of VALUES LESS THAN (…)."""

    schema: str
    table: str
    id: int
    name: str
    place: int
    method: str
    expression: str
    upper_bound: str | None
    rows: int
    bytes: int


def tables(session: TiDBSession, patterns: Iterable[Pattern]) -> list[Row]:
    """Return the rows of `Table` for every table that a pattern names."""
    wanted = list(patterns)
    if not wanted:
        return []
    schemas = databases(session, wanted)
    if not schemas:
        return []
    found = session.rows("tables", {"schemas": schemas}, among=_among(wanted, "t"))
    default = session.database
    return [row for row in found if any(p.matches(row["schema"], row["name"], default) for p in wanted)]


def no_tables(session: TiDBSession, patterns: Iterable[Pattern], tables: Iterable[Row]) -> list[Row]:
    """Return what names in full mean where they mean none of those tables: a view, a sequence. A glob never does."""
    known, default = list(tables), session.database
    alone = [
        p for p in patterns if not p.is_glob and not any(p.matches(r["schema"], r["name"], default) for r in known)
    ]
    schemas = databases(session, alone)
    return session.rows("no_tables", {"schemas": schemas}, among=_among(alone, "t")) if schemas else []


def kind_of(rows: Iterable[Mapping[str, Any]], pattern: Pattern, default: str) -> str | None:
    """Return what a name means that means no table (``a view``), as `no_tables` saw it; ``None`` when nothing."""
    known = (row["kind"] for row in rows if pattern.matches(row["schema"], row["name"], default))
    kind = None if pattern.is_glob else next(known, None)
    return None if kind is None else f"a {kind.lower()}"


def databases(session: TiDBSession, patterns: Sequence[Pattern]) -> list[str]:
    """Return the databases that the patterns may mean."""
    if any(p.schema is not None and p.is_glob for p in patterns):
        every = [row["schema"] for row in session.rows("databases")]
        return [s for s in every if s.lower() not in SYSTEM]
    return sorted({(session.database if p.schema is None else p.schema) for p in patterns} - {""})


def of_tables(session: TiDBSession, name: str, wanted: Iterable[Mapping[str, Any]], alias: str) -> list[Row]:
    """Run the query ``partitions``, ``columns`` or ``indexes`` over the tables whose schema and name are given."""
    known = {(row["schema"].lower(), row["name"].lower()) for row in wanted}
    if not known:
        return []
    listed = sorted({name for _, name in known})
    condition = fill(f"{alias}.table_name in %(names)s", {"names": listed})
    rows = session.rows(name, {"schemas": sorted({schema for schema, _ in known})}, among=condition)
    return [row for row in rows if (row["schema"].lower(), row["table"].lower()) in known]


def by_policy(found: Iterable[Table], patterns: Mapping[str, Pattern], default: str) -> dict[str, list[Table]]:
    """Return each policy's tables: an exact name wins over globs, of several globs the first in the file.

    A glob never means a table with our own marker: a detached partition is kept for its grace.
    """
    result: dict[str, list[Table]] = {key: [] for key in patterns}
    ordered = sorted(patterns.items(), key=lambda item: item[1].is_glob)
    for table in found:
        ours = table.comment.startswith(MARKER_BEGINS)
        fit = (k for k, p in ordered if not (ours and p.is_glob) and p.matches(table.schema, table.name, default))
        key = next(fit, None)
        if key is not None:
            result[key].append(table)
    return result


def _among(patterns: Sequence[Pattern], alias: str) -> Sql:
    if any(p.is_glob for p in patterns):
        return Sql("true")
    return fill(f"{alias}.table_name in %(names)s", {"names": sorted({p.name for p in patterns})})


def partitions_of(session: TiDBSession, table: Planned) -> list[Partition]:
    """Return the table's partitions. Raises `StateChangedError` when it is another table by now."""
    here = {"schema": table.schema, "name": table.name}
    pattern = Pattern(table.name, table.schema, table.name, (True, True))
    # an id, for a name may by now be another table's: TRUNCATE gives a new id too
    found = [row for row in tables(session, [pattern]) if row["id"] == table.id]
    if not found:
        raise StateChangedError("the table was dropped, renamed or made anew since it was observed")
    return [Partition(**row) for row in of_tables(session, "partitions", [here], "p")]


def read_spans(children: Iterable[Partition], scale: Scale) -> list[tuple[Span, Partition]]:
    """Return each partition with its span: from the bound below it to its own. Raises `UnknownBoundsError`."""
    ordered = sorted(children, key=lambda p: p.place)
    uppers = [scale.read(p.upper_bound) for p in ordered]
    lowers = [LOWEST, *uppers]
    return [(Span(low, high), p) for low, high, p in zip(lowers, uppers, ordered, strict=False)]
