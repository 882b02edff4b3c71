"""From indexes to findings and actions, alike on all engines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from upkeep.fleet import Target
from upkeep.fleet.policies.indexes import IndexesPolicy
from upkeep.jobs.index_analysis import usage
from upkeep.jobs.index_analysis.indexes import Index, Pair, duplicates, redundant
from upkeep.jobs.index_analysis.usage import Counted
from upkeep.model import Action, Finding, FindingStatus, Json, Memory, Observation, Plan, Severity

INVALID = "index_invalid"
DUPLICATE = "index_duplicate"
REDUNDANT = "index_redundant"
HIDDEN = "index_hidden"
KEPT = "the fleet file keeps it (indexes: keep)"


class Room(Protocol):
    """What an engine's room says of an index."""

    def action(self, pair: Pair) -> Action:
        """Return the action that takes an exact duplicate away; it waits for approval."""

    def by_hand(self, index: Index) -> str:
        """Return how a person takes an index away, and gets it back."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a target's indexes.

    Attributes
    ----------
    others
        Findings that only this engine makes.
    """

    indexes: Sequence[Index]
    counted: Counted
    others: Sequence[Finding] = ()


def earlier(memory: Memory) -> list[dict[str, Any]]:
    """Return what the newest look that measured use had measured, as a frame."""
    for look in memory.looks:
        if found := look["measured"].get(usage.UNUSED):
            return usage.rows(found)
    return []


def kept(policy: IndexesPolicy, subject: str) -> str:
    """Return why the owner's word keeps an index, as `Index.bound` has it; empty: it says nothing."""
    return KEPT if any(_named(subject, pattern) for pattern in policy.keep) else ""


def plan(observation: Observation, target: Target, seen: Seen, room: Room) -> Plan:
    """Return what stands of the indexes, and the exact duplicates that would go."""
    policy = IndexesPolicy.of(target)
    if policy is None:
        return Plan.make(observation, ())
    pairs = [pair for pair in duplicates(seen.indexes) if not pair.index.part]
    doomed = {pair.index.subject for pair in pairs}
    actions, found = [], list(seen.others)
    for pair in pairs:
        acts = not (pair.index.bound or pair.index.hinders or pair.index.hidden or policy.drop_duplicates == "never")
        if acts:
            actions.append(room.action(pair))
        if pair.index.valid and not pair.index.hidden:
            found.append(_duplicate(pair, room, acts=acts))
    found += (_redundant(pair, room) for pair in redundant(seen.indexes))
    found += (_hidden(index, room) for index in seen.indexes if index.hidden and not index.bound)
    watched = [index for index in seen.indexes if index.subject not in doomed]
    remedies = {index.subject: _unused(index, room) for index in watched}
    found += usage.judge(watched, seen.counted, observation.at, policy.unused_after, remedies)
    found += _not_there(policy, seen.indexes, target.name)
    return Plan.make(observation, actions, found)


def _duplicate(pair: Pair, room: Room, *, acts: bool) -> Finding:
    index = pair.index
    text = f"it is the same as {pair.twin.subject} in all but its name; every write keeps both up to date"
    if acts:
        remedy = "approve the plan (upkeep pending): it is taken away so that `upkeep undo` brings it back"
    elif why := index.bound or index.hinders:
        remedy = f"Upkeep leaves it: {why}; {room.by_hand(index)}"
    else:
        remedy = room.by_hand(index)
    return Finding.of(DUPLICATE, index.subject, Severity.WARNING, text, remedy, evidence=_evidence(pair))


def _redundant(pair: Pair, room: Room) -> Finding:
    index, twin = pair.index, pair.twin
    text = f"{twin.subject} begins with the same columns and can serve in its place"
    sizes = f"{_size(index)}, {_size(twin)} the other" if index.bytes is not None else "sizes are not known"
    remedy = f"see whether reading the wider one is fast enough ({sizes}), then {room.by_hand(index)}"
    return Finding.of(REDUNDANT, index.subject, Severity.INFO, text, remedy, evidence=_evidence(pair))


def _hidden(index: Index, room: Room) -> Finding:
    text = "it is hidden: no query uses it, and every write still keeps it up to date"
    evidence = {"table": index.table, "bytes": index.bytes}
    return Finding.of(HIDDEN, index.subject, Severity.INFO, text, room.by_hand(index), evidence=evidence)


def _unused(index: Index, room: Room) -> str:
    if index.hinders:
        return f"{room.by_hand(index)} ({index.hinders})"
    return room.by_hand(index)


def _not_there(policy: IndexesPolicy, indexes: Sequence[Index], target: str) -> Iterator[Finding]:
    for pattern in policy.keep:
        if not any(_named(index.subject, pattern) for index in indexes):
            text = f"indexes: keep: no index of target '{target}' is called {pattern}"
            yield Finding.of("missing", pattern, Severity.WARNING, text, "correct the name, or take it out")


def _named(subject: str, pattern: str) -> bool:
    return subject == pattern or fnmatchcase(subject, pattern)


def _evidence(pair: Pair) -> Json:
    return {
        "table": pair.index.table,
        "stays": pair.twin.subject,
        "bytes": pair.index.bytes,
        "bytes_of_the_other": pair.twin.bytes,
        "definition": pair.index.row.get("definition"),
        "definition_of_the_other": pair.twin.row.get("definition"),
    }


def _size(index: Index) -> str:
    if index.bytes is None:
        return "unknown size"
    return f"{index.bytes / 1024**2:,.1f} MiB"


def use_unknown(target: str, why: str, remedy: str) -> Finding:
    """Return that nobody can say how indexes are used; what was said of them before stands."""
    return Finding.of(usage.UNUSED, target, Severity.INFO, why, remedy, status=FindingStatus.INSUFFICIENT_EVIDENCE)
