"""The statements that make one partition, built from an action's arguments alone.

The plan shows them and apply sends them: they are the same because both come from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from psycopg import sql

from upkeep.model import digest
from upkeep.model.intervals import Duration
from upkeep.postgres import names
from upkeep.postgres.bounds import Axis
from upkeep.postgres.partition_creation.forms import Form, Span, word
from upkeep.postgres.session import statement

Args: TypeAlias = Mapping[str, Any]

CHECK: Final = "upkeep_bounds"
"""Name of the CHECK constraint that lets ATTACH trust the rows; gone once attached."""
OPEN: Final = ("MINVALUE", "MAXVALUE")
"""Bounds that are none: the partition reaches to where the type ends."""
PRIVILEGES: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"})
_OPTION: Final = re.compile(r"(toast\.)?[a-z_][a-z0-9_]*")
_DIGEST: Final = 8
_MONTHS_A_YEAR: Final = 12
_HOUR: Final = 3600


def child_names(parent: str, form: Form, axis: Axis | None = None, every: Duration | int = 1) -> list[str]:
    """Return names for a partition, the best first: ``<parent>_<YYYY>_<MM>…`` or ``<parent>_<label>``; then digests.

    Never longer than PostgreSQL keeps: a long parent's name (or label) is cut, and a digest keeps it distinct.
    """
    label = f"_{_word(form, axis, every)}"
    if len(label.encode()) > names.MAX_BYTES // 2:
        label = names.shorten(label, names.MAX_BYTES // 2 - _DIGEST - 1) + f"_{digest(label)[:_DIGEST]}"
    base = parent
    if len((parent + label).encode()) > names.MAX_BYTES:
        mark = f"_{digest(parent)[:_DIGEST]}"
        base = names.shorten(parent, names.MAX_BYTES - len(label.encode()) - len(mark)) + mark
    found = [base + label]
    for salt in range(3):
        mark = f"_{digest(parent, *_parts(form), salt)[:_DIGEST]}"
        found.append(names.shorten(base, names.MAX_BYTES - len(label.encode()) - len(mark)) + label + mark)
    return found


def _word(form: Form, axis: Axis | None, every: Duration | int) -> str:
    if isinstance(form, Span):
        assert axis is not None  # noqa: S101 - ranges lie on an axis
        return _label(form, axis, every)
    return word(form)


def _parts(form: Form) -> tuple[Any, ...]:
    return tuple(form) if isinstance(form, tuple) else ()


def _label(span: Span, axis: Axis, every: Duration | int) -> str:
    if axis.is_id or isinstance(every, int):
        return f"p{span.lower}".replace("-", "m")
    wall = axis.instant(span.lower).astimezone(axis.zone)
    parts = [f"{wall.year:04d}", f"{wall.month:02d}", f"{wall.day:02d}", f"{wall.hour:02d}", f"{wall.minute:02d}"]
    parts.append(f"{wall.second:02d}" + (f"{wall.microsecond:06d}" if wall.microsecond else ""))
    return "_".join(parts[: max(_level(every), _exact(wall))])


def _level(every: Duration) -> int:
    """Return how many of year, month, day, hour, minute, second name a period of that length."""
    if every.months:
        return 1 if every.months % _MONTHS_A_YEAR == 0 else 2
    if every.days:
        return 3
    return 4 if every.seconds % _HOUR == 0 else 5


def _exact(wall: datetime) -> int:
    rests = (wall.month - 1, wall.day - 1, wall.hour, wall.minute, wall.second or wall.microsecond)
    smaller = reversed(list(enumerate(rests, start=2)))
    return next((level for level, rest in smaller if rest), 1)


def table(args: Args, which: str) -> sql.Identifier:
    """Return the identifier of ``parent``, ``child`` or ``default``."""
    return sql.Identifier(args[which]["schema"], args[which]["name"])


def bound(args: Args, which: str) -> sql.Composable:
    """Return the ``lower`` or ``upper`` bound: a number on integer keys, else a text with its offset."""
    text = args[which]
    if text in OPEN:
        return sql.SQL(text.lower())
    return sql.Literal(int(text)) if args["type"].startswith("int") else sql.Literal(text)


def clause(args: Args) -> sql.Composable:
    """Return what ATTACH says a partition takes."""
    kind = args.get("form", "range")
    if kind == "range":
        text = sql.SQL("for values from ({}) to ({})")
        return text.format(bound(args, "lower"), bound(args, "upper"))
    if kind == "list":
        return sql.SQL("for values in ({})").format(sql.SQL(", ").join(map(sql.Literal, args["values"])))
    if kind == "hash":
        text = sql.SQL("for values with (modulus {}, remainder {})")
        return text.format(sql.Literal(args["modulus"]), sql.Literal(args["remainder"]))
    return sql.SQL("default")


def belongs(args: Args, row: str = "") -> sql.Composed:
    """Return that a row belongs to a range or to listed values; ``row`` is its alias."""
    key = sql.SQL("{}{}").format(sql.SQL(f"{row}." if row else ""), sql.Identifier(args["key"]))
    if args.get("form", "range") == "range":
        return _compared(args, key, (" >= ", " < "), " and ")
    known = [value for value in args["values"] if value is not None]
    listed = sql.SQL("{} in ({})").format(key, sql.SQL(", ").join(map(sql.Literal, known)))
    if None not in args["values"]:
        return sql.SQL("{} is not null and {}").format(key, listed)
    # NULL = NULL is not true: in a list it has to be asked for by itself.
    null = sql.SQL("{} is null").format(key)
    return sql.SQL("({} or {})").format(null, listed) if known else null


def apart(args: Args) -> sql.Composed:
    """Return that a key lies outside of a range."""
    return _compared(args, sql.Identifier(args["key"]), (" < ", " >= "), " or ")


def _compared(args: Args, key: sql.Composable, signs: tuple[str, str], joined: str) -> sql.Composed:
    """Return how a key lies to the bounds of a range; an open end says nothing."""
    pairs = zip(("lower", "upper"), signs, strict=True)
    known = [key + sql.SQL(sign) + bound(args, which) for which, sign in pairs if args[which] not in OPEN]
    return sql.SQL(joined).join(known or [key + sql.SQL(" is not null" if joined == " and " else " is null")])


def _checked(args: Args) -> sql.Composed | None:
    """Return what the CHECK says; nothing where an empty table is attached and nothing can be moved."""
    kind = args.get("form", "range")
    if kind in ("hash", "default"):
        return None
    parts = [belongs(args)]
    if kind == "range":
        parts.insert(0, sql.SQL("{} is not null").format(sql.Identifier(args["key"])))
    if args.get("above"):  # what the parent itself, a partition, takes; as the server puts it
        parts.append(sql.SQL("({})").format(sql.SQL(args["above"])))
    return sql.SQL(" and ").join(parts)


def make(args: Args) -> Iterator[sql.Composed]:
    """Yield what makes the table, with its own partitions complete, alone and empty: nobody waits for any of it."""
    like, child, below = args["like"], table(args, "child"), args.get("below")
    yield _created(child, table(args, "parent"), like, below)
    for leaf in below["leaves"] if below else ():
        yield from _leaf(args, leaf)
    condition = _checked(args)
    if condition is not None:
        yield statement(
            "partition_creation/add_bounds_check", child=child, name=sql.Identifier(CHECK), condition=condition
        )
    yield from _alike(child, like, args["role"])


def _created(child: sql.Identifier, parent: sql.Identifier, like: Args, below: Args | None) -> sql.Composed:
    partitioned: sql.Composable = sql.SQL("")
    if below:
        key = sql.Identifier(below["key"])
        partitioned = sql.SQL(" partition by {} ({})").format(sql.SQL(_STRATEGIES[below["strategy"]]), key)
    method = like["access_method"] if like["access_method"] not in (None, "heap") and not below else None
    return statement(
        "partition_creation/create_table_like",
        persistence=sql.SQL("unlogged " if like["persistence"] == "u" else ""),
        child=child,
        parent=parent,
        partitioned=partitioned,
        using=_part(" using {}", method),
        options=_options(like) if not below else sql.SQL(""),
        tablespace=_part(" tablespace {}", like["tablespace"]),
    )


_STRATEGIES: Final = {"range": "range", "list": "list", "hash": "hash"}


def _leaf(args: Args, leaf: Args) -> Iterator[sql.Composed]:
    """Yield what makes one sub-partition of the new table, which nobody else knows yet."""
    below = args["below"]
    parent, child = table(args, "child"), sql.Identifier(leaf["schema"], leaf["name"])
    yield _created(child, parent, below["like"], None)
    yield from _alike(child, below["like"], args["role"])
    known = {**leaf, "type": below["type"]}
    yield statement("attach_partition", parent=parent, child=child, bounds=clause(known))


def _alike(child: sql.Identifier, like: Args, role: str) -> Iterator[sql.Composed]:
    """Yield what sets the table up like its sibling."""
    if like["owner"] != role:
        yield statement("partition_creation/alter_owner", table=child, role=sql.Identifier(like["owner"]))
    for column, target in like["statistics_targets"].items():
        known = {"column": sql.Identifier(column), "target": sql.Literal(int(target))}
        yield statement("partition_creation/set_statistics", table=child, **known)
    if like["replica_identity"] in ("f", "n"):
        kind = sql.SQL("full" if like["replica_identity"] == "f" else "nothing")
        yield statement("replica_identity", table=child, kind=kind)
    if like["row_security"]:
        yield statement("partition_creation/enable_row_security", table=child)
    if like["force_row_security"]:
        yield statement("partition_creation/force_row_security", table=child)
    for rest in like["own_indexes"]:
        yield statement("partition_creation/create_own_index", table=child, rest=sql.SQL(rest))
    for right in like["grants"]:
        if right["privilege"] in PRIVILEGES:
            yield grant(child, right)


def attach(args: Args) -> Iterator[sql.Composed]:
    """Yield what makes the table a partition."""
    child = table(args, "child")
    yield statement("attach_partition", parent=table(args, "parent"), child=child, bounds=clause(args))
    yield statement("drop_constraint", table=child, name=sql.Identifier(CHECK))


def move(args: Args, columns: list[str]) -> sql.Composed:
    """Return the statement that moves the rows of the new partition out of the default partition."""
    known = [sql.Identifier(c) for c in columns]
    return statement(
        "partition_creation/move_rows",
        default=table(args, "default"),
        child=table(args, "child"),
        belongs=belongs(args, "d"),
        columns=sql.SQL(", ").join(known),
        returned=sql.SQL(", ").join(sql.SQL("d.{}").format(c) for c in known),
    )


def shown(args: Args, columns: list[str]) -> tuple[str, ...]:
    """Return all statements of the creation as texts, in their order."""
    known = [*make(args), *([move(args, columns)] if args["move"] else []), *attach(args)]
    return tuple(s.as_string(None) for s in known)


def _options(like: Args) -> sql.Composable:
    known = [*like["options"], *(f"toast.{o}" for o in like["toast_options"])]
    return sql.SQL(" with ({})").format(option_list(known)) if known else sql.SQL("")


def option_list(known: Iterable[str]) -> sql.Composed:
    """Return ``name = value`` options as the catalog has them, for a statement."""
    parts = []
    for text in known:
        name, _, value = text.partition("=")
        if _OPTION.fullmatch(name):
            parts.append(sql.SQL("{} = {}").format(sql.SQL(name), sql.Literal(value)))
    return sql.SQL(", ").join(parts)


def _part(text: str, name: str | None) -> sql.Composable:
    return sql.SQL(text).format(sql.Identifier(name)) if name else sql.SQL("")


def grant(child: sql.Composable, right: Args) -> sql.Composed:
    """Return what gives a role (none: everyone) a privilege on a table, or on one of its columns."""
    column = sql.SQL(" ({})").format(sql.Identifier(right["column"])) if right["column"] else sql.SQL("")
    role = sql.Identifier(right["role"]) if right["role"] else sql.SQL("public")
    again = sql.SQL(" with grant option") if right["grantable"] else sql.SQL("")
    privilege = sql.SQL(right["privilege"].lower())
    return statement(
        "partition_creation/grant_privilege", privilege=privilege, column=column, table=child, role=role, again=again
    )
