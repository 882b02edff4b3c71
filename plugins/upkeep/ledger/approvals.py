"""Approvals: what waits for a person, what was decided, and using a decision up.

Every decision is checked and written in one transaction that holds the lock of the plan's target and job,
which planning takes too: of two that use the same approval at once exactly one succeeds, and none slips
past a newer plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from upkeep.ledger import codec, decisions
from upkeep.ledger.base import Part
from upkeep.ledger.control import Row
from upkeep.ledger.decisions import Standing
from upkeep.ledger.records import ApprovalState, PendingPlan
from upkeep.model import Plan, PlanState


class Approvals(Part):
    """The part of the ledger that knows what people decided."""

    def pending(self) -> list[PendingPlan]:
        """Return the plans that wait for a person or, approved, for their run; the oldest planning first.

        Of each target and job only the newest plan can be there. It is while it has actions that need a
        person and have neither been done nor failed since, and its approval was not used; a rejection keeps
        it away for 24 hours and until it is planned again.
        """
        found = (_pending(row) for row in self._fetch("pending_plans"))
        return [entry for entry in found if entry is not None]

    def fate(self, plan_id: str) -> PlanState | None:
        """Return what became of a plan; ``None`` when nobody was to decide anything, or no plan has that id."""
        return self.fates([plan_id]).get(plan_id)

    def fates(self, plan_ids: Sequence[str], *, run_id: str | None = None) -> dict[str, PlanState]:
        """Return what became of those of the plans about which somebody was to decide.

        Parameters
        ----------
        run_id
            The run whose report it is for: its own use of an approval counts, whatever came after.
        """
        rows = self._fetch("plan_fates", plan_ids=list(plan_ids)) if plan_ids else []
        found = {row["plan_id"]: decisions.fate(row, run_id) for row in rows}
        return {plan_id: state for plan_id, state in found.items() if state is not None}

    def answered(self, target: str, job: str) -> dict[str, PlanState]:
        """Return the plans of the last two days that nobody is to be asked about any more, and why not."""
        recent = [row["plan_id"] for row in self._fetch("recent_plans", target=target, job=job)]
        over = (ApprovalState.SUPERSEDED, ApprovalState.REJECTED, ApprovalState.USED)
        return {plan_id: state for plan_id, state in self.fates(recent).items() if state.state in over}

    def approve(self, plan_id: str, *, actor: str, how: str) -> None:
        """Grant the approval of a plan, for 24 hours; granting again begins them anew.

        Parameters
        ----------
        how
            ``ui``, ``cli`` or ``non-interactive``.

        Raises
        ------
        ApprovalRefusedError
            The plan is unknown, superseded, already used, or rejected.
        """
        self._decide(plan_id, "granted", decisions.require_decidable, actor=actor, how=how)

    def reject(self, plan_id: str, *, actor: str, how: str, reason: str = "") -> None:
        """Reject a plan for 24 hours; an approval that was not used yet is taken back.

        Raises
        ------
        ApprovalRefusedError
            The plan is unknown, superseded, already used, or rejected.
        """
        self._decide(plan_id, "rejected", decisions.require_decidable, actor=actor, how=how, reason=reason)

    def require_approval(self, plan_id: str) -> None:
        """Raise `ApprovalRefusedError` as `use_approval` does, but use nothing up."""
        rows = self._fetch("plan_standing", plan_id=plan_id)
        if not rows:
            raise decisions.unknown(plan_id)
        decisions.require_usable(plan_id, Standing.of(rows[0]))

    def use_approval(self, plan_id: str, *, run_id: str) -> None:
        """Use the approval of exactly this plan up, for this run.

        Raises
        ------
        ApprovalRefusedError
            None is recorded, or it expired, was used, was superseded, or the plan was rejected: the message
            says which, when, by whom, and what to do.
        """
        self._decide(plan_id, "used", decisions.require_usable, actor="", how="", run_id=run_id)

    def _decide(
        self,
        plan_id: str,
        event: str,
        require: Callable[[str, Standing], None],
        *,
        actor: str,
        how: str,
        reason: str = "",
        run_id: str | None = None,
    ) -> None:
        subject = self._fetch("plan_subject", plan_id=plan_id)
        if not subject:
            raise decisions.unknown(plan_id)
        target, job = subject[0]["target"], subject[0]["job"]
        with self._control.transaction():
            self._control.write("decision_lock", target=target, job=job)
            row = self._fetch("plan_standing", plan_id=plan_id)[0]
            require(plan_id, Standing.of(row))
            self._write(
                "decide",
                plan_id=plan_id,
                target=target,
                job=job,
                event=event,
                actor=codec.text(actor or row["actor"] or ""),
                how=how or row["how"] or "",
                reason=codec.text(reason),
                run_id=run_id or row["planned_by"],
            )


def _pending(row: Row) -> PendingPlan | None:
    standing = Standing.of(row)
    state = standing.state(row["plan_id"])
    if state not in (ApprovalState.AWAITING, ApprovalState.GRANTED, ApprovalState.EXPIRED):
        return None
    granted = state is not ApprovalState.AWAITING and standing.decided_at is not None
    return PendingPlan(
        plan=Plan.model_validate(codec.unpack(row["content"])),
        run_id=row["run_id"],
        created_at=row["created_at"],
        state=state,
        decided_by=standing.actor if granted else None,
        decided_at=standing.decided_at if granted else None,
        expires_at=standing.decided_at + decisions.APPROVAL_HOLDS if granted and standing.decided_at else None,
    )
