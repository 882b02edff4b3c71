"""Asking a person: the plan is shown, the answer is written to the ledger, an approved plan gets a run of its own.

What counts is the ledger's approval of exactly this plan: marking a task as successful in the UI approves
nothing, and clearing one uses nothing again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from upkeep.airflow.operators import UpkeepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from upkeep.ledger import Ledger, RunRecord

LOOK_AGAIN: Final = timedelta(minutes=10)
"""How long a question may stay open that a newer plan has made pointless.

Not shorter: for the seconds that a look takes, Airflow counts the default as the answer and turns a person away (409).
"""


class DescribePlan(UpkeepOperator):
    """Return the pending plan as Markdown; fails when it no longer waits, saying what became of it.

    A question that was open before and was taken back (`handover.HandOver`) ends here without an error.

    Parameters
    ----------
    plan_id
        The plan, or a template of it.
    """

    template_fields = ("plan_id",)

    def __init__(self, *, plan_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_id = plan_id

    def execute(self, context: Context) -> dict[str, str]:
        """Describe."""
        from upkeep.airflow.markdown import plan_table  # noqa: PLC0415
        from upkeep.airflow.runtime import parameters  # noqa: PLC0415

        parameters(context)
        with self.runner() as runner:
            planned_by, plan = runner.ledger.find_plan(self.plan_id)
            planned = _report(runner.ledger.run(planned_by))
            over = no_longer_waits(runner.ledger, plan.plan_id)
        if over:
            asked_before = context["ti"].try_number > 1
            raise (AirflowSkipException if asked_before else AirflowFailException)(
                f"{plan.job} on {plan.target}: {over}; `upkeep pending` or the newest run's report shows what waits now"
            )
        count = len(plan.awaiting)
        subject = f"{plan.job} on {plan.target}: {count} change{'s' * (count != 1)} to approve"
        return {
            "subject": subject,
            "body": plan_table(plan, _tab(context), planned),
            "target": plan.target,
            "plan_id": plan.plan_id,
        }


def _tab(context: Context) -> str:
    """Return where this run's report is: the tab on it."""
    run: Any = context["dag_run"]
    return _address(run.dag_id, run.run_id)


def _report(run: RunRecord) -> str:
    """Return where the report of a run of the ledger is: the tab on its DAG run, or the page of one from elsewhere."""
    dag_id, dag_run_id = run.options.get("dag_id"), run.options.get("dag_run_id")
    if dag_id and dag_run_id:
        return _address(dag_id, dag_run_id)
    return f"upkeep/run/{quote(run.job, safe='')}/{quote(run.run_id, safe='')}"


def _address(dag_id: str, run_id: str) -> str:
    """Return the tab on a DAG run; without a slash before it, so that it is below Airflow's base address."""
    return f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/plugin/upkeep"


def no_longer_waits(ledger: Ledger, plan_id: str) -> str:
    """Return why nobody is to be asked about a plan any more; empty while it waits."""
    from upkeep import words  # noqa: PLC0415 - in a task only

    if plan_id in {p.plan.plan_id for p in ledger.pending()}:
        return ""
    state = ledger.fate(plan_id)
    what = "what it would do was done or tried since" if state is None else words.fate(state)[0]
    return f"plan {plan_id} no longer waits: {what}"


class ApprovePlan(ApprovalOperator):
    """Wait for a person's answer and write it to the ledger, with who gave it.

    Every few minutes it looks whether the plan still waits: one that was answered elsewhere, or whose place a
    newer plan has taken, is not asked about any longer, and the run ends here without an error, saying so. The
    newer run does not wait for that: it takes the older question back when it hands its own plan over.

    Parameters
    ----------
    plan_id
        The plan that the answer is about.
    response_timeout
        How long it waits for an answer; then nobody has approved.
    """

    template_fields = (*ApprovalOperator.template_fields, "plan_id")

    def __init__(self, *, plan_id: str, response_timeout: timedelta, **kwargs: Any) -> None:
        super().__init__(response_timeout=response_timeout, **kwargs)
        self.plan_id = plan_id
        self.answer_within = response_timeout

    def execute(self, context: Context) -> None:
        """Ask."""
        self._ask(context, datetime.now(UTC) + self.answer_within)

    def execute_complete(self, context: Context, event: dict[str, Any], deadline: str | None = None) -> Any:
        """Record the answer; a rejection, or none in time, ends the run here, without an error."""
        until = datetime.fromisoformat(deadline) if deadline else datetime.now(UTC)
        if event.get("timedout") and datetime.now(UTC) < until:
            self._skip_unless_waiting(context)
            self.notifiers = []  # they were told when it was asked first
            return self._ask(context, until)
        if "error" not in event:
            self._record(event)
        return super().execute_complete(context, event)

    def _ask(self, context: Context, until: datetime) -> None:
        """Open the question and park the task; it comes back with an answer, or to look again."""
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            pause = min(LOOK_AGAIN, max(until - datetime.now(UTC), timedelta(seconds=1)))
            kwargs = {"deadline": until.isoformat()}
            raise TaskAwaitingInput(method_name=parked.method_name, kwargs=kwargs, timeout=pause) from None

    def _skip_unless_waiting(self, context: Context) -> None:
        from upkeep.airflow.runtime import open_runner  # noqa: PLC0415 - only when it is looked at

        with open_runner() as runner:
            over = no_longer_waits(runner.ledger, self.plan_id)
        if over:  # the default that Airflow took for an answer is taken back: nobody has rejected anything
            upsert_hitl_detail(context["ti"].id, self.options, self.subject, self.body, self.defaults)
            raise AirflowSkipException(over)

    def _record(self, event: dict[str, Any]) -> None:
        from upkeep.airflow.runtime import open_runner  # noqa: PLC0415 - only when the answer is there
        from upkeep.errors import ApprovalRefusedError  # noqa: PLC0415

        user = event.get("responded_by_user")
        if not user:  # the default answered, nobody did: the ledger keeps no decision, the next night asks again
            self.log.info("nobody answered in time: nothing is approved")
            return
        approves = self.APPROVE in event["chosen_options"]
        with open_runner() as runner:
            try:
                (runner.ledger.approve if approves else runner.ledger.reject)(self.plan_id, actor=_name(user), how="ui")
            except ApprovalRefusedError as refused:  # an approval that counts for nothing must not look fine
                raise (AirflowFailException if approves else AirflowSkipException)(str(refused)) from None


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
