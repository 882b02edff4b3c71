"""What the readers of SQL engines have in common: a file holds one SELECT, and nothing that writes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from upkeep.jobs.errors import ActionError, ConnectionLostError, LockNotObtainedError, OverloadedError

_COMMENTS: Final = re.compile(r"\A(\s+|--[^\n]*(\n|\Z)|/\*(?!!).*?\*/)*", re.DOTALL)
_READS: Final = re.compile(r"(select|with)\b", re.IGNORECASE)
_INTO: Final = re.compile(r"\binto\s+(outfile|dumpfile|@)", re.IGNORECASE)
REMEDY: Final = "write one SELECT into the file"


def select_of(statement: str) -> str:
    """Return the SELECT without its end. Raises `ActionError` when it does something else.

    What follows a SELECT, or hides in it, is for the server to refuse: it is told to read only.
    """
    text = _COMMENTS.sub("", statement).strip().rstrip(";").rstrip()
    if not _READS.match(text) or _INTO.search(text):
        raise ActionError(f"the query is no SELECT that only reads; {REMEDY}")
    return text


def refuse_twins(columns: Iterable[str]) -> None:
    """Raise `ActionError` when two columns are called alike: one would hide the other."""
    names = list(columns)
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ActionError(f"the query returns more than one column called {', '.join(twins)}; rename them (AS)")


def refused(meaning: ActionError | None, said: str) -> ActionError:
    """Return what an error of the server means to those who read: what passes by itself, else that of the query."""
    # a table that is not there was not "changed since it was planned": nobody has looked at it before
    passes = isinstance(meaning, ConnectionLostError | OverloadedError | LockNotObtainedError)
    return meaning if passes and meaning is not None else ActionError(f"the rows cannot be read: {said}")


def late(seconds: float) -> ActionError:
    """Return that the reading took too long."""
    return ActionError(f"reading the rows took longer than {seconds:g} s; make the query faster, or narrow it")
