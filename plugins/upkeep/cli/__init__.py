"""The command line: the same steps as the nightly DAGs, without Airflow."""

from upkeep.cli.commands import main

__all__ = ["main"]
