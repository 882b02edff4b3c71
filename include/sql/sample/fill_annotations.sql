-- People annotated two errors of one old month: its partition is referenced and has to stay.
insert into public.pipeline_log_annotations (log_timestamp, log_id, note)
select timestamp, id, 'kept for the incident report' as note
from public.pipeline_logs
where timestamp >= %(month_start)s and timestamp < %(month_end)s and level = 'ERROR'
order by timestamp
limit 2;
