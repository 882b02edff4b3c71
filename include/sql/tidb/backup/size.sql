-- How large the database is, by what statistics say of its tables.
select coalesce(sum(t.data_length + t.index_length), 0) as bytes
from information_schema.tables as t
where t.table_schema = %(schema)s
