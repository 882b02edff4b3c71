-- A partition's own part of a parent's index, for its replica identity.
select c.relname::text as name
from pg_inherits as i
inner join pg_index as x on i.inhrelid = x.indexrelid
inner join pg_class as c on x.indexrelid = c.oid
where i.inhparent = %(parent_index)s::oid and x.indrelid = %(child)s::oid
