-- Decisions about the plans of one target and job happen one after the other, planning anew included: what
-- is checked is still so when the decision is written. Held to the end of the transaction.
select pg_advisory_xact_lock(1970303334, hashtext(%(target)s || chr(10) || %(job)s));
