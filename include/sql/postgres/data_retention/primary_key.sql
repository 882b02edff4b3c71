-- The columns of a table's primary key, in its order; none when it has none.
select a.attname::text as name
from pg_index as x
cross join lateral unnest(x.indkey::smallint[]) with ordinality as k (number, place)
inner join pg_attribute as a on x.indrelid = a.attrelid and k.number = a.attnum
where x.indrelid = %(oid)s::oid and x.indisprimary
order by k.place
