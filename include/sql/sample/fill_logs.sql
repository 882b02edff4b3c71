-- Believable log lines, one every three minutes: the mix of levels and loggers of a data pipeline, the same each time.
-- The month three before this one stays empty: it has no partition (a gap).
insert into public.pipeline_logs (timestamp, level, logger_name, experiment_id, node_id, message, traceback, context)
select
    lines.at,
    lines.level,
    (array['pipeline.extract', 'pipeline.transform', 'pipeline.load', 'pipeline.scheduler'])[1 + mod(lines.dice, 4)],
    'experiment-' || to_char(lines.at at time zone 'UTC', 'YYYY-MM') as experiment_id,
    'node-' || mod(lines.dice, 12) as node_id,
    case lines.level
        when 'INFO' then concat('batch ', lines.number, ' written: ', lines.dice * 7, ' rows in ', lines.dice, ' ms')
        when 'DEBUG' then concat('cache lookup for batch ', lines.number, ' took ', lines.dice, ' us')
        when 'WARNING' then concat('batch ', lines.number, ' retried: connection reset by peer')
        when 'ERROR' then concat('batch ', lines.number, ' failed: duplicate key value in staging table')
        else concat('node-', mod(lines.dice, 12), ' does not answer, its work is given to others')
    end as message,
    case
        when lines.level in ('ERROR', 'CRITICAL')
            then 'Traceback (most recent call last):' || chr(10) || '  File "load.py", line ' || lines.dice
    end as traceback,
    jsonb_build_object('batch', lines.number, 'attempt', 1 + mod(lines.dice, 3)) as context
from (
    select
        numbers.number,
        numbers.dice,
        now() - numbers.number * interval '3 minutes' as at,
        case
            when numbers.dice < 3 then 'CRITICAL'
            when numbers.dice < 25 then 'ERROR'
            when numbers.dice < 80 then 'WARNING'
            when numbers.dice < 300 then 'DEBUG'
            else 'INFO'
        end as level
    from (
        select number, mod(abs(hashint4(number)::bigint), 1000) as dice from generate_series(0, 70000) as number
    ) as numbers
) as lines
where
    lines.at >= %(first)s
    and not (lines.at >= %(gap_start)s and lines.at < %(gap_end)s)
order by lines.at;
