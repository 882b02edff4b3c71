-- A hard case: one sensor whose clock is decades ahead. It sits in the default partition and must be chased by nobody.
insert into public.pipeline_metrics (timestamp, experiment_id, node_id, metric_name, value, unit)
values ('2099-07-01 00:00:00+00', 'experiment-clock-skew', 'i-5f5533', 'cpu_utilization', 42, 'percent');
