-- Which server process answers. Behind a transaction pooler it changes between statements or is shared with others.
select pg_catalog.pg_backend_pid() as pid
