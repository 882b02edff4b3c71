"""Every day at noon: comments of tables say what is declared."""

from upkeep.airflow.dags import maintenance_dag

dag = maintenance_dag("table_comments", __doc__)
