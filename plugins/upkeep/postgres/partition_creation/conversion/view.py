"""A plain table that can be converted into a partitioned one: what the plan of its conversion is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from upkeep.jobs.partition_creation.axis import Axis, Value
from upkeep.jobs.partition_creation.layout import Span

Facts: TypeAlias = Mapping[str, Any]
"""What a table carries: a row of ``conversion/facts.sql``."""
_CARRIED: Final = (
    *("owner", "grants", "comment", "has_labels", "of_extension", "rules", "triggers", "policies"),
    *("row_security", "force_row_security", "columns", "identities", "serials", "checks", "foreign_keys"),
    *("switched_off", "statistics", "subscriptions"),
)
_RIGHTS: Final = ("owner", "grants", "identities")
"""What no lock on the table keeps others from changing: rights to it, and to the sequences of its identities."""
_OF_THE_WHOLE: Final = ("tablespace", "replica_identity", "replica_index", "indexes")
"""What a partition has of its own, which stays with it when the conversion is taken back."""


def lost(before: Facts, after: Facts, *, back: bool = False) -> list[str]:
    """Return what the table that bears the name carried before a conversion (or its undo), and not after it.

    Publications are left out: to read them takes time that nobody should wait for.
    """
    keys = _CARRIED if back else (*_CARRIED, *_OF_THE_WHOLE)
    return [key for key in keys if _comparable(key, before[key]) != _comparable(key, after[key])]


def rights_changed(before: Facts, after: Facts) -> bool:
    """Return whether others gave or took rights between two looks; under our lock too they may."""
    return any(_comparable(key, before[key]) != _comparable(key, after[key]) for key in _RIGHTS)


def _comparable(key: str, value: Any) -> Any:
    known = json.loads(json.dumps(value))  # as an action's arguments hold it
    if key == "indexes":  # in the order of their names: object ids differ, and with them the order
        return sorted(({**index, "oid": None} for index in known), key=lambda index: str(index["name"]))
    return known


@dataclass(frozen=True, slots=True)
class Conversion:
    """A plain table that can be converted.

    Attributes
    ----------
    column
        The partition column.
    position
        Where writers stand: the clock, or the highest id.
    span
        Bounds of the first partition: the table as it is.
    far
        Its highest value as text, when that lies beyond the period after the next one.
    before
        Names of the row triggers that run before a row is written and name the partition column.
    """

    facts: Facts
    column: str
    axis: Axis
    position: Value
    span: Span
    far: str | None
    before: tuple[str, ...]
