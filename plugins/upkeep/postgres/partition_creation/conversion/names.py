"""The names that a conversion gives: what the plain table and its indexes are called once they are a partition's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from upkeep.fleet import RangeLevel
from upkeep.postgres.partition_creation.conversion.view import Conversion
from upkeep.postgres.partition_creation.statements import child_names

CHECK: Final = "upkeep_convert_bounds"
"""Name of the CHECK that lets ATTACH trust the rows; gone once attached."""


def temporary(oid: int) -> str:
    """Return the name of the partitioned table until the names are exchanged."""
    return f"upkeep_convert_{oid}"


def wanted(conversion: Conversion, policy: RangeLevel) -> Iterator[str]:
    """Yield every name that may be given, to be looked up."""
    facts = conversion.facts
    yield temporary(facts["oid"])
    for name in _renamed(facts):
        yield from child_names(name, conversion.span, conversion.axis, policy.every)


def chosen(conversion: Conversion, policy: RangeLevel, taken: set[tuple[str, str]]) -> dict[str, str]:
    """Return the new name of the table and of each index: like a partition's, the first that is free."""
    facts = conversion.facts
    found: dict[str, str] = {}
    for name in _renamed(facts):
        candidates = child_names(name, conversion.span, conversion.axis, policy.every)
        new = next((c for c in candidates if (facts["schema"], c) not in taken), candidates[-1])
        taken.add((facts["schema"], new))
        found[name] = new
    return found


def of_statistics(conversion: Conversion, policy: RangeLevel) -> dict[str, str]:
    """Return the new names of extended statistics."""
    every = policy.every
    known = conversion.facts["statistics"]
    return {s["name"]: child_names(s["name"], conversion.span, conversion.axis, every)[0] for s in known}


def _renamed(facts: Any) -> list[str]:
    return [facts["name"], *(index["name"] for index in facts["indexes"])]
