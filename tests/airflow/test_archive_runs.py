"""Archiving into files inside a real DAG run, and what the run's report keeps of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.harness.dag_runs import OLD, READINGS, execute, report, run, states

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's own, many; the DAG files' are seen in test_dag_files

FLEET = """
version: 1
targets:
  good:
    engine: postgres
    connection: good
    tables:
      public.readings:
        retain: {{by: at, for: 30 days, then: archive, into: '{into}', precision: row, requires: nothing}}
"""


@pytest.mark.parametrize("url", [False, True])
def test_rows_go_into_files(
    dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any, tmp_path: Path, *, url: bool
) -> None:
    """A directory, or its URL."""
    execute(database, READINGS + OLD)
    into = tmp_path / "archive"
    fleet(FLEET.format(into=f"file://{into}" if url else into))
    dag_run = run(dags["data_retention"])
    assert dag_run.state == "success", states(dag_run)
    (target,) = report(ledger, dag_run).targets
    assert target.status == "ok"
    assert all(g.success for g in target.gates)
    (action,) = [a for a in target.actions if a.kind == "archive_rows"]
    (outcome,) = [o for o in target.outcomes if o.action_id == action.id]
    evidence = outcome.evidence
    assert (outcome.rows, evidence["rows_archived"], evidence["rows_deleted"]) == (50, 50, 50)
    assert evidence["hash_source"] == evidence["hash_archive"]
    assert evidence["proof"] == "bytes"
    (file,) = (into / "public/readings").glob("*.parquet")
    assert evidence["first_file"].endswith(file.name)
    assert evidence["file_bytes"] == file.stat().st_size
    assert pq.read_table(file).num_rows == 50
    assert execute(database, "select count(*) from public.readings") == [(100,)]
    again = report(ledger, run(dags["data_retention"])).targets[0]
    assert not [a for a in again.actions if a.kind.startswith("archive")]
    assert list((into / "public/readings").glob("*.parquet")) == [file]
