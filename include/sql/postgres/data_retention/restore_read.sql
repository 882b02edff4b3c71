-- Sends the staged rows of some pages, in their order, exactly as the archived ones were sent: the same bytes, or the
-- rows are not the same.
copy (
    select {sent}
    from pg_temp.upkeep_restore
    where {range}
) to stdout (format csv, force_quote *)
