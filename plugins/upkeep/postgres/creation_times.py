"""Whether a column's numbers are times in the unit that is declared, and for how long its type lasts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

from upkeep.partitioning.axis import HIGHEST, LOWEST
from upkeep.plan import Finding, Severity
from upkeep.postgres.bounds import LAST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from upkeep.partitioning.axis import Axis, Value
    from upkeep.postgres.catalog import Relation
    from upkeep.postgres.creation_model import Care
    from upkeep.postgres.session import PostgresSession

UNIT: Final = "unit"
"""Name of the check."""
_UNSEEN: Final = (
    *(psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled),
    *(psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable),
)
SAMPLE_TIMEOUT: Final = "2s"
"""A hundred rows, and the highest number of an index, come at once; without an index the rows must do."""
SOON_DAYS: Final = 366
"""So long before the column's type ends a new column must be on its way: rewriting a large table takes months."""
FAR_DAYS: Final = 20 * 366
"""What ends later is not yet mentioned."""
SOON_SHARE: Final = 10
"""Ids have no pace: they end soon when less than a tenth of them is left, and half of them is worth mentioning."""
_DAY: Final = 86_400_000_000
_REMEDY: Final = (
    "make a new table partitioned by a bigint column and move the rows there in time: the type of a partition key "
    "cannot be altered"
)


def counts_time(axis: Axis) -> bool:
    """Return whether the column holds numbers that are to be times."""
    return axis.type in LAST and not axis.is_id


def told_by(spans: Iterable[tuple[Value | None, Value | None]]) -> bool:
    """Return whether bounds tell the unit: one is neither open nor 0."""
    return any(place not in (None, 0, LOWEST, HIGHEST) for span in spans for place in span)


def sample(session: PostgresSession, relation: Relation, column: str) -> list[int]:
    """Return a column's highest number and some others; what cannot be read now is left out, and said elsewhere."""
    parts = {"key": sql.Identifier(column), "table": relation.full_name.identifier}
    found: list[int] = []
    for name in ("sample_numbers", "highest_in"):
        with contextlib.suppress(*_UNSEEN), session.transaction():
            session.rows("set_local_timeouts", {"lock": "1s", "statement": SAMPLE_TIMEOUT})
            found += [row["at"] for row in session.execute(session.statement(name, **parts)) if row["at"] is not None]
    return found


def misread(subject: str, column: str, axis: Axis, values: Iterable[Value], what: str = "bounds") -> Finding | None:
    """Return that the numbers of a column are no times in the unit that the policy declares."""
    why = axis.implausible(values)
    if why is None:
        return None
    text = f"the {what} of {column} are no times in {axis.unit}: {why}"
    remedy = "correct unit: in the fleet file; until then nothing is created, detached or deleted here"
    return Finding.of(UNIT, subject, Severity.ERROR, text, remedy, evidence={"unit": axis.unit})


def type_end(care: Care, now: datetime) -> Iterator[Finding]:
    """Yield that the partition column's type ends, while there is time to do something about it."""
    axis, layout = care.axis, care.layout
    if axis is None or layout is None or axis.end is None or axis.last is None or care.relation is None:
        return
    reached = layout.horizon >= axis.end
    key = f"{care.relation.key_columns[0]} ({axis.type})"
    evidence = {"type": axis.type, "last": axis.last}
    if axis.is_id:
        place = care.place if care.place is not None else layout.current
        left = max(axis.end - place, 0)
        said, over = f"{left:,} ids are left", left <= 1
        severity = _severity(over=over, soon=reached or left * SOON_SHARE < axis.end, worth=left * 2 < axis.end)
    elif axis.end - axis.of(now) > FAR_DAYS * _DAY:
        return
    else:
        last = axis.instant(axis.end - 1)
        days = (last - now).days
        said, over = f"it lasts until {last.date()}, {days:,} days from now", last <= now
        said = f"it ended at {last.date()}" if over else said
        evidence |= {"ends": last.isoformat(), "days_left": days}
        severity = _severity(over=over, soon=reached or days < SOON_DAYS, worth=True)
    if severity is None:
        return
    text = f"{key} ends at {axis.last:,}: {said}"
    text += "; the last partition reaches up to there (MAXVALUE), and none is made beyond" if reached else ""
    yield Finding.of("type_end", care.subject, severity, text, _REMEDY, evidence=evidence)


def _severity(*, over: bool, soon: bool, worth: bool) -> Severity | None:
    if over:
        return Severity.ERROR
    return Severity.WARNING if soon else Severity.INFO if worth else None
