"""The command line: the same steps as the nightly DAGs, without Airflow."""
