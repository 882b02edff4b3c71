-- The lives of one target's and job's findings change one after the other: two runs at once do not tell the
-- same twice. Held to the end of the transaction.
select pg_advisory_xact_lock(1970303335, hashtext(%(target)s || chr(10) || %(job)s));
