"""What the tests of whole DAG runs share: a table with old rows, a run in this process, its states, its report."""

from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from airflow.sdk import DAG

READINGS = """
    create table public.readings (at timestamptz not null, value int) partition by range (at);
    create index on public.readings (at);
"""
OLD = """
    create table public.readings_old partition of public.readings for values from ('2020-01-01Z') to ('2020-02-01Z');
    create table public.readings_new partition of public.readings for values from ('2020-02-01Z') to ('2099-01-01Z');
    insert into public.readings select '2020-01-10Z', n from generate_series(1, 50) n;
    insert into public.readings select now(), n from generate_series(1, 100) n;
"""


def execute(uri: str, statement: str) -> list[Any]:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def run(dag: "DAG", **arguments: Any) -> Any:
    """Run a DAG once in this process and return its run. Its parameters would stay with the object: all are given."""
    conf = {"targets": [], "mode": "enforce"} | arguments.pop("run_conf", {})
    known = {key: value for key, value in conf.items() if key in dag.params}
    return dag.test(run_conf=known, **arguments)


def states(dag_run: Any) -> dict[str, str]:
    """Return the state of each task, mapped ones by their label."""
    found = {}
    for ti in dag_run.get_task_instances():
        label = f"[{ti.rendered_map_index or ti.map_index}]" if ti.map_index >= 0 else ""
        found[f"{ti.task_id}{label}"] = str(ti.state)
    return found


def report(ledger: Any, dag_run: Any) -> Any:
    run_id = ledger.run_for(dag_run.dag_id, dag_run.run_id)
    assert run_id is not None
    return ledger.report(run_id)
