-- One schema change of ours, found by the mark in its text.
select
    j.job_id,
    j.state,
    j.schema_state,
    j.row_count,
    j.job_type
from information_schema.ddl_jobs as j
where j.query like %(mark)s
order by j.job_id desc
limit 1
