-- The indexes of the databases in care, column by column, the hidden ones too. All columns: what the newer releases
-- add (a condition, whether it is global) is part of what an index is.
select i.* -- noqa: AM04
from information_schema.tidb_indexes as i
where i.table_schema in %(schemas)s and {among}
order by i.table_schema, i.table_name, i.index_id, i.seq_in_index
