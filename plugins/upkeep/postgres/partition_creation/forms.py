"""What a new partition takes: a range, listed values, a remainder, or what no other takes. Pure values.

A form becomes JSON in an action's arguments, and from there clauses of SQL (`statements`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import gcd
from typing import Any, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from upkeep.jobs.partition_creation.layout import Span
from upkeep.model import Json
from upkeep.postgres import bounds
from upkeep.postgres.bounds import Axis

__all__ = ["Form", "Remainder", "Rest", "Span", "Values", "form_args", "meets", "said", "word"]


class Values(NamedTuple):
    """The values of a list partition, as texts of their type; ``None`` is NULL."""

    label: str
    texts: tuple[str | None, ...]


class Remainder(NamedTuple):
    """The rows of a hash partition."""

    modulus: int
    remainder: int


@dataclass(frozen=True, slots=True)
class Rest:
    """What no other partition takes: a default partition."""


Form: TypeAlias = Span | Values | Remainder | Rest

_APART = re.compile(r"[\s/\\.:;,-]+")


def form_args(form: Form, axis: Axis | None) -> Json:
    """Return a form as an action's arguments; a range needs its axis."""
    if isinstance(form, Span):
        assert axis is not None  # noqa: S101 - ranges lie on an axis
        return {"lower": axis.write(form.lower), "upper": axis.write(form.upper)}
    if isinstance(form, Values):
        return {"form": "list", "values": list(form.texts)}
    if isinstance(form, Remainder):
        return {"form": "hash", "modulus": form.modulus, "remainder": form.remainder}
    return {"form": "default"}


def word(form: Values | Remainder | Rest) -> str:
    """Return what a partition's name says of its form.

    >>> word(Values("EU west/1", ("eu-west-1",))), word(Remainder(4, 3)), word(Rest())
    ('EU_west_1', '3', 'default')
    """
    if isinstance(form, Values):
        return _APART.sub("_", form.label)
    return str(form.remainder) if isinstance(form, Remainder) else "default"


def said(args: Any) -> str:
    """Return what a partition takes, for people, from an action's arguments.

    >>> said({"form": "list", "values": ["a", None]}), said({"form": "hash", "modulus": 4, "remainder": 3})
    ("'a', NULL", 'remainder 3 of 4')
    """
    kind = args.get("form", "range")
    if kind == "list":
        return ", ".join("NULL" if value is None else f"'{value}'" for value in args["values"])
    if kind == "hash":
        return f"remainder {args['remainder']} of {args['modulus']}"
    return "what no other partition takes" if kind == "default" else f"[{args['lower']}, {args['upper']})"


def meets(args: Any, text: str | None) -> Literal["same", "part"] | None:
    """Return whether an existing partition's bounds are the same as an action's, or meet them, or neither.

    Values are compared as texts: the server itself refuses what is equal to its eye and not to ours.
    """
    if text is None or text == "DEFAULT":
        return None
    kind = args.get("form", "range")
    if kind == "list":
        theirs, ours = set(bounds.values(text)), set(args["values"])
        return "same" if theirs == ours else "part" if theirs & ours else None
    if kind == "hash":
        modulus, remainder = bounds.remainder(text)
        common = gcd(modulus, args["modulus"])
        if (modulus, remainder) == (args["modulus"], args["remainder"]):
            return "same"
        return "part" if remainder % common == args["remainder"] % common else None
    if kind == "default":
        return None
    axis = Axis(args["type"], ZoneInfo("UTC"), "id")
    (low, high), lower, upper = bounds.read(text, axis), axis.read(args["lower"]), axis.read(args["upper"])
    if (low, high) == (lower, upper):
        return "same"
    return "part" if low < upper and lower < high else None
