"""What retention would delete from streams. Pure.

Entries are due by the time in their id. None goes that a consumer group has not read and acknowledged. They may go
beside a backup: the server writes its RDB from a fork, which sees nothing of what comes after.
"""

from __future__ import annotations

from upkeep.fleet import Target
from upkeep.jobs.data_retention.cutoff import requirement
from upkeep.jobs.data_retention.limits import over_limit
from upkeep.model import Action, Finding, Observation, Plan, ReasonCode, Request, Severity
from upkeep.redis.data_retention.args import Entries
from upkeep.redis.data_retention.checks import refusal
from upkeep.redis.data_retention.findings import findings
from upkeep.redis.data_retention.view import View, views
from upkeep.redis.streams import quoted


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be deleted from every stream in care."""
    actions: list[Action] = []
    found: list[Finding] = []
    server = observation.frames["server"][0]
    refuses = server.get("refuses")
    if refuses:  # every key would fail alike: said once, and nothing is planned
        found.append(Finding.of("server_refuses", "server", Severity.ERROR, refuses, server["remedy"]))
    for view in views(observation, target):
        refused = refusal(view)
        if refused is not None:
            found.append(refused)
        if view.kind == "stream":
            found += findings(view)
            if view.due != 0 and not refuses:
                actions.append(_action(view, target, refused))
    return Plan.make(observation, actions, found)


def _action(view: View, target: Target, refused: Finding | None) -> Action:
    bound = view.bound
    return Action.make(
        kind="delete_entries",
        subject=view.subject,
        detail=f"added before {view.cut_off:%Y-%m-%d %H:%M} UTC",
        args=Entries(
            key=view.subject,
            cut_off=str(bound),
            added=view.row["added"],
            first=view.row["first"],
            last=view.row["last"],
        ).written(),
        intent={"key": view.subject, "then": view.policy.then},
        reach=float(bound.milliseconds),
        statements=(f"XTRIM {quoted(view.subject)} MINID {bound}",),
        reason=f"entries added before {view.cut_off:%Y-%m-%d %H:%M} UTC are older than {view.policy.for_}",
        destructive=True,
        precondition="each step deletes only entries that every consumer group has acknowledged at that moment",
        undo="none but a restore",
        lock="none; the server is busy for a few milliseconds at a time",
        rows=view.due,
        requires=requirement(view.policy),
        over_limit=over_limit(view.due, view.length, target, "entries"),
        blocked=None if refused is None else (ReasonCode.NOT_SUPPORTED, refused.summary),
    )
