"""What is to be told of PostgreSQL's indexes for rebuilding them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from upkeep.model import Observation, ReasonCode
from upkeep.postgres import catalog, names
from upkeep.postgres.reindex import bloat
from upkeep.postgres.reindex.args import Leftover, Rebuild

_LEFT: Final = re.compile(r"_cc(?:new|old)\d*$")
_CORRUPTING: Final = range(140_000, 140_004)
"""Versions that lose entries of indexes that are built beside writers."""
ROOM: Final = 2
"""So many times its size must be free: it is built beside the old one, and the log of that may stay for a while."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index.

    Attributes
    ----------
    needs
        The bytes that its entries need; ``None``: nobody knows.
    exact
        Whether that was measured.
    """

    row: Mapping[str, Any]
    needs: float | None = None
    exact: bool = False

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.row["schema"], self.row["name"])

    @property
    def table(self) -> str:
        """Its table, as people read it."""
        return names.display(self.row["schema"], self.row["table"])

    @property
    def bytes(self) -> int:
        """Its size by the server's statistics."""
        return int(self.row["bytes"])

    @property
    def bloat(self) -> float | None:
        """Return the share of it that is air; ``None``: nobody knows."""
        if self.needs is None or not self.bytes:
            return None
        return max(1 - self.needs / self.bytes, 0.0)

    @property
    def can_be(self) -> bool:
        """Whether it can be rebuilt beside writers at all, and says itself how bloated it is."""
        row = self.row
        return row["is_valid"] and not (row["is_exclusion"] or row["is_partitioned"]) and not is_left(row["name"])


def of(observation: Observation) -> list[Index]:
    """Return the indexes of an observation."""
    frames = observation.frames
    sizes = {row["oid"]: row for row in frames["sizes"]}
    return [_index(row, sizes.get(row["oid"])) for row in frames["indexes"]]


def _index(row: Mapping[str, Any], sizes: Mapping[str, Any] | None) -> Index:
    if sizes is None:
        return Index(row)
    exact = bloat.measured(sizes)
    return Index(row, bloat.estimated(sizes, row["entries"]) if exact is None else exact, exact is not None)


def rebuild(row: Mapping[str, Any]) -> Rebuild:
    """Return an index as an action holds it."""
    return Rebuild(
        schema_=row["schema"],
        name=row["name"],
        oid=row["oid"],
        table=names.display(row["schema"], row["table"]),
        table_oid=row["table_oid"],
        method=row["method"],
        definition=row["definition"],
        tablespace=row["tablespace"],
        comment=row["comment"],
        constraint=row["constraint_name"],
        is_replica_identity=row["is_replica_identity"],
        is_clustered=row["is_clustered"],
    )


def leaves(rows: Sequence[Mapping[str, Any]], oid: int) -> list[str]:
    """Return the indexes of the partitions of a partitioned table's index, of all levels."""
    found: list[str] = []
    for row in rows:
        if row["parent_oid"] == oid:
            below = leaves(rows, row["oid"]) if row["is_partitioned"] else [names.display(row["schema"], row["name"])]
            found += below
    return found


# -- what interrupted runs have left -----------------------------------------------------------------


def is_left(name: str) -> bool:
    """Return whether a name is one that the server gives to the other of two indexes while it rebuilds one."""
    return _LEFT.search(name) is not None


def left_name(name: str, of: str) -> bool:
    """Return whether the server would give this name while it rebuilds the other: cut to what a name may hold.

    >>> left_name("logs_at_idx_ccnew1", "logs_at_idx"), left_name("logs_ccnew", "logs_at_idx")
    (True, False)
    >>> left_name("é" * 28 + "_ccnew", "é" * 31)
    True
    """
    found = _LEFT.search(name)
    return found is not None and name == names.shorten(of, names.MAX_BYTES - len(found[0])) + found[0]


def leftovers(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield what is left of an index, and that index: of the same table, the same in all but its name, and invalid."""
    tables: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        tables.setdefault(row["table_oid"], []).append(row)
    for there in tables.values():
        for row in there:
            if row["is_valid"] or row["constraint_name"] is not None or not is_left(row["name"]):
                continue
            whole = next((other for other in there if _left_of(row, other)), None)
            if whole is not None:
                yield row, whole


def _left_of(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    alike = (row["schema"], row["shape"], row["is_unique"]) == (other["schema"], other["shape"], other["is_unique"])
    return other is not row and alike and left_name(row["name"], other["name"])


def leftover(row: Mapping[str, Any], of: Mapping[str, Any]) -> Leftover:
    """Return what is left of an index as an action holds it."""
    return Leftover(
        schema_=row["schema"],
        name=row["name"],
        oid=row["oid"],
        table_oid=row["table_oid"],
        definition=row["definition"],
        whole=names.display(of["schema"], of["name"]),
        whole_oid=of["oid"],
    )


# -- what speaks against it --------------------------------------------------------------------------


def refusal(row: Mapping[str, Any], server: Mapping[str, Any], free: int | None) -> tuple[ReasonCode, str] | None:
    """Return why an index is not rebuilt, whoever asks for it; ``None``: nothing speaks against it."""
    return next(_refusals(row, server, free), None)


def _refusals(row: Mapping[str, Any], server: Mapping[str, Any], free: int | None) -> Iterator[tuple[ReasonCode, str]]:
    no = ReasonCode.NOT_SUPPORTED
    if server["is_replica"]:
        yield no, "a replica takes no changes: give the primary as a target"
    if server["version_number"] in _CORRUPTING:
        text = f"PostgreSQL {server['version']} loses entries of indexes that are rebuilt beside writers"
        yield no, f"{text}: upgrade to 14.4 or later first"
    if row["is_partitioned"]:
        yield no, "it is the index of a partitioned table: name those of its partitions"
    if row["is_exclusion"]:
        yield no, "it belongs to an exclusion constraint, and the server rebuilds none of these beside writers"
    if is_left(row["name"]) and not row["is_valid"]:
        yield no, "an interrupted rebuilding left it: it is dropped, not rebuilt"
    if not row["may_drop"]:
        yield no, catalog.unowned(row)
    if not row["is_valid"] and row["is_held"]:
        yield ReasonCode.LOCK_NOT_OBTAINED, "somebody builds or drops it right now"
    if free is not None and free < ROOM * row["bytes"]:
        yield ReasonCode.OVERLOADED, room(row["bytes"], free)


def room(size: int, free: int) -> str:
    """Return that a disk has too little room for an index."""
    return f"its disk has {amount(free)} free, and {amount(ROOM * size)} are needed, twice its size"


def free_of(places: Sequence[Mapping[str, Any]], tablespace: str | None) -> int | None:
    """Return the free bytes where an index lies; ``None``: that cannot be seen from here."""
    mine = (place for place in places if (place["is_default"] if tablespace is None else place["name"] == tablespace))
    return next((place["free"] for place in mine), None)


def amount(count: float) -> str:
    """Return bytes in words.

    >>> amount(1_500_000_000), amount(81920)
    ('1.4 GiB', '0.1 MiB')
    """
    return f"{count / 1024**3:,.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:,.1f} MiB"
