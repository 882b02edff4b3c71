"""Where ATTACH would read a large default partition while others wait for it: such a partition is not made. Pure.

ATTACH reads the default partition whole, for rows that belong to the new one, unless a validated CHECK says that
there are none. Such a CHECK refuses rows that arrive before the partition is there, so it stands only for ranges that
nothing reaches at present; for all others writers (readers too, where rows move) would wait until all is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from upkeep.model import Action, Finding, Json, Severity
from upkeep.postgres.partition_creation.forms import Form, Rest, Span, said
from upkeep.postgres.partition_creation.view import Care

SCAN_BYTES: Final = 8 * 1024 * 1024
"""Up to this size ATTACH may read the default partition under its lock: about 10 ms."""
BYTES_A_ROW: Final = 8192
"""Rows that may move hold the lock longer by themselves (`moves.SECONDS_A_ROW`): each allows 10 µs more."""
_MARK: Final = "ATTACH would read"


def is_large(default: Mapping[str, Any] | None) -> bool:
    """Return whether reading the default partition under a lock takes longer than others should wait."""
    return default is not None and (default["bytes"] or 0) > SCAN_BYTES


def is_live(
    care: Care, form: Form, frames: Mapping[str, Sequence[Mapping[str, Any]]], default: Mapping[str, Any] | None
) -> bool:
    """Return whether rows may arrive at any moment: writers must wait for the few milliseconds, or one would fail.

    An identifier may be anything; one that lies more than a whole period ahead of the highest is as far as a time in
    the future, which matters where the default partition is large.
    """
    if not isinstance(form, Span) or care.axis is None:
        return not isinstance(form, Rest)
    if care.axis.is_id:
        far = care.layout is not None and form.lower - care.layout.current > form.upper - form.lower
        return not (far and is_large(default))
    return form.lower <= care.axis.of(datetime.fromisoformat(frames["server"][0]["now"]))


def hindrance(args: Json, default: Mapping[str, Any] | None) -> str | None:
    """Return why others would wait for too long while ATTACH reads the default partition."""
    if default is None or not args["default"] or not is_large(default) or not (args["live"] or args["move"]):
        return None
    if default["bytes"] <= SCAN_BYTES + args["move"] * BYTES_A_ROW:
        return None
    who = "readers and writers" if args["move"] else "writers"
    size = default["bytes"] / 2**20
    return f"{_MARK} the default partition ({size:,.0f} MiB) while {who} wait; more than 8 MiB take too long"


def findings(actions: Iterable[Action]) -> Iterator[Finding]:
    """Yield what is to be done about partitions that are not made for that reason."""
    for action in actions:
        if action.blocked is None or not action.blocked[1].startswith(_MARK):
            continue
        text = f"the partition for {said(action.args)} is not created: {action.blocked[1]}"
        remedy = "move or delete rows of the default partition until it is small (vacuum full returns the space); or "
        remedy += "create this partition by hand when waiting does no harm"
        about = {"child": action.args["child"], "default_partition": action.args["default"]}
        yield Finding.of("large_default", action.subject, Severity.ERROR, text, remedy, evidence=about)
