-- The snapshot of the transaction that is open: its versions of rows stay until it ends.
select
    @@tidb_current_ts as tso,
    tidb_parse_tso(@@tidb_current_ts) as at
