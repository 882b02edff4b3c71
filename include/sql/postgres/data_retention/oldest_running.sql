-- The oldest transaction that this snapshot does not see whole: rows that it or a later one wrote were not looked at.
select pg_snapshot_xmin(pg_current_snapshot())::text as transaction
