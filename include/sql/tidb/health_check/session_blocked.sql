-- Transactions that wait for rows which others have locked, by table; of the key only the table's name is read, never
-- its values. Needs PROCESS.
select
    coalesce(w.place, '(no table)') as subject,
    count(*) as waiters,
    cast(max(timestampdiff(second, x.waiting_start_time, now(6))) as double) as value,
    coalesce(group_concat(distinct h.user order by h.user separator ', '), '?') as holders,
    coalesce(max(timestampdiff(second, h.start_time, now(6))), 0) as held_seconds,
    coalesce(cast(min(h.session_id) as char), '?') as holder,
    if(count(*) >= 20, 'many', '') as state
from information_schema.cluster_tidb_trx as x
left join (
    select
        d.trx_id,
        any_value(d.current_holding_trx_id) as holder,
        any_value(
            concat(
                json_unquote(json_extract(d.key_info, '$.db_name')),
                '.',
                json_unquote(json_extract(d.key_info, '$.table_name'))
            )
        ) as place
    from information_schema.data_lock_waits as d
    group by d.trx_id
) as w on x.id = w.trx_id
left join information_schema.cluster_tidb_trx as h on w.holder = h.id
where x.state = 'LockWaiting'
group by subject
order by value desc
limit 100
