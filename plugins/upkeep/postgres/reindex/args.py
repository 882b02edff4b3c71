"""What the actions of reindexing hold: the index as it was planned for."""

from __future__ import annotations

from psycopg import sql

from upkeep.jobs.args import Args


class Rebuild(Args):
    """An index to be rebuilt, with all that must be the same afterwards."""

    schema_: str
    name: str
    oid: int
    table: str
    table_oid: int
    method: str
    definition: str
    tablespace: str | None = None
    comment: str | None = None
    constraint: str | None = None
    is_replica_identity: bool = False
    is_clustered: bool = False

    @property
    def identifier(self) -> sql.Identifier:
        """The name for a statement."""
        return sql.Identifier(self.schema_, self.name)


class Leftover(Args):
    """What an interrupted rebuilding has left of an index."""

    schema_: str
    name: str
    oid: int
    table_oid: int
    definition: str
    whole: str
    whole_oid: int

    @property
    def identifier(self) -> sql.Identifier:
        """The name for a statement."""
        return sql.Identifier(self.schema_, self.name)
