"""What the action of partition creation holds, for those who carry it out; bounds as `Scale.number` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from upkeep.jobs.args import Args
from upkeep.model import Json
from upkeep.tidb import sql
from upkeep.tidb.sql import Sql


@dataclass(frozen=True, slots=True)
class Planned:
    """The table that the plan saw."""

    id: int
    schema: str
    name: str

    @property
    def identifier(self) -> Sql:
        """The name for a statement."""
        return sql.identifier(self.schema, self.name)

    @property
    def row(self) -> Json:
        """It as `catalog.partitions_of` takes it."""
        return {"id": self.id, "schema": self.schema, "name": self.name}


@dataclass(frozen=True, slots=True)
class New:
    """A partition to be made."""

    name: str
    bound: str


@dataclass(frozen=True, slots=True)
class Highest:
    """The MAXVALUE partition."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Divided:
    """The partition that is divided."""

    id: int
    name: str
    bound: str


class Creation(Args):
    """Adding partitions to a table.

    Attributes
    ----------
    method
        ``add``; ``last`` for INTERVAL partitioning; ``reorganize`` where ``divided`` makes room.
    last
        The last bound as it was planned for; ``None``: there was none.
    move, move_at_most
        Rows that a division copies, about; and how many it may.
    """

    table: Planned
    method: Literal["add", "last", "reorganize"]
    partitions: tuple[New, ...]
    last: str | None
    maxvalue: Highest | None
    divided: Divided | None
    move: int
    move_at_most: int
