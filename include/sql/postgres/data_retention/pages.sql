-- Pages of one table now.
select pg_relation_size(%(oid)s::oid) / 8192 as pages
