"""Today's policy wins: what was planned earlier can only be forbidden, never widened.

Between the planning of a change and its doing lie hours where a person was asked, or a grace period of days. In that
time the fleet file may say something else, and the object may be another one. So before an approved or late plan is
applied, its target is observed anew and planned for anew, with today's fleet file and the plan's own instant. That
second plan is a veto only: it is saved nowhere, supersedes nothing, and nobody is asked about it. An action of the
first goes on when the second holds the same intent, as far as both reach, under the stricter requirement of the two.

Pure functions over values, alike on all engines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from upkeep.fleet import Target
from upkeep.jobs.data_retention.marker import stricter
from upkeep.model import Action, FindingStatus, Json, Plan, ReasonCode, Severity, digest

LATE: Final = timedelta(hours=1)
"""A plan that waited longer is looked at again even when nobody was asked: a night's order of jobs takes less."""
_CUT_OFFS: Final = ("cut_off", "seconds")
"""Where an action's ``args`` say how far it goes."""


def policy_of(target: Target) -> str:
    """Return the digest of all that the fleet file says of a target."""
    return digest(target.written())


def is_needed(plan: Plan, target: Target, *, planned_at: datetime, now: datetime) -> bool:
    """Return whether a plan is too old, or of another policy, so that it must be held against today's."""
    return now - planned_at > LATE or plan.policy != policy_of(target)


def restrict(plan: Plan, today: Plan, *, approved: bool) -> Plan:
    """Return the plan as far as today's allows it: actions narrowed, or blocked with the reason.

    Parameters
    ----------
    today
        What would be planned now, with the plan's own instant.
    approved
        Whether a person approved the plan: that satisfies `approval` and the limits, nothing else.
    """
    now = {action.intent: action for action in today.actions}
    counted = {action.id for action in plan.actions if action.destructive and action.rows is not None}
    reasons = _reasons(today)
    actions: list[Action] = []
    let_through: set[str] = set()
    for action in plan.actions:
        there = now.get(action.intent) if action.intent else None
        if action.blocked is not None:
            decided = action
        elif there is not None:
            decided = _held_against(action, there, approved=approved, counted=not counted.isdisjoint(action.after))
        elif not action.destructive and action.after and let_through.issuperset(action.after):
            decided = action  # it only follows others: fresh statistics, the removal of what became empty
        else:
            decided = _blocked(action, ReasonCode.STATE_CHANGED, _gone(action, reasons))
        if decided.blocked is None:
            let_through.add(action.id)
        actions.append(decided)
    return plan.model_copy(update={"actions": tuple(actions)})


def _reasons(today: Plan) -> Mapping[str, str]:
    """Return what today's plan says is wrong, by subject: the gravest first word of each."""
    grave = [f for f in today.findings if f.status is not FindingStatus.OK and f.severity is not Severity.INFO]
    return {f.subject: f.summary for f in sorted(grave, key=lambda f: f.severity.rank)}


def _gone(action: Action, reasons: Mapping[str, str]) -> str:
    why = reasons.get(action.subject)
    because = f": {why}" if why else " (the policy, or the object, is another one by now)"
    return f"today's plan does not hold this any more{because}; nothing was changed, plan again"


def _held_against(action: Action, today: Action, *, approved: bool, counted: bool) -> Action:
    """Return the action as far as its counterpart of today allows; ``counted``: what it follows knew how many rows."""
    if today.blocked is not None:
        return _blocked(action, *today.blocked)
    requires = stricter(action.requires, today.requires)
    if not approved and "approval" in (action.requires.kind, today.requires.kind):
        text = "under today's policy it waits for a person's approval"
        return _blocked(action, ReasonCode.NEEDS_APPROVAL, text)
    narrowed = _narrowed(action, today)
    if narrowed.get("leaves") == []:
        return _blocked(action, ReasonCode.STATE_CHANGED, "none of the tables that were planned for is there any more")
    if action.destructive and action.rows is None and not counted:
        text = "how many rows would go was not known when it was planned, so nobody can say whether these are they"
        return _blocked(action, ReasonCode.OVER_LIMIT, f"{text}; plan anew and approve in one go: --approve without id")
    over = action.over_limit or today.over_limit
    beside = tuple(dict.fromkeys((*action.not_during, *today.not_during)))
    return action.model_copy(update={"args": narrowed, "requires": requires, "over_limit": over, "not_during": beside})


def _narrowed(action: Action, today: Action) -> Json:
    """Return the args of the action, reaching no further than either; what today asks besides is added."""
    args = dict(action.args)
    if action.reach is not None and today.reach is not None and today.reach < action.reach:
        args |= {key: today.args[key] for key in _CUT_OFFS if key in today.args}
    if isinstance(args.get("leaves"), Sequence) and "leaves" in today.args:
        still = {leaf["oid"] for leaf in today.args["leaves"]}
        args["leaves"] = [leaf for leaf in args["leaves"] if leaf["oid"] in still]
    return args | {key: today.args[key] for key in ("quality", "snapshot_after") if key in today.args}


def _blocked(action: Action, code: ReasonCode, text: str) -> Action:
    return action.model_copy(update={"blocked": (code, text)})
