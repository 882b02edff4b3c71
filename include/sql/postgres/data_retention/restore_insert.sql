-- Puts the staged rows of some pages and of the wanted range into the table; both sides are counted from what the
-- statement itself did.
with chosen as (
    select {columns}
    from pg_temp.upkeep_restore
    where {range}
),

kept as (
    insert into {into} as a ({columns}) overriding system value
    select {columns} from chosen
    returning {witness} as witness
)

select
    (select count(*) from chosen) as rows_read,
    (select count(*) from kept) as rows_restored,
    (select sum({source_hash}) from chosen)::text as hash_source,
    (select sum(kept.witness) from kept)::text as hash_table
