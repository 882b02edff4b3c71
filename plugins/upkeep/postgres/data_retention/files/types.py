"""PostgreSQL's types in Parquet files: how each column is kept, and how it travels there. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from psycopg import sql

from upkeep.postgres.data_retention.args import ColumnOf
from upkeep.stores.columns import MOST_DIGITS, Column

_KINDS: Final = {
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "oid": "uint32",
    "real": "float32",
    "double precision": "float64",
    "boolean": "bool",
    "bytea": "binary",
    "uuid": "uuid",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}
"""Types as ``format_type`` prints them, without length: a user's type of the same name has its schema before it."""
_SENDERS: Final = {
    "real": "float4send",
    "double precision": "float8send",
    "uuid": "uuid_send",
    "date": "date_send",
    "timestamp without time zone": "timestamp_send",
    "timestamp with time zone": "timestamptz_send",
    "time without time zone": "time_send",
}
_LENGTH: Final = re.compile(r"\(\d+\)")
_NUMERIC: Final = re.compile(r"numeric\((\d+),(-?\d+)\)")


def columns(facts: Sequence[ColumnOf], as_text: Collection[str] = ()) -> list[Column]:
    """Return how a table's columns are kept.

    Parameters
    ----------
    facts
        What an action says of them.
    as_text
        Columns with values that their Parquet types cannot say.
    """
    return [Column(c.name, c.type, "text" if c.name in as_text else kind(c.type)) for c in facts]


def kind(type_: str) -> str:
    """Return how a type is kept: exactly, or as PostgreSQL's own text."""
    match = _NUMERIC.fullmatch(type_)
    if match is not None:
        digits, scale = int(match[1]), int(match[2])
        return f"decimal({digits},{scale})" if digits <= MOST_DIGITS and 0 <= scale <= digits else "text"
    return _KINDS.get(_LENGTH.sub("", type_), "text")


def sent(found: Iterable[Column], alias: str = "t") -> sql.Composed:
    """Return the select list that sends the columns as the wire has them."""
    return sql.SQL(", ").join(_sent(column, sql.Identifier(alias, column.name)) for column in found)


def _sent(column: Column, value: sql.Identifier) -> sql.Composable:
    if column.kind == "text":
        return value
    if column.kind == "bool":
        return sql.SQL("{}::text").format(value)
    if column.kind == "binary":
        return sql.SQL("encode({}, 'hex')").format(value)
    if column.decimal:
        scale = column.decimal[1]
        return sql.SQL("trunc({} * {})").format(value, sql.SQL(f"1{'0' * scale}")) if scale else value
    sender = _SENDERS.get(_LENGTH.sub("", column.type))
    if sender is None:
        return value
    return sql.SQL("encode({}({}), 'hex')").format(sql.Identifier("pg_catalog", sender), value)
