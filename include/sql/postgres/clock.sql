-- The server's clock. Ages and the cut-off of retention follow it, not the clock of the machine that runs the job.
select pg_catalog.clock_timestamp() as at
