-- Which transactions wrote the rows that are due, as full transaction ids: a row written after a run's snapshot is a
-- late arrival, an older one should have gone. Looked at only where few are left.
select
    s.writer::text as writer,
    count(*) as written
from (
    select
        (
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint
            - mod(
                pg_snapshot_xmax(pg_current_snapshot())::text::bigint - t.xmin::text::bigint + 4294967296, 4294967296
            )
        ) as writer
    from {table} as t
    where {due}
    limit {limit} -- noqa: AM09
) as s
group by s.writer
