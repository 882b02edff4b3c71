-- Where old measurements go: the columns of pipeline_metrics in the same order, ids kept as they were.
create table public.pipeline_metrics_archive (
    id bigint not null,
    timestamp timestamptz not null,
    experiment_id text not null,
    node_id text not null,
    metric_name text not null,
    value double precision not null,
    unit text,
    primary key (timestamp, id)
) partition by range (timestamp);

create index idx_metrics_archive_experiment_time
on public.pipeline_metrics_archive (experiment_id, timestamp desc);
