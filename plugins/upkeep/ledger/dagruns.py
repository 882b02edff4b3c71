"""Which run of the ledger a DAG run made, and what its tasks left open."""

from __future__ import annotations

from upkeep.ledger.base import Part


class DagRuns(Part):
    """The part of the ledger that Airflow's tasks and pages ask."""

    def run_for(self, dag_id: str, dag_run_id: str) -> str | None:
        """Return the newest run that a DAG run began (its options carry both ids), or ``None``."""
        rows = self._fetch("run_for", dag_id=dag_id, dag_run_id=dag_run_id)
        return str(rows[0]["run_id"]) if rows else None

    def unfinished(self, run_id: str) -> list[str]:
        """Return the targets of a run that have no end: their tasks go on, or were killed."""
        return [
            str(row["target"])
            for row in self._fetch("run_targets", run_id=run_id, target=None)
            if row["status"] is None
        ]
