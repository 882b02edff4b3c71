-- Rows of no table, so that any database has them.
select
    n as id,
    'name ' || n as name,
    n * 1.50 as amount
from generate_series(1, 500) as numbers (n)
