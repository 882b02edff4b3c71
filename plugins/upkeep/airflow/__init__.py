"""Upkeep in Airflow: hooks, operators and the DAG of a job. Thin: no SQL, no decisions."""
