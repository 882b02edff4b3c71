"""Whether rows fit into an archive table: compared column by column before any row moves. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from upkeep.tidb import names

if TYPE_CHECKING:
    from upkeep.plan import Json

_INTEGERS: Final = ("tinyint", "smallint", "mediumint", "int", "bigint")
_SIZED: Final = re.compile(
    r"(varchar|char|varbinary|binary|datetime|timestamp|time|decimal)(?:\((\d+)(?:,(\d+))?\))?(.*)"
)
_TEXTS: Final = ("tinytext", "text", "mediumtext", "longtext")
_BLOBS: Final = ("tinyblob", "blob", "mediumblob", "longblob")


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which the archive does not take the table's rows, and the statement that mends it."""

    text: str
    remedy: str


def drift(columns: Sequence[Mapping[str, Any]], archive: Sequence[Mapping[str, Any]], table: str) -> list[Drift]:
    """Return what keeps the table's rows from fitting into the archive.

    Parameters
    ----------
    columns, archive
        Rows of ``columns.sql``.
    table
        The archive's name as in SQL.
    """
    theirs = {c["name"].lower(): c for c in archive}
    found: list[Drift] = []
    for column in columns:
        found += _column(column, theirs.get(column["name"].lower()), table)
    ours = {c["name"].lower() for c in columns}
    for extra in archive:
        needed = not extra["nullable"] and not extra["has_default"] and not extra["is_generated"]
        if extra["name"].lower() not in ours and needed:
            quoted = names.quote(extra["name"])
            text = f"{table} needs a value for {quoted}, which the table does not have"
            found.append(Drift(text, f"alter table {table} modify column {quoted} {extra['type']} null"))
    return found


def moved(columns: Sequence[Mapping[str, Any]], archive: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that are copied: all but those that the archive computes itself."""
    computed = {c["name"].lower() for c in archive if c["is_generated"]}
    return [c["name"] for c in columns if c["name"].lower() not in computed]


def shape(columns: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return name → type, by which a batch sees that a table is still the one of the plan."""
    return {c["name"].lower(): c["type"] for c in columns}


def changed(args: Json, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return which columns are not those of the plan any more; ``rows`` are those of ``shape.sql``."""
    planned = args.get("shape") or {}
    for which in ("table", "archive"):
        where = args[which]
        now = shape(
            r for r in rows if names.same(r["schema"], where["schema"]) and names.same(r["table"], where["name"])
        )
        wanted = planned.get(which, {})
        if now != wanted:
            odd = sorted(c for c in {*now, *wanted} if now.get(c) != wanted.get(c))
            return f"columns of {where['name']} are not those of the plan any more ({', '.join(odd)})"
    return None


def _column(column: Mapping[str, Any], other: Mapping[str, Any] | None, table: str) -> Iterator[Drift]:
    quoted, wanted = names.quote(column["name"]), column["type"]
    if other is None:
        yield Drift(f"{table} has no column {quoted}", f"alter table {table} add column {quoted} {wanted}")
        return
    modify = f"alter table {table} modify column {quoted} {wanted}"
    if not fits(wanted, other["type"]):
        yield Drift(f"{table}.{quoted} is {other['type']}, narrower than {wanted}", modify)
    if column["charset"] and other["charset"] != column["charset"] and other["charset"] != "utf8mb4":
        text = f"{table}.{quoted} is {other['charset']}, the table's is {column['charset']}"
        yield Drift(text, f"{modify} character set {column['charset']}")
    if column["nullable"] and not other["nullable"] and not other["is_generated"]:
        yield Drift(f"{table}.{quoted} refuses NULL, the table does not", f"{modify} null")
    if other["is_generated"] and not column["is_generated"]:
        yield Drift(f"{table}.{quoted} is generated, in the table it is not", modify)


def fits(source: str, archive: str) -> bool:
    """Return whether every value of one type is kept whole by the other (types as the catalog has them)."""
    if source == archive:
        return True
    mine, theirs = _integer(source), _integer(archive)
    if mine is not None and theirs is not None:
        return mine[0] < theirs[0] and (mine[1] or not theirs[1]) if mine[1] != theirs[1] else mine[0] <= theirs[0]
    for family in (_TEXTS, _BLOBS):
        if source in family and archive in family:
            return family.index(source) <= family.index(archive)
    if archive in ("text", "mediumtext", "longtext") and source.startswith(("varchar", "char")):
        return archive != "text" or int(re.sub(r"\D", "", source) or 0) * 4 <= 65_535  # noqa: PLR2004 - bytes of TEXT
    one, other = _SIZED.fullmatch(source), _SIZED.fullmatch(archive)
    if one is None or other is None or (one[1], one[4]) != (other[1], other[4]):
        return False
    if one[1] == "decimal":
        scale, their_scale = int(one[3] or 0), int(other[3] or 0)
        return their_scale >= scale and int(other[2] or 10) - their_scale >= int(one[2] or 10) - scale
    return int(other[2] or 0) >= int(one[2] or 0)


def _integer(type_: str) -> tuple[int, bool] | None:
    match = re.fullmatch(r"(\w+)(?:\(\d+\))?( unsigned)?", type_)
    if match is None or match[1] not in _INTEGERS:
        return None
    return _INTEGERS.index(match[1]), match[2] is not None
