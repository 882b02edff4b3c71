"""Whether a column's numbers are times in the unit declared, for how long its type lasts, and what never ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from upkeep.jobs.partition_creation import limits
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, brief
from upkeep.model import Finding, Severity
from upkeep.postgres.partition_creation.view import Care

_REMEDY: Final = (
    "make a new table partitioned by a bigint column and move the rows there in time: the type of a partition key "
    "cannot be altered"
)
_BEFORE: Final = "make the column a bigint before approving: the type of a partition key cannot be altered"


def type_end(care: Care, now: datetime) -> Iterator[Finding]:
    """Yield that the partition column's type ends, while there is time to do something about it."""
    layout, plain = care.layout, care.conversion
    if plain is not None:
        key, axis = f"{plain.column} ({plain.axis.type})", plain.axis
        yield from limits.type_end(care.subject, key, axis, plain.span.upper, plain.position, now, _BEFORE)
    elif care.axis is not None and layout is not None and care.relation is not None:
        key, axis = f"{care.relation.key_columns[0]} ({care.axis.type})", care.axis
        place = care.place if care.place is not None else layout.current
        yield from limits.type_end(care.subject, key, axis, layout.horizon, place, now, _REMEDY)


def endless(care: Care) -> Iterator[Finding]:
    """Yield that one partition without an end takes all periods to come, so that none of those declared is made."""
    axis, layout = care.axis, care.layout
    last = care.spans[-1] if care.spans else None
    if axis is None or layout is None or last is None or last.upper != HIGHEST or last.lower >= layout.horizon:
        return
    if axis.end is not None and layout.horizon >= axis.end:
        return  # up to there, where the type ends, it is as declared
    start = "MINVALUE" if last.lower == LOWEST else brief(axis.write(last.lower))
    text = f"the partition from {start} to MAXVALUE of {care.table} takes all that is to come: no partition that is "
    text += "declared is made beside it"
    remedy = "detach it, run again, then insert its rows into the table"
    yield Finding.of("endless_partition", care.subject, Severity.WARNING, text, remedy)
