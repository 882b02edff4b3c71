# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
"""A round in Airflow: few targets have a task each, many go in groups; who is called, what is kept."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.dag_runs import report, run, states
from tests.harness.outside import http_server

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's own

JOB = "health_check"


def fleet_of(names: dict[str, str], **top: str) -> str:
    keys = "".join(f"{key}: {value}\n" for key, value in top.items())
    targets = "".join(f"  {name}: {{engine: postgres, connection: {where}}}\n" for name, where in names.items())
    return f"version: 1\n{keys}targets:\n{targets}"


def test_a_round(dags: "dict[str, DAG]", fleet: Callable[[str], Path], ledger: Any) -> None:
    dag = dags[JOB]
    assert {t.pool for t in dag.tasks} == {"default_pool"}  # another one only where somebody has made it
    with http_server() as web:
        top = {"heartbeat": f"{web.url}/beat", "notify": f"{web.url}/hook"}
        fleet(fleet_of({"near": "good", "far": "nowhere"}, **top))
        few = run(dag)
        seen = states(few)
        assert seen["look[near]"] == seen["conclude"] == "success", seen
        assert seen["look[far – unreachable]"] == "failed"
        assert seen["all_well"] == "upstream_failed"
        assert [(method, path) for method, path, _ in web.requests] == [("GET", "/beat")]

        names = {f"t{n:02}": "good" for n in range(20)} | {"far": "nowhere"}
        fleet(fleet_of(names, **top))
        many = run(dag)
        labels = {label: state for label, state in states(many).items() if label.startswith("look")}
        assert labels == {"look[7 targets]": "success", "look[7 targets – far unreachable]": "failed"}
        assert {t.target: t.status.value for t in report(ledger, many).targets} == {
            name: "unreachable" if where == "nowhere" else "ok" for name, where in names.items()
        }
        assert [path for _, path, _ in web.requests] == ["/beat", "/beat", "/hook"]
        ((told,),) = (document["findings"] for document in web.documents())
        assert (told["target"], told["check"], told["severity"], told["state"]) == ("far", "reachable", "ERROR", "new")

        removed_by_cleaning(few, many)


def removed_by_cleaning(old: Any, young: Any) -> None:
    """See that what is older than a week goes, with its logs, and nothing else."""
    from airflow.configuration import conf
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session

    from upkeep.airflow import cleaning

    then = datetime.now(UTC) - timedelta(days=8)
    with create_session() as session:
        for kind in (TaskInstance, DagRun):
            for row in session.query(kind).filter(kind.dag_id == JOB, kind.run_id == old.run_id):
                row.start_date = then
    logs = Path(conf.get("logging", "base_log_folder"))
    for name in ("old", "young"):
        file = logs / f"dag_id={JOB}" / f"run_id={name}" / "task_id=look" / "attempt=1.log"
        file.parent.mkdir(parents=True)
        file.write_text("said")
    for path in [*(logs / f"dag_id={JOB}" / "run_id=old").rglob("*"), logs / f"dag_id={JOB}" / "run_id=old"]:
        os.utime(path, (then.timestamp(), then.timestamp()))
    cleaning.main(["--dry-run"])
    assert {old.run_id, young.run_id} <= known_runs()
    cleaning.main([])
    assert old.run_id not in known_runs()
    assert young.run_id in known_runs()
    assert {path.name for path in (logs / f"dag_id={JOB}").glob("run_id=*") if path.name[7:] in ("old", "young")} == {
        "run_id=young"
    }


def known_runs() -> set[str]:
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        return {row.run_id for row in session.query(DagRun).filter(DagRun.dag_id == JOB)}


def test_how_long_history_is_kept() -> None:
    from upkeep.airflow import cleaning

    rounds, nights = cleaning.kept().values()
    assert rounds == [JOB, "cache_warming"]  # what comes every few minutes
    assert {"partition_creation", "data_retention", "approved_changes"} <= {*nights}
    assert not {*rounds} & {*nights}
