-- How full the pages of a B-tree are, null without any; reads the whole index.
select
    s.index_size as bytes,
    s.leaf_pages,
    s.internal_pages,
    nullif(s.avg_leaf_density, 'NaN') as density
from {function}(%(index)s::oid::regclass) as s
