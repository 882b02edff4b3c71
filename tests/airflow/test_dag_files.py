# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
"""The DAG files: they load without errors, fast, and without what only tasks need."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from upkeep.jobs.spec import JOBS

if TYPE_CHECKING:
    from airflow.sdk import DAG

CHECKOUT = Path(__file__).resolve().parents[2]
FORBIDDEN = ["psycopg", "pymysql", "pymongo", "redis", "pandas", "numpy", "great_expectations"]
FORBIDDEN += [
    "upkeep.model",
    "upkeep.fleet",
    "upkeep.run.runner",
    "upkeep.gates",
    "upkeep.ledger",
    "upkeep.web",
    "fastapi",
]
PARSE_SECONDS = 1.0
_READ = """
import json, runpy, sys, time
import airflow.sdk, airflow.configuration, yaml
before = set(sys.modules)
began = time.process_time()
for path in sys.argv[1:]:
    runpy.run_path(path)
print(json.dumps([time.process_time() - began, sorted(set(sys.modules) - before)]))
"""


def _import_in_a_fresh_process(*paths: Path, tmp_path: Path) -> tuple[float, set[str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")} | {"AIRFLOW_HOME": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", _READ, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
    ).stdout
    seconds, modules = json.loads(output.strip().splitlines()[-1])
    return seconds, set(modules)


def test_dag_files_import_nothing_heavy_and_parse_in_a_second(tmp_path: Path) -> None:
    paths = sorted((CHECKOUT / "dags").glob("*.py"))
    _import_in_a_fresh_process(*paths, tmp_path=tmp_path)  # writes .pyc files where that is allowed
    seconds, modules = _import_in_a_fresh_process(*paths, tmp_path=tmp_path)
    assert not {m for m in modules if m.split(".")[0] in FORBIDDEN or m in FORBIDDEN}
    assert seconds < PARSE_SECONDS


def test_the_plugin_imports_nothing_of_its_own(tmp_path: Path) -> None:
    _, modules = _import_in_a_fresh_process(
        CHECKOUT / "plugins" / "upkeep" / "airflow" / "plugin.py", tmp_path=tmp_path
    )
    assert not {m for m in modules if m.startswith("upkeep.") or m.split(".")[0] == "psycopg"}


def test_what_people_see_of_the_dags(dags: "dict[str, DAG]") -> None:
    assert {"partition_creation", "data_retention", "approved_changes"} <= {*dags}
    assert {*dags} == {*JOBS, "approved_changes"}
    for dag in dags.values():
        assert dag.description
        assert dag.doc_md
        assert "upkeep" in dag.tags
        assert dag.dagrun_timeout
        assert not dag.catchup
        for task in dag.tasks:
            waits = task.task_id in ("approve", "hand_over", "all_well")
            assert waits or task.execution_timeout, f"{dag.dag_id}.{task.task_id} has no time-out"


@pytest.mark.parametrize("job", ["partition_creation", "data_retention"])
def test_nightly_jobs(dags: "dict[str, DAG]", job: str) -> None:
    from airflow.sdk import CronDataIntervalTimetable

    dag = dags[job]
    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    assert dag.max_active_runs == 1
    per_target = ("observe", "gate_before", "plan", "apply", "gate_after")
    for task_id in per_target:
        task = dag.get_task(task_id)
        assert task.map_index_template, f"{task_id} shows a number instead of the target's name"
        assert task.trigger_rule == "all_success"
    assert dag.get_task("conclude").downstream_task_ids == {"hand_over"}  # the run's state is not its to decide
    assert {t.task_id for t in dag.leaves} == {"hand_over", "all_well"}


def test_the_provider_is_known_to_airflow(airflow_home: Path) -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    hook = ProvidersManagerTaskRuntime().hooks["tidb"]
    assert hook is not None
    assert hook.hook_name == "TiDB"
