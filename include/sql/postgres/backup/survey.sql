-- What a dump of this database would meet: its size, how many tables it locks, and how many locks the server has room
-- for (each table takes one, and one more in each of the dump's workers).
select
    current_database()::text as database,
    pg_database_size(current_database())::bigint as bytes,
    (
        select count(*) from pg_class as c
        where c.relkind in ('r', 'p') and c.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
    )::bigint as tables,
    current_setting('max_locks_per_transaction')::bigint
    * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint) as locks,
    (select count(*) from pg_database as d where not d.datistemplate and d.datname != current_database())::bigint
        as other_databases,
    (select count(*) from pg_replication_slots as s where s.database = current_database())::bigint as slots,
    array(
        select s.spcname::text from pg_tablespace as s where s.spcname not in ('pg_default', 'pg_global') order by 1
    ) as tablespaces,
    array(
        select format('%%I.%%I', n.nspname, c.relname)
        from pg_index as i
        inner join pg_class as c on i.indexrelid = c.oid
        inner join pg_namespace as n on c.relnamespace = n.oid
        where not i.indisvalid and c.relkind = 'i' and n.nspname !~ '^pg_'
        order by 1
        limit 20
    ) as invalid_indexes,
    (select count(*) from pg_class as c where c.relpersistence = 'u' and c.relkind = 'r')::bigint as unlogged
