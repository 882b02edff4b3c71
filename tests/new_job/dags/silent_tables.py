"""Every five minutes: are there tables that say nothing?"""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("silent_tables", __doc__)
