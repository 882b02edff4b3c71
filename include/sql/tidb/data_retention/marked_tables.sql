-- Tables that carry our marker: detached partitions, and what a killed run left half made; and, wherever they are by
-- now, those that the ledger remembers. Two looks, for each is found by itself without reading every database.
select
    t.tidb_table_id as id,
    t.table_schema as `schema`,
    t.table_name as name,
    t.table_type as kind,
    t.table_rows as `rows`,
    t.data_length + t.index_length as bytes,
    t.table_comment as comment,
    t.tidb_pk_type as pk_type,
    t.tidb_row_id_sharding_info as sharding
from information_schema.tables as t
where t.table_schema in %(schemas)s and t.table_comment like 'upkeep: %'
union distinct
select
    t.tidb_table_id as id,
    t.table_schema as `schema`,
    t.table_name as name,
    t.table_type as kind,
    t.table_rows as `rows`,
    t.data_length + t.index_length as bytes,
    t.table_comment as comment,
    t.tidb_pk_type as pk_type,
    t.tidb_row_id_sharding_info as sharding
from information_schema.tables as t
where t.tidb_table_id in %(ids)s
order by `schema`, name
