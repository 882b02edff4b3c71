-- Who we talk to. The cluster's id is 1 on every embedded store, so the second of the cluster's birth goes with it.
select
    version() as version_text,
    @@version_comment as version_comment,
    connection_id() as connection_id,
    database() as database_name,
    @@read_only or @@tidb_super_read_only or @@tidb_restricted_read_only as read_only,
    c.variable_value as cluster_id,
    t.create_time as born
from mysql.tidb as c
inner join information_schema.tables as t on t.table_schema = 'mysql' and t.table_name = 'tidb'
where c.variable_name = 'cluster_id'
