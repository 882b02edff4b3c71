-- The newest run that a run of an Airflow DAG began: a cleared first task begins another one.
select run_id
from upkeep.run
where options @> jsonb_build_object('dag_id', %(dag_id)s::text, 'dag_run_id', %(dag_run_id)s::text)
order by started_at desc
limit 1;
