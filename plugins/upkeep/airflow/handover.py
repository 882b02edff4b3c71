"""The end of a run: it is closed, and what waits for a person is handed to `approved_changes`, once for each plan.

Runs that end at the same time may find the same plan waiting. The run that asks about it carries the plan's id in
its own, so the second hand-over finds it there, which is as good as having begun it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.api.client import ServerResponseError
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, AirflowSkipException

from upkeep.airflow.operators import APPROVALS, UpkeepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from upkeep.model import PlanState

Entry: TypeAlias = dict[str, Any]
"""What `HandOver` is given for one plan: ``trigger_run_id``, ``conf``; to take a question back, ``reset_dag_run``."""

_MOST_WAITING = 100
"""Answers to one and the same plan that are told apart; a plan is not asked about more often."""
_ASKING: dict[str, Any] = {"task_ids": ["approve"], "states": ["awaiting_input"]}
"""Where a question is open: only that may be taken back, never a run that is applying by now."""
_NOT_IN_RUN_IDS = re.compile(r"[^A-Za-z0-9_.~:+-]")
"""A run's id is part of an address; what Airflow's ``allowed_run_id_pattern`` refuses by default."""


class Conclude(UpkeepOperator):
    """End the run: close what a killed task left open, and list the plans that wait for a person.

    Runs whatever became of the targets and fails only when the ledger cannot be used; the DAG run as a
    whole fails through the task beside it. Returns one entry for each `approved_changes` run to be made, and for
    each that asks about a plan whose place a newer one has taken.
    """

    template_fields = ("run_id",)

    def __init__(self, *, run_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id

    def execute(self, context: Context) -> list[Entry]:
        """Close and list."""
        from upkeep.airflow import runtime  # noqa: PLC0415
        from upkeep.run import telling  # noqa: PLC0415

        if self.run_id in ("", "None"):
            raise AirflowSkipException("no run began")
        with self.runner() as runner:
            for name in runner.ledger.unfinished(self.run_id):
                runner.finish(self.run_id, name, error="its task ended without a result: see the task's log")
            runner.ledger.finish_run(self.run_id)
            telling.tell(runner)
            report = runner.report(self.run_id)
            waiting = runtime.waiting_plans(report, runner.ledger.pending())
            over = [
                (target.target, plan_id, state)
                for target in report.targets
                for plan_id, state in runner.ledger.answered(target.target, report.job).items()
            ]
        entries: list[Entry] = []
        for target, plan_id in waiting:
            run_id = _free_run_id(context, f"{target}.{plan_id}")
            self.log.info("%s: plan %s waits for a person: %s", target, plan_id, run_id or "being asked about already")
            if run_id is not None:
                conf = {"plan_id": plan_id, "target": target, "job": report.job, "run_id": self.run_id}
                entries.append({"trigger_run_id": run_id, "conf": conf})
        return entries + [entry for about in over for entry in self._open_questions(context, *about)]

    def _open_questions(self, context: Context, target: str, plan_id: str, state: PlanState) -> Iterator[Entry]:
        """Return what takes back the questions about a plan that nobody is to be asked about any more."""
        from upkeep import words  # noqa: PLC0415

        ti: Any = context["ti"]
        ids = _run_ids(f"{target}.{plan_id}")
        left = ti.get_ti_count(APPROVALS, run_ids=ids, **_ASKING)
        for run_id in ids:
            if not left:
                return
            if ti.get_ti_count(APPROVALS, run_ids=[run_id], **_ASKING):
                left -= 1
                self.log.info("%s: plan %s %s; its question is taken back", target, plan_id, words.fate(state)[0])
                conf = {"plan_id": plan_id, "target": target}
                yield {"trigger_run_id": run_id, "conf": conf, "reset_dag_run": True}


def _run_ids(name: str) -> list[str]:
    """Return the ids that runs about a plan can have, by target and plan id."""
    safe = _NOT_IN_RUN_IDS.sub("_", name)
    return [f"{safe}.{n}" for n in range(1, _MOST_WAITING + 1)]


def _free_run_id(context: Context, name: str) -> str | None:
    """Return an unused run id of `approved_changes`, or ``None`` while a run for the same plan is open."""
    ti: Any = context["ti"]
    ids = _run_ids(name)
    if ti.get_dr_count(APPROVALS, run_ids=ids, states=["queued", "running"]):
        return None
    used = ti.get_dr_count(APPROVALS, run_ids=ids)
    for candidate in ids[used:]:  # a deleted run leaves a gap below
        if not ti.get_dr_count(APPROVALS, run_ids=[candidate]):
            return candidate
    raise AirflowFailException(f"{name} was asked about {_MOST_WAITING} times; delete old runs of {APPROVALS}")


class HandOver(TriggerDagRunOperator):
    """Start the run that asks a person about one plan; one that is there already is as good.

    With ``reset_dag_run`` it takes an open question back instead: the run that asks is cleared, and as its plan waits
    no longer, it ends without asking again, saying why. (A task may not answer another task's question.)

    Fails when nobody can be asked because the DAG that asks is missing. While it is paused its runs wait for it,
    which the task's label says: nobody is asked until somebody unpauses it.
    """

    said = ""

    def execute(self, context: Context) -> None:
        """Start it, unless it is there."""
        ti: Any = context["ti"]
        conf = self.conf or {}
        if self.reset_dag_run:
            if not ti.get_ti_count(APPROVALS, run_ids=[self.trigger_run_id], **_ASKING):
                self.said = " – answered in the meantime"
                return
            self.said = f" – plan {conf.get('plan_id')} is not asked about any more"
        else:
            self._look(ti, conf)
        super().execute(context)

    def _look(self, ti: Any, conf: Entry) -> None:
        """See whether somebody can be asked."""
        target = str(conf.get("target"))
        what = f"{target}: plan {conf.get('plan_id')} waits for a person"
        try:
            paused = ti.get_dag(APPROVALS).is_paused
        except (AirflowRuntimeError, ServerResponseError) as error:  # the latter where the task runs in-process
            raise AirflowFailException(
                f"{what}, but Airflow has no DAG {APPROVALS}, so nobody is asked: put dags/{APPROVALS}.py where the "
                f"others are, then clear this task ({error})"
            ) from None
        if paused:
            self.said = f" – {APPROVALS} is paused: nobody is asked"
            self.log.warning("%s, but %s is paused, so nobody is asked: unpause it", what, APPROVALS)
