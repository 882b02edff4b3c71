"""What partition creation reports besides its actions: what it leaves out, what lies in the way, what ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from upkeep.jobs.partition_creation import limits
from upkeep.jobs.partition_creation.axis import LOWEST
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.tidb import names
from upkeep.tidb.catalog import Partition
from upkeep.tidb.partition_creation.care import Care
from upkeep.words import counted

_WIDER: Final = (
    "make a new table partitioned by a wider column (bigint, or datetime) and move the rows there in time: the type of "
    "a partition key cannot be altered"
)


def findings(care: Care, now: datetime, *, blocked: bool) -> Iterator[Finding]:
    """Yield everything that a person should know of a table's partitions; ``blocked``: they cannot be made."""
    if care.problem is not None:
        yield care.problem
    if care.scale is not None and care.layout is not None:
        key = f"{names.quote(care.scale.key.column)} ({care.scale.type})"
        yield from limits.type_end(care.subject, key, care.scale.axis, care.layout.horizon, care.place, now, _WIDER)
    if blocked and care.divided is not None and care.maxvalue is None:
        yield _undivided(care, care.divided)
    if care.left_out or (care.layout is not None and care.layout.more):
        more = f"at least {care.left_out}" if care.layout and care.layout.more else str(care.left_out)
        yield Finding.of(
            "creation_cap",
            care.subject,
            Severity.WARNING,
            f"{len(care.new_bounds)} partitions are created, {more} older ones are not: the first new one is that long",
            evidence={"max_creations": care.policy.max_creations},
            remedy="check 'every' and 'from', or raise max_creations",
        )
    for span, partition in care.partitions[-1:]:
        known = care.scale
        if known is not None and span.upper > LOWEST and not known.axis.is_id and not known.exact(span.upper):
            text = f"the bound of {partition.name} is no whole unit of its key"
            yield Finding.of("bounds", care.subject, Severity.WARNING, text, remedy="report this")
    yield from _of_maxvalue(care)


def _undivided(care: Care, last: Partition) -> Finding:
    """Return that partitions beyond 2^63 only come by dividing the last one, which copies its rows."""
    text = f"TiDB adds no partition beyond {2**63 - 1} to a RANGE table, and {last.name} has too many rows to divide it"
    remedy = "raise move_default_rows in the policy, or make the table anew with RANGE COLUMNS, which has no such limit"
    return Finding.of("partition_bounds", care.subject, Severity.ERROR, text, remedy=remedy)


def _of_maxvalue(care: Care) -> Iterator[Finding]:
    if care.maxvalue is None or care.max_rows == 0:
        return
    name, rows, inside = care.maxvalue.name, care.max_rows, care.max_inside
    if rows is None:
        text = f"how many rows the MAXVALUE partition {name} holds could not be counted in time"
        remedy = "give its tables statistics, or divide the partition by hand"
        unseen = FindingStatus.NOT_AVAILABLE
        yield Finding.of("default_rows", care.subject, Severity.WARNING, text, remedy, status=unseen)
        return
    evidence = {"rows": rows, "inside": inside, "partition": name}
    over = rows > care.policy.move_default_rows
    count = f"more than {counted(care.policy.move_default_rows, 'row')}" if over else counted(rows, "row")
    if care.new_bounds:
        text = f"{count} in the MAXVALUE partition {name}, {inside} of them where partitions are missing"
        severity = Severity.ERROR if over else Severity.WARNING
        way_out = "raise move_default_rows in the policy, or reorganise it by hand" if over else None
        yield Finding.of("default_rows", care.subject, severity, text, way_out, evidence=evidence)
    else:
        text = f"{count} in the MAXVALUE partition {name}, beyond the declared partitions"
        remedy = "correct their time, or raise 'ahead' when they are right"
        yield Finding.of("default_future_rows", care.subject, Severity.WARNING, text, evidence=evidence, remedy=remedy)
