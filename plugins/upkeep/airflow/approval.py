"""Asking a person: the plan is shown, the answer is written to the ledger, an approved plan gets a run of its own.

What counts is the ledger's approval of exactly this plan: marking a task as successful in the UI approves
nothing, and clearing one uses nothing again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException

from upkeep.airflow.operators import UpkeepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class DescribePlan(UpkeepOperator):
    """Return the pending plan as Markdown; fails when it no longer waits, saying why.

    Parameters
    ----------
    plan_id
        The plan, or a template of it.
    """

    template_fields = ("plan_id",)

    def __init__(self, *, plan_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_id = plan_id

    def execute(self, context: Context) -> dict[str, str]:  # noqa: ARG002
        """Describe."""
        from upkeep.airflow.markdown import plan_table  # noqa: PLC0415

        with self.runner() as runner:
            _, plan = runner.ledger.find_plan(self.plan_id)
            if plan.plan_id not in {p.plan.plan_id for p in runner.ledger.pending()}:
                raise AirflowFailException(
                    f"plan {plan.plan_id} ({plan.job} on {plan.target}) no longer waits: it was answered, or "
                    "a newer plan has taken its place; `upkeep pending` or the newest run's report shows what waits now"
                )
        count = len(plan.awaiting)
        subject = f"{plan.job} on {plan.target}: {count} change{'s' * (count != 1)} to approve"
        return {"subject": subject, "body": plan_table(plan), "target": plan.target, "plan_id": plan.plan_id}


class ApprovePlan(ApprovalOperator):
    """Wait for a person's answer and write it to the ledger, with who gave it.

    Parameters
    ----------
    plan_id
        The plan that the answer is about.
    """

    template_fields = (*ApprovalOperator.template_fields, "plan_id")

    def __init__(self, *, plan_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_id = plan_id

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Record the answer; a rejection ends the run here, without an error."""
        if "error" not in event:
            self._record(event)
        return super().execute_complete(context, event)

    def _record(self, event: dict[str, Any]) -> None:
        from upkeep.airflow.runtime import open_runner  # noqa: PLC0415 - only when the answer is there

        user = event.get("responded_by_user")
        approved = self.APPROVE in event["chosen_options"]
        with open_runner() as runner:
            if approved and user:
                runner.ledger.approve(self.plan_id, actor=_name(user), how="ui")
            else:  # a time-out answers with the default, and nobody gave it
                actor = _name(user) if user else "nobody answered in time"
                runner.ledger.reject(self.plan_id, actor=actor, how="ui" if user else "timeout")


def _name(user: Any) -> str:
    known = user if isinstance(user, dict) else {"id": getattr(user, "id", ""), "name": getattr(user, "name", "")}
    return str(known.get("name") or known.get("id"))


class StartApproved(UpkeepOperator):
    """Begin the approved plan's own run, in the approver's name; returns the run's id.

    Parameters
    ----------
    plan_id
        The plan. Without a recorded approval that still counts, this fails and nothing is begun.
    """

    template_fields = ("plan_id",)

    def __init__(self, *, plan_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_id = plan_id

    def execute(self, context: Context) -> str:
        """Begin the run."""
        from upkeep.airflow import runtime  # noqa: PLC0415
        from upkeep.ledger import ApprovalState  # noqa: PLC0415

        with self.runner() as runner:
            granted = {p.plan.plan_id: p for p in runner.ledger.pending() if p.state is ApprovalState.GRANTED}
            if self.plan_id not in granted:
                raise AirflowFailException(
                    f"the ledger holds no approval of plan {self.plan_id} that counts: answer the task `approve`, "
                    "marking it is not enough; an approval is used once, lasts 24 hours, and ends with a newer plan"
                )
            actor = granted[self.plan_id].decided_by or "unknown"
            run_id, _ = runner.start_approved(
                self.plan_id, trigger="approval", actor=actor, options=runtime.origin(context)
            )
        return run_id
