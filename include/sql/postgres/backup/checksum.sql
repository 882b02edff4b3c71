-- How many rows a table itself has, and a checksum of them, whatever their order: columns by name, each value as the
-- pinned settings print it.
select
    count(*)::bigint as rows,
    coalesce(sum(hashtextextended(row({columns})::text collate "C", 0)), 0)::text as checksum
from only {table} as t -- noqa: AL05
