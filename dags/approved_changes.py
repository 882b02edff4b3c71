"""Asks a person about one pending plan, and carries it out when it is approved. Started by the nightly runs."""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param

from upkeep.airflow.approval import ApprovePlan, DescribePlan, StartApproved
from upkeep.airflow.dags import APPLY_TIMEOUT, READ_TIMEOUT, START_DATE
from upkeep.airflow.handover import Conclude
from upkeep.airflow.operators import Apply, GateAfter, GateBefore, Observe

ANSWER_WITHIN = timedelta(hours=23)  # over before the next night asks anew
PLAN_ID = "{{ params.plan_id }}"
TARGET = "{{ ti.xcom_pull(task_ids='describe')['target'] }}"
RUN_ID = "{{ ti.xcom_pull(task_ids='start') }}"

with DAG(
    dag_id="approved_changes",
    description="Asks for, and applies, what a nightly run planned but may not do alone",
    schedule=None,
    start_date=START_DATE,
    max_active_runs=500,
    dagrun_timeout=ANSWER_WITHIN + APPLY_TIMEOUT,
    default_args={"owner": "upkeep", "retries": 0},
    params={
        "plan_id": Param(
            type="string", minLength=4, title="Plan", description="Id of a pending plan (`upkeep pending`)."
        ),
        "target": Param(None, type=["null", "string"], title="Target", description="For reading; the plan knows it."),
        "job": Param(None, type=["null", "string"], title="Job", description="For reading; the plan knows it."),
        "run_id": Param(None, type=["null", "string"], title="Run", description="The run that made the plan."),
    },
    tags=["upkeep", "approval"],
    doc_md="""
### Approved changes

One run for each plan that waits for a person. `approve` shows the plan as a table; **Approve** or **Reject** it
there (also under *Required actions*). An approval counts for exactly this plan, once, for 24 hours; without an
answer within 23 hours nothing is done, and the next night asks again. A newer plan for the same target and job
takes the older one's place: the older one is no longer asked about, and refused even if it is approved later.
Clearing a task uses nothing again.
""",
) as dag:
    describe = DescribePlan(task_id="describe", plan_id=PLAN_ID, execution_timeout=READ_TIMEOUT)
    approve = ApprovePlan(
        task_id="approve",
        plan_id="{{ ti.xcom_pull(task_ids='describe')['plan_id'] }}",
        subject="{{ ti.xcom_pull(task_ids='describe')['subject'] }}",
        body="{{ ti.xcom_pull(task_ids='describe')['body'] }}",
        defaults="Reject",
        response_timeout=ANSWER_WITHIN,
    )
    start = StartApproved(task_id="start", plan_id=approve.plan_id, execution_timeout=READ_TIMEOUT)
    step = {"run_id": RUN_ID, "target": TARGET}
    observe = Observe(task_id="observe", execution_timeout=READ_TIMEOUT, **step)
    gate_before = GateBefore(task_id="gate_before", execution_timeout=READ_TIMEOUT, **step)
    apply = Apply(task_id="apply", approval=approve.plan_id, execution_timeout=APPLY_TIMEOUT, **step)
    gate_after = GateAfter(task_id="gate_after", execution_timeout=READ_TIMEOUT, **step)
    conclude = Conclude(task_id="conclude", run_id=RUN_ID, trigger_rule="all_done", execution_timeout=READ_TIMEOUT)
    all_well = EmptyOperator(task_id="all_well", trigger_rule="none_failed")
    describe >> approve >> start >> observe >> gate_before >> apply >> gate_after >> [conclude, all_well]
