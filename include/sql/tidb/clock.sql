-- The server's clock, in UTC.
select utc_timestamp(6) as at
