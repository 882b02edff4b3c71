"""Ages in statements: a cut-off as the column reads it, and which values are no time at all. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from upkeep.jobs.partition_creation.axis import Axis, Value
from upkeep.tidb import sql
from upkeep.tidb.sql import Sql

ZERO_DATES_END: Final = "0001-01-01"
"""'0000-00-00' and its like are no time: MySQL's old way to say unknown."""
ODD_DATES: Final = ("date", "timestamp")
"""Axis types of the columns that take dates with a month or a day of 0: DATE and DATETIME."""


def age_text(axis: Axis, value: Value) -> str:
    """Return a place on the age axis as text that the column's type reads, in UTC for instants."""
    if axis.type == "timestamptz":
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
        return instant.replace(tzinfo=None).isoformat(sep=" ")
    return axis.write(value)


def ageless(age: str, axis_type: str) -> Sql:
    """Return the predicate of rows that have no time."""
    column = sql.identifier(age)
    if axis_type.startswith("int"):
        return sql.fill("{a} is null", a=column)
    odd = sql.fill(" or {o}", o=odd_date(column)) if axis_type in ODD_DATES else Sql("")
    return sql.fill("({a} is null or {a} < %(end)s{odd})", {"end": ZERO_DATES_END}, a=column, odd=odd)


def odd_date(column: Sql) -> Sql:
    """Return the predicate of dates whose month or day is 0 (2026-00-10): TiDB orders them, but they are no time."""
    return sql.fill("(month({a}) = 0 or dayofmonth({a}) = 0)", a=column)


def aged(column: Sql, axis_type: str, before: str) -> Sql:
    """Return the predicate of rows that are older; a row without a time is none of them."""
    value = Sql(str(int(before))) if axis_type.startswith("int") else sql.literal(before)
    parts = [sql.fill("{a} < {c}", a=column, c=value)]
    # rows without a time are never due, and the zero date sorts before every cut-off
    if not axis_type.startswith("int"):
        parts.append(sql.fill("{a} >= %(end)s", {"end": ZERO_DATES_END}, a=column))
    if axis_type in ODD_DATES:
        parts.append(sql.fill("not {odd}", odd=odd_date(column)))
    return sql.joined(" and ", parts)
