"""What a database holds, read alike from the source at the snapshot and from what was restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from upkeep.engines import Address
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.postgres import names
from upkeep.postgres.backup.archive import LARGE_OBJECTS, SEQUENCE, sequence
from upkeep.postgres.session import PostgresSession

DEFINITIONS: Final = "definitions"
"""The object that stands for all that is no table: types, functions, views, sequences."""
_KINDS: Final = {"r": "table", "p": "partitioned table", "f": "foreign table", "m": "materialized view"}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, or what is like one.

    Attributes
    ----------
    bytes
        Of its rows; 0 where it has none of its own.
    """

    oid: int
    name: names.Name
    kind: str
    bytes: int
    columns: tuple[str, ...]
    structures: tuple[str, ...]

    @property
    def has_rows(self) -> bool:
        """Whether a dump holds rows of it."""
        return self.kind == "r"

    def contents(self, rows: int | None, checksum: str | None, *, complete: bool = True) -> Contents:
        """Return it as a manifest has it."""
        return Contents(
            name=str(self.name),
            kind=_KINDS[self.kind],
            rows=rows,
            complete=complete,
            structures=self.structures,
            checksum=checksum,
        )


def relations(session: PostgresSession) -> list[Relation]:
    """Read every table and what belongs to it."""
    return [
        Relation(
            oid=row["oid"],
            name=names.Name(row["schema"], row["name"]),
            kind=row["kind"],
            bytes=row["bytes"],
            columns=tuple(row["columns"]),
            structures=tuple(sorted(row["structures"])),
        )
        for row in session.rows("backup/objects")
    ]


def definitions(session: PostgresSession) -> Contents:
    """Read what is no table."""
    found = sorted(row["definition"] for row in session.rows("backup/definitions"))
    return Contents(name=DEFINITIONS, kind="definitions", structures=tuple(found))


def checksum(session: PostgresSession, relation: Relation) -> tuple[int, str]:
    """Return how many rows a table has, and their checksum."""
    columns = sql.SQL(", ").join(sql.Identifier("t", column) for column in relation.columns)
    statement = session.statement("backup/checksum", table=relation.name.identifier, columns=columns)
    (row,) = session.execute(statement).fetchall()
    return row["rows"], f"{row['rows']}:{row['checksum']}"


def look(address: Address, manifest: Manifest) -> Sequence[Contents]:
    """Read what a restored database holds; checksums only where the manifest has one."""
    session = PostgresSession.connect(address, application="backup")
    try:
        with session.transaction():
            session.rows("set_local_timeouts", {"lock": "2s", "statement": "0"})
            return list(_looked(session, manifest))
    finally:
        session.close()


def _looked(session: PostgresSession, manifest: Manifest) -> list[Contents]:
    found, wanted = [definitions(session)], {thing.name: thing for thing in manifest.objects}
    for relation in relations(session):
        held = wanted.get(str(relation.name))
        rows, sum_ = None, None
        if relation.has_rows and held is not None and held.checksum is not None:
            rows, sum_ = checksum(session, relation)
        elif relation.has_rows and (held is None or held.rows is not None):
            rows = session.execute(session.statement("backup/count", table=relation.name.identifier)).fetchall()[0][
                "rows"
            ]
        found.append(relation.contents(rows, sum_))
    found += _sequences(session, manifest)
    objects = session.rows("backup/large_objects")[0]["rows"]
    if objects or LARGE_OBJECTS in wanted:
        found.append(Contents(name=LARGE_OBJECTS, kind=LARGE_OBJECTS, rows=objects))
    return found


def _sequences(session: PostgresSession, manifest: Manifest) -> Iterator[Contents]:
    """Read where those sequences stand of which the manifest tells it."""
    held = {thing.name for thing in manifest.objects if thing.kind == SEQUENCE}
    for row in session.rows("backup/sequences") if held else ():
        name = names.Name(row["schema"], row["name"])
        if str(name) in held:
            (now,) = session.execute(session.statement("backup/sequence", sequence=name.identifier)).fetchall()
            yield sequence(name, now["value"], called=now["called"])
