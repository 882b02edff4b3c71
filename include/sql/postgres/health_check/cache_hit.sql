-- Blocks of this database found in shared buffers, and read from outside; counters, compared with the look before.
select
    'server' as subject,
    blks_hit as hits,
    blks_read as reads
from pg_stat_database
where datname = current_database();
