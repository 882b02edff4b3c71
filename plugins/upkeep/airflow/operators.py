"""The steps of a run as operators: each calls one step of the runner and returns a small value.

Nothing is decided here. What a step needs is imported when it runs, so that reading a DAG file stays
cheap. A step that cannot go on raises: Airflow then stops this target's chain and no other. Cancelling
the task cancels the running statement on the server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from upkeep.model import TargetReport
    from upkeep.run.runner import Runner

APPROVALS = "approved_changes"
"""The DAG that asks for and applies what is pending."""
PLAN_ONLY = "plan"
"""Value of the parameter ``mode`` with which a run changes nothing."""


class UpkeepOperator(BaseOperator):
    """Base of the steps: gives a runner, and cancels it when the task is cancelled."""

    ui_color = "#e6f2ee"
    _runner: Runner | None = None

    @contextmanager
    def runner(self) -> Iterator[Runner]:
        """Open a runner that `on_kill` can reach.

        An expected failure is a sentence in the task's log: where in the code it was raised helps nobody.
        """
        from upkeep.airflow.runtime import open_runner  # noqa: PLC0415 - see the module's docstring
        from upkeep.errors import UpkeepError  # noqa: PLC0415

        try:
            with open_runner() as runner:
                self._runner = runner
                yield runner
        except UpkeepError as error:
            self.log.error("%s", error)  # noqa: TRY400 - see above
            raise AirflowFailException(str(error)) from None
        finally:
            self._runner = None

    def on_kill(self) -> None:
        """Cancel the running statement on the server."""
        runner = self._runner
        if runner is not None:
            runner.cancel()


class StartRun(UpkeepOperator):
    """Begin a run in the ledger; returns the names of its targets, and the run's id as XCom ``run_id``.

    For a job that only looks, over many targets: groups of names (`upkeep.run.rounds.groups`), a task each.

    A cleared start begins a new run: nothing of the old one is used again.

    Parameters
    ----------
    job
        What kind of maintenance.
    """

    template_fields = ("job",)

    def __init__(self, *, job: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job

    def execute(self, context: Context) -> list[str] | list[list[str]]:
        """Begin the run."""
        from upkeep.airflow import runtime  # noqa: PLC0415
        from upkeep.jobs import spec  # noqa: PLC0415
        from upkeep.run import rounds  # noqa: PLC0415

        params = runtime.parameters(context)
        with self.runner() as runner:
            request = runtime.request(self.job, params)
            names = runner.targets(self.job, params.get("targets") or ())
            run_id = runner.start(
                self.job,
                runtime.instant(context),
                trigger=runtime.trigger(context),
                actor=runtime.actor(context),
                targets=params.get("targets") or (),
                options={**runtime.origin(context), "plan_only": params.get("mode") == PLAN_ONLY},
                request=request,
            )
        context["ti"].xcom_push(key="run_id", value=run_id)
        self.log.info(
            "run %s at %s over %s", run_id, runtime.instant(context).isoformat(), ", ".join(names) or "nothing"
        )
        return rounds.groups(names) if spec.require(self.job).looks_only else names


class StepOperator(UpkeepOperator):
    """A step of one target.

    Parameters
    ----------
    run_id
        The ledger's run, or a template of it.
    target
        Name of the target.
    """

    template_fields: Sequence[str] = ("run_id", "target")

    def __init__(self, *, run_id: str, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.target = target


class Observe(StepOperator):
    """Read the target's state; returns the number of rows read."""

    def execute(self, context: Context) -> int:
        """Read and store."""
        with self.runner() as runner:
            return runner.observe(self.run_id, self.target).rows


class GateBefore(StepOperator):
    """Evaluate the suite before; fails when the target as a whole must not be touched.

    Subjects that fail alone do not stop the others: the plan then leaves them out, and the target ends partial.
    """

    def execute(self, context: Context) -> bool:
        """Evaluate; returns whether everything held."""
        with self.runner() as runner:
            result = runner.gate(self.run_id, self.target, "before")
            for failure in result.failed:
                self.log.warning("%s\n  remedy: %s", failure.summary, failure.remedy or "see the report")
            self.log.info("%d of %d expectations held", result.evaluated - len(result.failed), result.evaluated)
            if result.stops_target:
                text = "; ".join(f.summary for f in result.failed if f.stops == "target")
                runner.finish(self.run_id, self.target, error=f"the gate before did not pass: {text}")
                raise AirflowFailException(f"{self.target}: the gate before did not pass: {text}")
            return result.success


class MakePlan(StepOperator):
    """Decide what to do; returns the plan's id and the number of its actions."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan and store."""
        with self.runner() as runner:
            plan = runner.plan(self.run_id, self.target)
        for action in plan.actions:
            self.log.info("%s %s: %s", action.kind, action.subject, action.reason)
        return {"plan_id": plan.plan_id, "actions": len(plan.actions), "awaiting_approval": len(plan.awaiting)}


class Apply(StepOperator):
    """Carry the plan out; returns how many actions ended how.

    Parameters
    ----------
    approval
        Id of the plan whose recorded approval is used up; without it only what needs no person is done.
    """

    template_fields: Sequence[str] = (*StepOperator.template_fields, "approval")

    def __init__(self, *, approval: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approval = approval

    def execute(self, context: Context) -> dict[str, int]:
        """Apply; an action that fails does not stop the others."""
        if context["params"].get("mode") == PLAN_ONLY:
            self.log.info("plan only: nothing is changed")
            return {}
        with self.runner() as runner:
            outcomes = runner.apply(self.run_id, self.target, approval=self.approval)
        counts: dict[str, int] = {}
        for outcome in outcomes:
            counts[outcome.status.value] = counts.get(outcome.status.value, 0) + 1
            self.log.info("%s %s %s", outcome.status.value, outcome.reason_code or "", outcome.message or "")
        return counts


class Verify(StepOperator):
    """Prove what was made (a backup) in servers of its own; returns the level, or nothing when nothing was due."""

    def execute(self, context: Context) -> str | None:
        """Restore and compare."""
        if context["params"].get("mode") == PLAN_ONLY:
            return None
        with self.runner() as runner:
            return runner.verify(self.run_id, self.target)


class GateAfter(StepOperator):
    """Observe again, evaluate the suite after, conclude the target; fails when it did not end well.

    ``said`` goes into the task's label: of a target of which nothing was done why not, since its task is green.
    """

    said = ""

    def execute(self, context: Context) -> str:
        """Prove; returns the target's status."""
        from upkeep import words  # noqa: PLC0415
        from upkeep.airflow import runtime  # noqa: PLC0415

        with self.runner() as runner:
            if context["params"].get("mode") != PLAN_ONLY:
                runner.observe(self.run_id, self.target, "after")
                runner.gate(self.run_id, self.target, "after")
            report = runner.finish(self.run_id, self.target)
        self._announce(context, report)
        if report.status in runtime.HELD_BACK:
            held_back = report.status is runtime.PLANNED and context["params"].get("mode") != PLAN_ONLY
            self.said = " – held back" if held_back else f" – {words.STATUS[report.status][0]}"
        text = runtime.verdict(report)
        if report.status in runtime.BAD:
            raise AirflowFailException(text)
        (self.log.warning if self.said else self.log.info)(text)
        return report.status.value

    def _announce(self, context: Context, report: TargetReport) -> None:
        """Give the asset event of this job its target and status, for whoever schedules on it."""
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {
                "target": self.target,
                "status": report.status.value,
                "run_id": self.run_id,
            }
