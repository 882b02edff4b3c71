-- The partitions of those tables in their order, with their upper bounds as text and the ids of their data.
select
    p.table_schema as `schema`,
    p.table_name as `table`,
    p.tidb_partition_id as id,
    p.partition_name as name,
    p.partition_ordinal_position as place,
    p.partition_method as method,
    p.partition_expression as expression,
    p.partition_description as upper_bound,
    p.table_rows as `rows`,
    p.data_length + p.index_length as bytes
from information_schema.partitions as p
where p.table_schema in %(schemas)s and p.partition_name is not null and {among}
order by p.table_schema, p.table_name, p.partition_ordinal_position
