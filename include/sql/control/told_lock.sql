-- People are told by one run after the other: two that end at once do not say the same twice. Held to the end of the
-- transaction.
select pg_advisory_xact_lock(1970303336);
