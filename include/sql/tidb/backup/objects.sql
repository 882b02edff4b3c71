-- Everything of the database that has a name, and about how large it is.
select
    t.table_name as name,
    t.table_type as kind,
    t.data_length + t.index_length as bytes
from information_schema.tables as t
where t.table_schema = %(schema)s
order by t.table_name
