"""The rules of approval, as pure functions over where a plan stands.

An approval counts for exactly the plan it names, once, for 24 hours, and only while that plan is the newest
of its target and job. A rejection holds for 24 hours: after that, planning the very same again asks again.
The last decision about a plan's id is the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from upkeep.errors import ApprovalRefusedError
from upkeep.ledger.control import Row
from upkeep.ledger.records import ApprovalState
from upkeep.model import PlanState

APPROVAL_HOLDS = timedelta(hours=24)
"""From granting to expiry (DESIGN 4): the next night plans anew anyway."""
REJECTION_HOLDS = timedelta(hours=24)
"""A no is not asked about again every run, but a changed mind is possible the day after."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A plan as last planned, the newest plan of its target and job, and the last decision about it.

    Ids are positions in the ledger: a higher one was written later.
    """

    now: datetime
    planned_id: int
    newest_plan_id: str
    newest_run_id: str
    decision_id: int | None = None
    decision: str | None = None
    actor: str | None = None
    reason: str | None = None
    decision_run_id: str | None = None
    decided_at: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> Standing:
        """Take what concerns the decision out of a row."""
        return cls(**{name: row[name] for name in cls.__slots__})

    def state(self, plan_id: str) -> ApprovalState:
        """Return where the plan stands now."""
        if self.newest_plan_id != plan_id:
            return ApprovalState.SUPERSEDED
        if self.decision is None or self.decided_at is None or self.decision_id is None:
            return ApprovalState.AWAITING
        planned_since = self.planned_id > self.decision_id
        if self.decision == "granted":
            return ApprovalState.GRANTED if self.now < self.decided_at + APPROVAL_HOLDS else ApprovalState.EXPIRED
        if self.decision == "used":
            return ApprovalState.AWAITING if planned_since else ApprovalState.USED
        over = planned_since and self.now >= self.decided_at + REJECTION_HOLDS
        return ApprovalState.AWAITING if over else ApprovalState.REJECTED


def fate(row: Row, run_id: str | None = None) -> PlanState | None:
    """Return what became of a plan, or ``None`` when nobody was to decide anything.

    What a person or a run did with it comes before that it was superseded since; an approval that was not used
    until then ended with it.

    Parameters
    ----------
    row
        A row of ``plan_fates``.
    run_id
        The run whose report it is for: a use by this very run counts, whatever came after.
    """
    decided = row["decisions"]
    mine = [d for d in decided if d["event"] == "used" and d["run_id"] == run_id]
    last = mine[-1] if mine else decided[-1] if decided else None
    state = _state(row, last, is_mine=bool(mine))
    if state is None:
        return None
    by, at = (last["actor"], datetime.fromisoformat(last["recorded_at"])) if last else (None, None)
    ran = last["run_id"] if last and state is ApprovalState.USED else None
    if state is ApprovalState.EXPIRED and at:
        at += APPROVAL_HOLDS
    if state is ApprovalState.AWAITING:
        by = at = None
    if state is ApprovalState.SUPERSEDED:
        by, at, ran = None, row["superseded_at"], row["newest_run_id"]
    passed = row["superseded_at"] is not None and row["newest_plan_id"] != row["plan_id"]
    return PlanState(
        state=state,
        planned_by=row["planned_by"],
        by=by,
        at=at,
        run_id=ran,
        reason=(last["reason"] or None) if last and state is ApprovalState.REJECTED else None,
        superseded_by=row["newest_plan_id"] if passed else None,
    )


def _state(row: Row, last: Row | None, *, is_mine: bool) -> ApprovalState | None:
    planned_since = last is not None and row["planned_id"] > last["id"] and not is_mine
    event = last["event"] if last else None
    age = row["now"] - datetime.fromisoformat(last["recorded_at"]) if last else timedelta()
    if event == "used" and not planned_since:
        return ApprovalState.USED
    if event == "rejected" and not (planned_since and age >= REJECTION_HOLDS):
        return ApprovalState.REJECTED
    if row["superseded_at"] is not None and (row["waits"] or last):
        return ApprovalState.SUPERSEDED
    if event == "granted":
        return ApprovalState.GRANTED if age < APPROVAL_HOLDS else ApprovalState.EXPIRED
    return ApprovalState.AWAITING if row["waits"] else None


def require_decidable(plan_id: str, standing: Standing) -> None:
    """Raise `ApprovalRefusedError` when nothing can be granted for the plan any more."""
    state = standing.state(plan_id)
    if state in (ApprovalState.SUPERSEDED, ApprovalState.USED, ApprovalState.REJECTED):
        raise ApprovalRefusedError(refusal(plan_id, standing, state))


def require_usable(plan_id: str, standing: Standing) -> None:
    """Raise `ApprovalRefusedError` unless a valid approval of exactly this plan is recorded."""
    state = standing.state(plan_id)
    if state is not ApprovalState.GRANTED:
        raise ApprovalRefusedError(refusal(plan_id, standing, state))


def unknown(plan_id: str) -> ApprovalRefusedError:
    """Return the refusal for a plan that the ledger does not know."""
    return ApprovalRefusedError(
        f"no plan {plan_id} is recorded, so it cannot be approved; `upkeep pending` lists those that wait"
    )


def refusal(plan_id: str, standing: Standing, state: ApprovalState) -> str:
    """Return why, since when, and what to do."""
    moment = "" if standing.decided_at is None else f"{standing.decided_at:%Y-%m-%d %H:%M:%S %Z}"
    again = f"approve it with `upkeep run JOB --approve {plan_id}` or in the UI"
    if state is ApprovalState.SUPERSEDED:
        return (
            f"plan {plan_id} was superseded by plan {standing.newest_plan_id} of run {standing.newest_run_id}; "
            "look at that one: an approval counts for the newest plan only"
        )
    if state is ApprovalState.EXPIRED and standing.decided_at is not None:
        expired = f"{standing.decided_at + APPROVAL_HOLDS:%Y-%m-%d %H:%M:%S %Z}"
        return f"the approval of plan {plan_id} by {standing.actor} expired at {expired}; {again} again"
    if state is ApprovalState.USED or (standing.decision == "used" and state is ApprovalState.AWAITING):
        return (
            f"the approval of plan {plan_id} was used by run {standing.decision_run_id} at {moment}, and counts once; "
            "plan again and approve what is planned then"
        )
    if standing.decision == "rejected":
        why = f" ({standing.reason})" if standing.reason else ""
        return (
            f"plan {plan_id} was rejected by {standing.actor} at {moment}{why}; "
            "a rejection holds for 24 hours: change the policy, or plan and approve again after that"
        )
    return f"no approval of plan {plan_id} is recorded; {again}"
