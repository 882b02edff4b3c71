"""The partition key of a RANGE table: which column, through which function, and where its bounds lie on the axis.

Functions of the column that can be inverted are understood (UNIX_TIMESTAMP, TO_DAYS, TO_SECONDS, YEAR); others
are reported, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, Axis, UnknownBoundsError, Value, length
from upkeep.model.intervals import Duration
from upkeep.tidb import names, sql
from upkeep.tidb.sql import Sql

TIMES: Final = {"date": "date", "datetime": "timestamp", "timestamp": "timestamptz"}
"""TiDB's types of time and what they are on an axis: TIMESTAMP is an instant, DATETIME a wall clock."""
WHOLE_NUMBERS: Final = ("tinyint", "smallint", "mediumint", "int", "bigint", "integer", "year")
_BITS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
_LAST_YEAR: Final = 2155
"""Of a YEAR column."""
_LAST_SECOND: Final = 2**31 - 1
"""A TIMESTAMP ends at 2038-01-19 03:14:07 UTC."""
_ADDED: Final = 2**63 - 1
"""TiDB reads the bounds of RANGE as signed numbers when it adds a partition, those of an unsigned key too."""
_COLUMN: Final = re.compile(r"`((?:[^`]|``)+)`")
_FUNCTION: Final = re.compile(
    r"(?:floor\()?(unix_timestamp|to_days|to_seconds|year)\(`((?:[^`]|``)+)`\)\)?", re.IGNORECASE
)
_DAY: Final = 86_400_000_000
_DAY_ZERO: Final = 719_528
"""TO_DAYS('1970-01-01')."""
_SECOND: Final = 1_000_000
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d*)?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR: Final = 1


@dataclass(frozen=True, slots=True)
class Key:
    """What a table is partitioned by: one column, as it is or through a function.

    Attributes
    ----------
    function
        ``unix_timestamp``, ``to_days``, ``to_seconds``, ``year``, or empty.
    by_columns
        RANGE COLUMNS: bounds are literals of the column's type.
    """

    column: str
    function: str
    by_columns: bool

    @property
    def expression(self) -> Sql:
        """The key in a statement."""
        column = sql.identifier(self.column)
        return Sql(f"{self.function}({column.text})") if self.function else column


def read_key(method: str, expression: str) -> Key | str:
    """Return the key of a table, or why its partitions cannot be understood."""
    if not method.startswith("RANGE"):
        return f"partitioned by {method.lower()}"
    text = expression.strip()
    if method == "RANGE COLUMNS":
        if "`,`" in text:
            return f"partitioned by range of several columns ({text})"
        return Key(text[1:-1], "", by_columns=True)  # here TiDB prints a backtick in a name as it is
    column = _COLUMN.fullmatch(text)
    if column is not None:
        return Key(column[1].replace("``", "`"), "", by_columns=False)
    function = _FUNCTION.fullmatch(text)
    if function is not None and text.count("(") == text.count(")"):
        return Key(function[2].replace("``", "`"), function[1].lower(), by_columns=False)
    return f"partitioned by range of the expression {text}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where bounds lie: the axis of the column, and the function between it and the bounds.

    ``type`` is the column's TiDB type.
    """

    key: Key
    type: str
    axis: Axis

    def read(self, text: str | None) -> Value:
        """Return the place of a bound as the catalog shows it.

        Raises
        ------
        UnknownBoundsError
            It is no value of this key.
        """
        if text is None or text.upper() == "MAXVALUE":
            return HIGHEST
        try:
            return self._read(bare(text))
        except (ValueError, OverflowError, InvalidOperation) as error:
            raise UnknownBoundsError(text) from error

    def _read(self, text: str) -> Value:
        function = self.key.function
        if function == "to_days":
            return (int(text) - _DAY_ZERO) * _DAY
        if function == "to_seconds":
            return (int(text) - _DAY_ZERO * 86_400) * _SECOND
        if function == "year":
            year = int(text)
            return LOWEST if year < _FIRST_YEAR else _of(datetime(year, 1, 1, tzinfo=UTC))
        if function == "unix_timestamp":
            return int(Decimal(text) * _SECOND)
        return self.axis.read(text) if self.type in WHOLE_NUMBERS else _time(text)

    def number(self, value: Value) -> str:
        """Return a place as the bound's text: a number, or a date and time without quotes; MAXVALUE at the type's end.

        RANGE COLUMNS takes no bound that the type cannot hold, and of RANGE a signed bigint's is read as negative.
        """
        if value == self.axis.end:
            return "MAXVALUE"
        function = self.key.function
        if function == "to_days":
            return str(value // _DAY + _DAY_ZERO)
        if function == "to_seconds":
            return str(value // _SECOND + _DAY_ZERO * 86_400)
        if function == "year":
            return str((_EPOCH + timedelta(microseconds=value)).year)
        if function == "unix_timestamp":
            return str(value // _SECOND)
        return self.axis.write(value)

    def bound(self, value: Value) -> Sql:
        """Return a place as the literal for VALUES LESS THAN (…)."""
        text = self.number(value)
        return Sql(text) if text == "MAXVALUE" or re.fullmatch(r"-?\d+", text) else sql.literal(text)

    def is_end(self, value: Value) -> bool:
        """Return whether no value of the column's type lies at this place or above."""
        return self.axis.end is not None and value >= self.axis.end

    def reaches_end(self, last: Value, every: Duration | int) -> bool:
        """Return whether what follows a last bound is no more than the last period that the type has room for."""
        if self.axis.end is None or last <= LOWEST:
            return False
        return 2 * (self.axis.end - last) < 3 * length(every)  # as the layout joins what is shorter than half a period

    def can_add(self, value: Value) -> bool:
        """Return whether TiDB can add a partition up to a place, or after one that ends there."""
        return self.key.by_columns or self.type != "bigint" or self.is_end(value) or int(self.number(value)) <= _ADDED

    def text(self, value: Value) -> str:
        """Return a place for people: a time rather than a number of days."""
        if value <= LOWEST:
            return "the beginning"
        if value >= HIGHEST or self.is_end(value):
            return "the end"
        if self.axis.is_id:
            return str(value)
        try:
            return (_EPOCH + timedelta(microseconds=value)).replace(tzinfo=None).isoformat(sep=" ")
        except OverflowError:  # beyond the calendar
            return self.number(value)

    def exact(self, value: Value) -> bool:
        """Return whether a bound at this place says exactly that (YEAR cannot say a month)."""
        return self.is_end(value) or self._read(self.number(value)) == value


