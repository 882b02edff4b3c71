-- What is to be told of a server's metric, to whom and from which threshold on: one row for each of the two.
select
    server_id,
    metric_name,
    max(region) as region,
    jsonb_agg(
        jsonb_build_object(
            'comparison', comparison, 'threshold', threshold, 'severity', severity, 'contact', contact_email
        )
        order by threshold, alert_id
    ) as alerts
from public.alerts_configuration
where enabled
group by server_id, metric_name
order by server_id, metric_name;
