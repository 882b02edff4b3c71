"""What would be warmed. Pure: how much it is, only reading the rows can say."""

from __future__ import annotations

from upkeep.fleet import Target
from upkeep.fleet.policies.warm import WarmEntry, WarmPolicy
from upkeep.jobs.cache_warming.request import WarmRequest
from upkeep.model import Action, Finding, Json, Observation, Plan, Request
from upkeep.redis.cache_warming.args import Warm
from upkeep.redis.cache_warming.findings import refusals, unknown
from upkeep.redis.streams import quoted


def plan(observation: Observation, target: Target, request: Request) -> Plan:
    """Return an action for each entry that can be warmed, and why others cannot."""
    policy = WarmPolicy.of(target)
    entries = policy.entries if policy is not None else {}
    wanted = (request.entry if isinstance(request, WarmRequest) else None) or []
    refused = refusals(observation, target)
    actions: list[Action] = []
    found: list[Finding] = [unknown(name, entries) for name in wanted if name not in entries]
    for row in observation.frames["entries"]:
        name = row["subject"]
        if name not in entries or (wanted and name not in wanted):
            continue
        if name in refused:
            found.append(refused[name])
        else:
            actions.append(_action(name, entries[name], row))
    return Plan.make(observation, actions, found)


def _action(name: str, entry: WarmEntry, row: Json) -> Action:
    return Action.make(
        kind="warm_keys",
        subject=name,
        detail=f"{entry.key} from {entry.from_}",
        args=Warm(
            entry=name,
            source=entry.from_,
            query=row["query"],
            key=entry.key,
            value=entry.value,
            seconds=entry.seconds,
            budget=entry.budget,
        ).written(),
        statements=(f"SET {quoted(entry.key)} … PX {entry.seconds * 1000}",),
        reason="they will be asked for: a key for each row, as long as it lives",
        destructive=False,
        precondition="a key is set only where it is absent or still holds what was set here before",
        undo="removes the keys, while they hold what was set",
        lock="none; the server is busy for about a millisecond at a time",
    )
