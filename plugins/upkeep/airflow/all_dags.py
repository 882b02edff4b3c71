"""Every DAG of Upkeep, for an Airflow that somebody else keeps. A file of two lines in its DAGs folder is enough::

    # Airflow looks only into files that hold these two words: airflow, dag
    from upkeep.airflow.all_dags import *

Names instead of the star choose: each DAG is called as its file; `approved_changes` belongs to those that change.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from airflow.sdk import DAG

from upkeep import settings


def _read(path: Path) -> DAG:
    spec = spec_from_file_location(f"upkeep_dags.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read: install Upkeep again")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = module.dag
    return dag


DAGS = {path.stem: _read(path) for path in sorted((settings.checkout() / "dags").glob("[!_]*.py"))}
globals().update(DAGS)
__all__ = list(DAGS)
