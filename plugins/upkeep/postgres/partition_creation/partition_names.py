"""Which names new partitions get, and which are thought of when those are taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from upkeep.fleet import RangeLevel
from upkeep.postgres.bounds import Axis
from upkeep.postgres.partition_creation.forms import Form, Rest
from upkeep.postgres.partition_creation.statements import child_names
from upkeep.postgres.partition_creation.view import AnyLevel, Care


def of_level(parent: str, form: Form, axis: Axis | None, level: AnyLevel) -> list[str]:
    """Return names for a partition of a level, the best first."""
    return child_names(parent, form, axis, level.every if isinstance(level, RangeLevel) else 1)


def names_of(care: Care, form: Form) -> list[str]:
    """Return names for a new partition, the best first."""
    assert care.relation is not None  # noqa: S101 - only tables that exist get partitions
    return of_level(care.relation.name, form, care.axis, care.level)


def names_below(care: Care, child: str, form: Form) -> list[str]:
    """Return names for a partition of a new partition, the best first."""
    assert care.branch is not None  # noqa: S101 - asked only where sub-partitions are declared
    return of_level(child, form, care.branch.axis, care.branch.level)


def names_thought_of(care: Care, form: Form) -> list[str]:
    """Return every name that a new partition and its own partitions may get."""
    found = names_of(care, form)
    if care.branch is None or isinstance(form, Rest):
        return found
    return [*found, *(n for child in found for leaf in care.branch.forms for n in names_below(care, child, leaf))]


def choose(schema: str, thought_of: Sequence[str], taken: set[tuple[str, str]]) -> str:
    """Return the best name that is free, and take it."""
    name = next((n for n in thought_of if (schema, n) not in taken), thought_of[-1])
    taken.add((schema, name))
    return name
