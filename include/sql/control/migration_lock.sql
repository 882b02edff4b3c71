-- One migration at a time; held to the end of the transaction. The numbers only have to be unusual.
select pg_advisory_xact_lock(1970303333, 1);
