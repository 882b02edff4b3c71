"""Whether rows fit into an archive table: compared column by column before any row moves. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from upkeep.jobs.data_retention.refusal import Drift
from upkeep.model import Json
from upkeep.tidb import names
from upkeep.tidb.catalog import Planned

_INTEGERS: Final = ("tinyint", "smallint", "mediumint", "int", "bigint")
_SIZED: Final = re.compile(
    r"(varchar|char|varbinary|binary|datetime|timestamp|time|decimal)(?:\((\d+)(?:,(\d+))?\))?(.*)"
)
_TEXTS: Final = ("tinytext", "text", "mediumtext", "longtext")
_BLOBS: Final = ("tinyblob", "blob", "mediumblob", "longblob")


def drift(
    columns: Sequence[Mapping[str, Any]], archive: Sequence[Mapping[str, Any]], table: str, *, own: Collection[str] = ()
) -> list[Drift]:
    """Return what keeps the table's rows from fitting into the archive.

    Parameters
    ----------
    columns, archive
        Rows of ``columns.sql``.
    table, own
        The archive's name as in SQL; its columns, in small letters, that get their value by AUTO_RANDOM.
    """
    theirs = {c["name"].lower(): c for c in archive}
    found: list[Drift] = []
    for column in columns:
        found += _column(column, theirs.get(column["name"].lower()), table)
    ours = {c["name"].lower() for c in columns}
    for extra in archive:
        needed = not extra["nullable"] and not extra["has_default"] and not extra["is_generated"]
        if extra["name"].lower() not in {*ours, *own} and needed:
            quoted = names.quote(extra["name"])
            text = f"{table} needs a value for {quoted}, which the table does not have"
            found.append(Drift(text, f"alter table {table} modify column {quoted} {extra['type']} null"))
    return found


def key_drift(
    keys: Sequence[Mapping[str, Any]],
    archive: Sequence[Mapping[str, Any]],
    table: str,
    *,
    copied: Collection[str],
    own: Collection[str] = (),
) -> list[Drift]:
    """Return the archive's unique keys that two rows of the table could meet in: nothing may be moved before.

    A unique key of the archive is safe when it tells apart all that a unique key of the table tells apart: it has all
    the parts of that, as long, and compared as finely. Or it has a value that the archive gives by itself.

    Parameters
    ----------
    keys, archive
        Rows of ``unique_keys.sql``.
    table
        The archive's name as in SQL.
    copied, own
        Columns, in small letters, that get the table's values; and those that the archive fills by AUTO_RANDOM.
    """
    ours = _by_name(keys)
    found: list[Drift] = []
    for name, parts in _by_name(archive).items():
        given = any(p["is_own"] or _of(p) in own for p in parts if _of(p) not in copied)
        if given or any(all(_covered(part, parts) for part in theirs) for theirs in ours.values()):
            continue
        listed = ", ".join(str(p["column"] or p["expression"]) for p in parts)
        alike = next((t for t in ours.values() if {_of(p) for p in parts} >= {_of(p) for p in t}), None)
        quoted = names.quote(name)
        drop = f"alter table {table} drop " + ("primary key" if name == "PRIMARY" else f"index {quoted}")
        if alike is None:
            text = f"{table} has a unique key {quoted} ({listed}) that the table does not have: rows may agree there"
            found.append(Drift(text, f"{drop}; where TiDB refuses that, make {table} anew without it"))
            continue
        wanted = ", ".join(f"{_whole(p)} {p['collation'] or ''}".rstrip() for p in alike)
        text = f"{table} compares the unique key {quoted} ({listed}) otherwise than the table: rows that differ there "
        text += "may be one in the archive"
        found.append(Drift(text, f"make it as the table's ({wanted}): {drop}, modify the column, add it again"))
    return found


def bound_drift(ours: Sequence[Mapping[str, str]], archive: Sequence[Mapping[str, str]], table: str) -> list[Drift]:
    """Return the checks and foreign keys of the archive that rows of the table need not meet, or that take rows away.

    Parameters
    ----------
    ours, archive
        What `create_text.constraints` found.
    """
    known = {one["text"] for one in ours}
    found: list[Drift] = []
    for one in archive:
        kind = "constraint" if one["text"].startswith("CHECK") else "foreign key"
        drop = f"alter table {table} drop {kind} {one['name']}"
        if one["text"] not in known:
            found.append(Drift(f"{table} asks of its rows what the table does not: {one['name']} {one['text']}", drop))
        elif one["on_delete"] in ("CASCADE", "SET NULL"):
            text = f"what is archived in {table} would change with others' rows (ON DELETE {one['on_delete']} of "
            found.append(Drift(f"{text}{one['name']})", drop))
    return found


def _by_name(keys: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for part in keys:
        found.setdefault(part["name"], []).append(part)
    return found


def _of(part: Mapping[str, Any]) -> str:
    return str(part["column"] or part["expression"]).lower()


def _whole(part: Mapping[str, Any]) -> str:
    return f"{_of(part)}({part['prefix']})" if part["prefix"] is not None else _of(part)


def _covered(part: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether one of the archive's parts tells apart all that a part of the table's key does."""

    def covers(other: Mapping[str, Any]) -> bool:
        long = other["prefix"] is None or (part["prefix"] is not None and other["prefix"] >= part["prefix"])
        same = _of(other) == _of(part) and (other["column"] is None) == (part["column"] is None)
        return same and long and _finer(part["collation"], other["collation"])

    return any(covers(other) for other in parts)


def _finer(source: str | None, archive: str | None) -> bool:
    """Return whether a collation tells apart all that another does: by bytes, with the end's spaces where that does."""
    if source == archive or archive is None or archive in ("binary", "utf8mb4_0900_bin"):
        return True
    return archive.endswith("_bin") and source is not None and "_0900_" not in source and source != "binary"


def moved(columns: Sequence[Mapping[str, Any]], archive: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that are copied: all but those that the archive computes itself."""
    computed = {c["name"].lower() for c in archive if c["is_generated"]}
    return [c["name"] for c in columns if c["name"].lower() not in computed]


def shape(columns: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return name → type, by which a batch sees that a table is still the one of the plan."""
    return {c["name"].lower(): c["type"] for c in columns}


def changed(tables: Mapping[str, Planned], planned: Json, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return which columns are not those of the plan any more; ``rows`` are those of ``shape.sql``."""
    for which, where in tables.items():
        now = shape(r for r in rows if names.same(r["schema"], where.schema) and names.same(r["table"], where.name))
        wanted = planned.get(which, {})
        if now != wanted:
            odd = sorted(c for c in {*now, *wanted} if now.get(c) != wanted.get(c))
            return f"columns of {where.name} are not those of the plan any more ({', '.join(odd)})"
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
    if other["is_generated"] and column["is_generated"] and other["expression"] != column["expression"]:
        text = f"{table}.{quoted} is generated by another expression than in the table"
        yield Drift(text, f"drop {quoted} from {table} and add it with the table's expression")


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
    if archive.startswith("binary"):
        return False  # it fills up with zeros: another value
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
