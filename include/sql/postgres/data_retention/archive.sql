-- Moves one batch: exactly the rows that are deleted are inserted, as they are at that moment, in one statement.
-- Both sides are counted from what the statement itself did.
with moved as (
    delete from only {table} as t
    where {range} and {due}
    returning {returned}
),

kept as (
    insert into {archive} as a ({columns}) {overriding}
    select {columns} from moved
    returning {witness} as witness
)

select
    (select count(*) from moved) as rows_deleted,
    (select count(*) from kept) as rows_archived,
    (select sum({source_hash}) from moved)::text as hash_source,
    (select sum(kept.witness) from kept)::text as hash_archive
