"""A plain table that can be converted into a partitioned one: what the plan of its conversion is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from upkeep.partitioning.axis import Axis
from upkeep.partitioning.layout import Span

Facts: TypeAlias = Mapping[str, Any]
"""What a table carries: a row of ``conversion_facts``."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A plain table that can be converted.

    Attributes
    ----------
    column
        The partition column.
    span
        Bounds of the first partition: the table as it is.
    far
        Its highest value as text, when that lies beyond the period after the next one.
    """

    facts: Facts
    column: str
    axis: Axis
    span: Span
    far: str | None
