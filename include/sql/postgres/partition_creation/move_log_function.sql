-- Writes down each change of a row in the range. With its owner's rights: the writer needs none on the log.
create function {function}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as {body}
