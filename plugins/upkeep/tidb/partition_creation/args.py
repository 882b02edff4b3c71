"""What the action of partition creation holds, for those who carry it out; bounds as `Scale.number` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from upkeep.jobs.args import Args
from upkeep.tidb.catalog import Planned


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
