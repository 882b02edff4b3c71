"""What the rows of a statement mean beside what earlier looks saw. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from upkeep.jobs.checks import Seen
from upkeep.model import Json
from upkeep.tidb import names

MEMBERS: Final = "member_state"
DDL: Final = "ddl_stuck"
GC: Final = "gc_stalled"

FORGOTTEN: Final = timedelta(days=7)
"""A member that is gone for so long was taken out."""
THERE: Final = "there"
LEAVING: Final = "leaving"
MISSING: Final = "missing"
_LOST: Final = "disconnected"
_STORES: Final = {
    "Up": THERE,
    "Disconnected": _LOST,
    "Down": MISSING,
    "Offline": LEAVING,  # its regions are being moved; then it is a tombstone
    "Tombstone": LEAVING,
}
"""What a store's word means; one that is not known is looked into by a person."""
_VOTES: Final = ("pd", "tikv")
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Row = Mapping[str, Any]


def last_sample(looks: Iterable[Json], check: str) -> dict[str, Json]:
    """Return what the last look that made a check measured: subject → evidence."""
    return next((look["measured"][check] for look in looks if check in look.get("measured", {})), {})


def members(rows: Iterable[Row], looks: Sequence[Json], now: datetime) -> Iterator[Seen]:
    """Yield each member, those that were there before too; and of those that vote, whether most are there.

    Parameters
    ----------
    rows
        ``kind`` and ``instance`` of those that tell of themselves; ``instance`` and ``state`` of stores as the
        placement driver sees them.
    """
    told = [*rows]
    stores = {row["instance"]: row["state"] for row in told if "state" in row}
    states = {
        (row["kind"], row["instance"]): _STORES.get(stores.get(row["instance"], "Up"), _LOST)
        for row in told
        if "kind" in row
    }
    since: dict[tuple[str, str], str] = {}
    for sample in last_sample(looks, MEMBERS).values():
        member = (str(sample.get("kind")), str(sample.get("instance", "")))
        if not member[1] or (member not in states and sample.get("state") == LEAVING):
            continue
        gone = str(sample.get("since") or now.isoformat())
        if member not in states and now - datetime.fromisoformat(gone) <= FORGOTTEN:
            states[member] = MISSING
        since[member] = gone
    for (kind, instance), state in sorted(states.items()):
        known = {"kind": kind, "instance": instance, "more": ""}
        if state == MISSING:
            at = since.get((kind, instance), now.isoformat())
            known |= {"since": at, "more": f" since {at[:16].replace('T', ' ')} UTC"}
        yield Seen(check=MEMBERS, subject=f"{kind} {instance}", state=state, evidence=known)
    yield from _majorities(states)


def _majorities(states: Mapping[tuple[str, str], str]) -> Iterator[Seen]:
    for voter in _VOTES:
        votes = [state for (kind, _), state in states.items() if kind == voter and state != LEAVING]
        if not votes:
            continue
        there = votes.count(THERE)
        state = "complete" if there == len(votes) else "with a majority"
        state = "without a majority" if 2 * there <= len(votes) else state
        known = {"there": there, "of": len(votes), "more": f": {there} of {len(votes)} answer"}
        yield Seen(check=MEMBERS, subject=voter, state=state, evidence=known)


def schema_changes(rows: Iterable[Row], looks: Sequence[Json], now: datetime, patience: float) -> Iterator[Seen]:
    """Yield the first schema change of each table that is not over, and how long it has not moved.

    One that writes an index moves as long as the number of its rows does.

    Parameters
    ----------
    patience
        From how many seconds on it counts that others wait behind one.
    """
    before = last_sample(looks, DDL)
    queues: dict[str, list[Row]] = {}
    for row in rows:
        place = [part for part in (row["db_name"], row["table_name"]) if part]
        queues.setdefault(".".join(map(names.quote, place)) or "(no table)", []).append(row)
    for subject, queue in queues.items():
        first, behind = queue[0], len(queue) - 1
        then = before.get(subject, {})
        since = now - timedelta(seconds=float(first["seconds"] or 0))
        if then.get("job_id") == first["job_id"] and "since" in then:
            moved = then.get("row_count") != first["row_count"]
            since = now if moved else datetime.fromisoformat(then["since"])
        value = max((now - since).total_seconds(), 0)
        known = {
            "job_id": first["job_id"],
            "job_type": first["job_type"],
            "job_state": first["state"],
            "row_count": first["row_count"],
            "behind": behind,
            "since": since.isoformat(),
        }
        state = "blocks others" if behind and value >= patience else ""
        yield Seen(check=DDL, subject=subject, value=value, state=state, evidence=known)


def collection(row: Row) -> Iterator[Seen]:
    """Yield by how much the oldest version that is kept is older than the life time allows."""
    if row["safe_point"] is None or row["age"] is None:
        why = "no collection has run yet; on an embedded store none ever does"
        yield Seen(check=GC, evidence={"why": why})
        return
    life = seconds(row["life_time"])
    age, oldest = float(row["age"]), float(row["oldest_transaction"] or 0)
    if not int(row["enabled"]):
        held = "it is switched off: tidb_gc_enable"
    elif oldest > life and oldest >= age * 0.9:
        held = f"a transaction is open for {oldest / 3600:.1f} hours"
    else:
        held = "no transaction holds it; a dump, a backup or a changefeed may"
    known = {"safe_point": row["safe_point"], "last_run": row["last_run"], "life_time": row["life_time"]}
    evidence = {**known, "held": held, "oldest_transaction": oldest}
    yield Seen(check=GC, value=max(age - life, 0), evidence=evidence)


def seconds(text: str) -> float:
    """Return a length as Go writes it.

    >>> seconds("1h10m0.5s")
    4200.5
    """
    return sum(float(number) * _SECONDS[unit] for number, unit in _LENGTH.findall(text))
