-- Views, sequences and the server's own tables under those names: what a policy may name and no table.
select
    t.table_schema as `schema`,
    t.table_name as name,
    t.table_type as kind
from information_schema.tables as t
where t.table_schema in %(schemas)s and t.table_type <> 'BASE TABLE' and {among}
order by t.table_schema, t.table_name
