-- Ages of the oldest transaction and multixact ids of each database: at about 2.1 billion the server refuses writes.
-- 200 million is where autovacuum begins to freeze: normal.
select
    datname::text as subject,
    age(datfrozenxid)::bigint as transactions,
    mxid_age(datminmxid)::bigint as multixacts,
    greatest(age(datfrozenxid), mxid_age(datminmxid))::float8 as value
from pg_database
where datallowconn
order by value desc
limit 100;
