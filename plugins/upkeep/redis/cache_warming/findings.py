"""What a person should know of an entry: why it cannot be warmed, and what of it was left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from upkeep.fleet import Target
from upkeep.fleet.policies.warm import WarmPolicy
from upkeep.model import Finding, FindingStatus, Json, Observation, Outcome, Plan, Severity
from upkeep.redis.cache_warming import memory


def refusals(observation: Observation, target: Target) -> dict[str, Finding]:
    """Return why entries cannot be warmed now, by entry."""
    policy = WarmPolicy.of(target)
    entries = policy.entries if policy is not None else {}
    (server,) = observation.frames["server"]
    asked, found = 0, {}
    for row in observation.frames["entries"]:
        name = row["subject"]
        if name not in entries:
            continue
        entry = entries[name]
        if row["unreachable"]:
            found[name] = Finding.of(
                "source_reachable",
                name,
                Severity.WARNING,
                f"'{entry.from_}' cannot be asked for its rows, so the keys stay as they are: {row['unreachable']}",
                f"mend '{entry.from_}'; keys that expire meanwhile come back with the first run after that",
                status=FindingStatus.NOT_AVAILABLE,
            )
        elif row["refused"]:
            found[name] = Finding.of(
                "query", name, Severity.ERROR, f"its rows cannot be read: {row['refused']}", "correct the fleet file"
            )
        else:
            # entries before it may take theirs first
            needed = max(entry.budget - row["bytes"], 0)
            why = memory.refusal(server, asked + needed)
            if why is None:
                asked += needed
            else:
                text, _, remedy = why.rpartition("; ")
                found[name] = Finding.of("memory", name, Severity.ERROR, f"it is not warmed: {text}", remedy)
    return found


def unknown(name: str, entries: Mapping[str, Any]) -> Finding:
    """Return that a person asks for an entry that the target has not."""
    known = ", ".join(entries) or "none"
    return Finding.of("entry", name, Severity.ERROR, "warm: names no such entry", f"ask for one of: {known}")


def conclude(_before: Observation, _after: Observation, plan: Plan, outcomes: Sequence[Outcome]) -> list[Finding]:
    """Return what the runs of entries left out."""
    subjects = {action.id: action.subject for action in plan.actions}
    known = (outcome for outcome in outcomes if outcome.action_id in subjects)
    return [finding for outcome in known for finding in _left(subjects[outcome.action_id], outcome.evidence)]


def _left(name: str, evidence: Json) -> Iterator[Finding]:
    others, without = evidence.get("keys_of_others", 0), evidence.get("rows_left_out", 0)
    if others:
        text = f"{others:,} of its keys hold another writer's value; they are left as they are"
        remedy = "let one of the two write them: change key: or the query, or let the other writer leave them"
        yield Finding.of("key_of_another", name, Severity.WARNING, text, remedy, evidence={"keys": others})
    if without:
        text = f"{without:,} rows have no value in a column that the key names; they have no key"
        remedy = "leave them out in the query (where … is not null)"
        yield Finding.of("row_without_key", name, Severity.INFO, text, remedy, evidence={"rows": without})
