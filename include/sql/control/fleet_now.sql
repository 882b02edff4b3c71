-- The ledger's clock, by which ages are told.
select coalesce(%(now)s::timestamptz, clock_timestamp()) as now;
