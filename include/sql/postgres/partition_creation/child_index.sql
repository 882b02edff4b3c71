-- A partition's own part of an index of the whole table, for its replica identity.
select c.relname::text as name
from pg_index as x
inner join pg_class as c on x.indexrelid = c.oid
where x.indrelid = %(child)s::oid and pg_partition_root(x.indexrelid) = %(parent_index)s::oid