def bare(text: str | None) -> str:
    """Return a bound as the catalog shows it without its quotes; ``MAXVALUE`` for none."""
    return "MAXVALUE" if text is None else text.strip().strip("'")


def place(text: str | None) -> Value:
    """Return where a bound lies among the bounds of its table, as a value: never compare bounds as text.

    The catalog writes the same bound in several ways: a date or its midnight, with as many zeros of a fraction as
    the column has, quoted or not. A table's bounds are all numbers or all times.

    Raises
    ------
    UnknownBoundsError
        It is neither.

    >>> place("'2026-12-01 00:00:00.000'") == place("2026-12-01") < place("2026-12-01 00:00:00.000001")
    True
    >>> place("-5") < place("18446744073709551615") < place("MAXVALUE") == place(None)
    True
    """
    known = bare(text)
    if known.upper() == "MAXVALUE":
        return HIGHEST
    try:
        return int(Decimal(known) * _SECOND) if _NUMBER.fullmatch(known) else _time(known)
    except ValueError as error:
        raise UnknownBoundsError(known) from error


def _time(text: str) -> Value:
    """Return a time's place; the year 0, which Python does not know, is the beginning."""
    if text.startswith("0000-"):
        return LOWEST
    return _of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def unfit(key: Key, type_: str, every: Duration | int, unit: str | None) -> tuple[str, str] | None:
    """Return why a policy's periods do not fit the key, and the remedy; ``None`` when they do."""
    if type_ not in TIMES and type_ not in WHOLE_NUMBERS:
        return f"the key {key.column} is of type {type_}", "partition by a date, datetime, timestamp or integer column"
    if type_ in TIMES:
        if isinstance(every, int):
            text = f"{key.column} is a {type_}, but every: {every} is a number of ids"
            return text, "write a length of time, e.g. every: 1 month"
        if key.function == "year" and (not every.months or every.months % 12):
            return f"bounds by YEAR({key.column}) are whole years, every: {every} is not", "write every: 1 year"
        if (type_ == "date" or key.function == "to_days") and every.seconds % 86_400:
            return f"bounds of {key.column} are whole days, every: {every} is not", "write days or longer"
        if type_ == "timestamp" and key.function not in ("unix_timestamp", ""):
            text = f"{key.function}({key.column}) of a TIMESTAMP depends on each session's time zone"
            return text, f"partition by UNIX_TIMESTAMP({key.column}), or by a DATETIME column"
        return None
    if not isinstance(every, int) and unit is None:
        text = f"{key.column} is a whole number: the policy does not say what it counts"
        return text, "add unit: seconds, milliseconds or microseconds (since 1970), or write every as a number of ids"
    return None


def scale(key: Key, type_: str, zone: ZoneInfo, unit: str | None, *, unsigned: bool = False) -> Scale:
    """Return the scale of a key that `unfit` finds nothing against; ``unit`` is what a whole number counts."""
    if type_ not in TIMES:
        last = 2 ** (_BITS[type_] - (not unsigned)) - 1 if type_ in _BITS else _LAST_YEAR
        return Scale(key, type_, Axis("int8", zone, unit, last))
    if key.function == "unix_timestamp" or type_ == "timestamp":
        return Scale(key, type_, Axis("timestamptz", zone, last=_LAST_SECOND))
    return Scale(key, type_, Axis(TIMES[type_], zone))


def same_column(one: str, by: str) -> bool:
    """Return whether a policy's ``by`` names the column."""
    return names.same(one, names.column(by))


def _of(moment: datetime) -> Value:
    return (moment - _EPOCH) // timedelta(microseconds=1)
