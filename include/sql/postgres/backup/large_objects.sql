-- How many large objects the database has.
select count(*)::bigint as rows from pg_largeobject_metadata
