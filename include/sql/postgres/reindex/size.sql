-- How large an index is by now.
select pg_relation_size(%(index)s::oid) as bytes
