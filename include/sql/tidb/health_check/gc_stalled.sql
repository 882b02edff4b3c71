-- How far the collection of old row versions has come. It follows the life time that is set, unless something holds it:
-- a transaction, a dump, a backup, a changefeed. The worker writes its times in its server's zone.
select
    g.safe_point,
    g.last_run,
    @@global.tidb_gc_life_time as life_time,
    @@global.tidb_gc_enable as enabled,
    timestampdiff(
        second,
        convert_tz(
            str_to_date(substring(g.safe_point, 1, 17), '%Y%m%d-%H:%i:%s'),
            concat(left(right(g.safe_point, 5), 3), ':', right(g.safe_point, 2)),
            '+00:00'
        ),
        utc_timestamp()
    ) as age,
    (
        select max(timestampdiff(second, x.start_time, now()))
        from information_schema.cluster_tidb_trx as x
        where x.user <> ''
    ) as oldest_transaction
from (
    select
        max(if(t.variable_name = 'tikv_gc_safe_point', t.variable_value, null)) as safe_point,
        max(if(t.variable_name = 'tikv_gc_last_run_time', t.variable_value, null)) as last_run
    from mysql.tidb as t
    where t.variable_name in ('tikv_gc_safe_point', 'tikv_gc_last_run_time')
) as g
