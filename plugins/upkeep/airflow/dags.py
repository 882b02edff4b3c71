"""The DAG of a job: start → for each target (observe → gate → plan → apply → gate) → hand over what needs a person.

Read with every DAG file, so it imports nothing but Airflow's SDK. The run's state is the state of its
last two tasks: `all_well` follows the targets by the plain rule, so one bad target makes the run visibly
failed; `hand_over` starts one `approved_changes` run for each plan that waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, task_group

from upkeep import settings
from upkeep.airflow.handover import Conclude, HandOver
from upkeep.airflow.looks import EndRound, Look
from upkeep.airflow.operators import (
    APPROVALS,
    PLAN_ONLY,
    Apply,
    GateAfter,
    GateBefore,
    MakePlan,
    Observe,
    StartRun,
    Verify,
)
from upkeep.airflow.waiting import Wait
from upkeep.jobs import spec

START_DATE: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""The earliest day that a backfill can reach."""
RUN_TIMEOUT: Final = timedelta(hours=20)
"""A night that is not over by then must not stand in the way of the next."""
ROUND_TIMEOUT: Final = timedelta(minutes=30)
"""The same for a round of every few minutes, which the outside waits for."""
READ_TIMEOUT: Final = timedelta(minutes=15)
"""Observing, planning, gating: minutes even on thousands of partitions."""
APPLY_TIMEOUT: Final = timedelta(hours=12)
"""Deleting in throttled batches may take a night."""
RUN_ID: Final = "{{ ti.xcom_pull(task_ids='start', key='run_id') }}"
LABEL: Final = "{{ task.target }}"


def maintenance_dag(job: str, doc: str | None) -> DAG:
    """Return the DAG of a job, as its row says (`upkeep.jobs.spec.JOBS`); its data interval ends when it runs.

    Parameters
    ----------
    job
        Its name, which is the DAG's id.
    doc
        Markdown for the DAG's page: the docstring of its file.
    """
    row = spec.require(job)
    with DAG(
        dag_id=job,
        description=row.description,
        doc_md=doc,
        schedule=CronDataIntervalTimetable(row.cron, timezone="UTC") if row.cron else None,
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=ROUND_TIMEOUT if row.heartbeat else RUN_TIMEOUT,
        default_args={"owner": "upkeep", "retries": 0, "execution_timeout": READ_TIMEOUT},
        params=_params(row) | _asked(row),
        tags=["upkeep", *row.tags],
    ) as dag:
        start = StartRun(task_id="start", job=job)
        if row.looks_only:
            common = {"run_id": RUN_ID, "pool": settings.look_pool()}
            waits = bool(row.waits_for)
            look = Look.partial(task_id="look", waits=waits, map_index_template="{{ task.label }}", **common)
            looked = look.expand(target=start.output)
            looked >> EndRound(task_id="conclude", names=start.output, trigger_rule="all_done", **common)
            looked >> EmptyOperator(task_id="all_well", trigger_rule="none_failed")
            return dag
        targets = _per_target(row).expand(target=start.output)
        conclude = Conclude(task_id="conclude", run_id=RUN_ID, trigger_rule="all_done")
        hand_over = HandOver.partial(
            task_id="hand_over",
            trigger_dag_id=APPROVALS,
            logical_date=None,
            skip_when_already_exists=True,  # another run has handed the same plan over
            openlineage_inject_parent_info=False,  # the conf holds known keys only
            map_index_template="{{ task.conf['target'] }}{{ task.said }}",
        ).expand_kwargs(conclude.output)
        all_well = EmptyOperator(task_id="all_well", trigger_rule="none_failed")
        [start, targets] >> conclude >> hand_over
        targets >> all_well
    return dag


def _per_target(row: spec.JobSpec) -> Any:
    asset = Asset(name=f"upkeep.{row.name}", uri=f"upkeep://{row.name}")

    @task_group(group_id="targets", prefix_group_id=False)
    def steps(target: str) -> None:
        common: dict[str, Any] = {"run_id": RUN_ID, "target": target, "map_index_template": LABEL}
        observe = Observe(task_id="observe", **common)
        before = GateBefore(task_id="gate_before", **common)
        plan = MakePlan(task_id="plan", **common)
        apply = Apply(task_id="apply", execution_timeout=APPLY_TIMEOUT, **common)
        labelled = {**common, "map_index_template": f"{LABEL}{{{{ task.said }}}}"}
        after = GateAfter(task_id="gate_after", outlets=[asset], **labelled)
        observe >> before >> plan
        if row.waits_for or row.verifies:  # a backup may have to come last
            plan >> Wait(task_id="wait", execution_timeout=READ_TIMEOUT, **common) >> apply
        else:
            plan >> apply
        if row.verifies:
            # one at a time: each starts a server and reads all of a backup
            verify = Verify(task_id="verify", execution_timeout=APPLY_TIMEOUT, pool=settings.verify_pool(), **common)
            apply >> verify >> after
        else:
            apply >> after

    return steps


def _params(row: spec.JobSpec) -> dict[str, Param]:
    mode = {
        "mode": Param(
            "enforce",
            type="string",
            enum=["enforce", PLAN_ONLY],
            values_display={"enforce": "enforce", PLAN_ONLY: "plan only"},
            title="Mode",
            description="enforce: do what needs no approval and hand over the rest; plan only: say what would be done.",
        )
    }
    return {
        "targets": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            title="Targets",
            description="Names from the fleet file; none means all that declare something for this job.",
            examples=target_names(settings.fleet_file(), row.engines),
        ),
        **({} if row.looks_only else mode),
    }


def _asked(row: spec.JobSpec) -> dict[str, Param]:
    """Return the job's own parameters: the fields of its request."""
    schema = row.request.model_json_schema()
    shared = schema.get("$defs", {})
    return {name: _param(name, part, shared) for name, part in schema.get("properties", {}).items()}


def _param(name: str, part: Mapping[str, Any], shared: Mapping[str, Any]) -> Param:
    kinds = [_resolved(kind, shared) for kind in part.get("anyOf", (part,))]
    known = {key: value for kind in kinds for key, value in kind.items() if key in ("enum", "items", "format")}
    types = [kind["type"] for kind in kinds]
    title = part.get("title", name.replace("_", " ").capitalize())
    return Param(part.get("default"), type=types, title=title, description=part.get("description"), **known)


def _resolved(kind: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of a JSON schema with what it refers to."""
    return shared[kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind


def target_names(path: Path, engines: Collection[str]) -> list[str]:
    """Return the names of targets on these engines, for the form; that a fleet file cannot be read fails the run."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
        return sorted(str(name) for name, target in data["targets"].items() if target.get("engine") in engines)
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []
