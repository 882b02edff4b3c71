-- Views that read a table, by its name in their text (TiDB writes it with its database), and foreign keys to it.
select concat(v.table_schema, '.', v.table_name) as name
from information_schema.views as v
where locate(lower(%(quoted)s), lower(v.view_definition)) > 0
union all
select concat(k.constraint_schema, '.', k.table_name) as name
from information_schema.key_column_usage as k
where lower(k.referenced_table_schema) = lower(%(schema)s) and lower(k.referenced_table_name) = lower(%(name)s)
order by name
