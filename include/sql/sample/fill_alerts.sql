-- Twenty thousand alerts: 2,000 servers in three regions, ten metrics each at most.
insert into public.alerts_configuration (
    region, server_id, metric_name, contact_email, comparison, threshold, severity
)
select
    (array['eu-central', 'us-east', 'ap-south'])[1 + servers.number % 3] as region,
    'server-' || servers.number as server_id,
    metrics.metric_name,
    format('team-%s@example.com', servers.number % 40) as contact_email,
    '>' as comparison,
    metrics.threshold,
    metrics.severity
from generate_series(1, 2000) as servers (number)
cross join (
    values
    ('cpu_utilization', 90, 'ERROR'), ('cpu_utilization', 75, 'WARNING'),
    ('disk_write_bytes', 5e8, 'WARNING'), ('network_in', 1e9, 'INFO'),
    ('request_latency', 500, 'ERROR'), ('request_latency', 2000, 'CRITICAL'),
    ('request_count', 1e5, 'INFO'), ('memory_used', 0.9, 'WARNING'),
    ('disk_used', 0.85, 'WARNING'), ('replication_lag', 10, 'CRITICAL')
) as metrics (metric_name, threshold, severity);
